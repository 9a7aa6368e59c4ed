//! One folder of goldens: its manifest, its tensors, and how far a result is from them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, safetensors};
use serde::Deserialize;
use serde_json::Value;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// `manifest.json`, see `store.py`.
#[derive(Debug, Deserialize)]
pub struct Manifest {
    pub family: String,
    /// The diffusers folder inside this one; none where only the single file has the weights.
    pub folder: Option<String>,
    pub single_file: Option<String>,
    /// The family beside this one that it differs from in the U-Net's first convolution alone.
    pub difference_of: Option<String>,
    pub cases: Vec<Case>,
}

/// One comparison.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    pub name: String,
    pub kind: String,
    file: String,
    tolerance: f64,
    inputs: Vec<String>,
    outputs: Vec<String>,
    pub settings: Value,
}

/// A folder made by `make.py`.
pub struct Goldens {
    pub path: PathBuf,
    pub manifest: Manifest,
    files: HashMap<String, HashMap<String, Tensor>>,
}

/// A case with its tensors.
pub struct Golden {
    pub case: Case,
    tensors: HashMap<String, Tensor>,
}

/// How far one output is from its golden.
#[derive(Debug)]
pub struct Outcome {
    /// `CASE.OUTPUT`
    pub name: String,
    /// max |a − b| / max |b|; infinite if shapes differ.
    pub error: f64,
    pub tolerance: f64,
}

impl Outcome {
    pub fn passed(&self) -> bool {
        self.error <= self.tolerance
    }
}

impl Goldens {
    pub fn open(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path.join("manifest.json"))
            .map_err(|e| format!("{}: {e}", path.join("manifest.json").display()))?;
        let manifest: Manifest = serde_json::from_str(&text)?;
        let mut files = HashMap::new();
        for case in &manifest.cases {
            if !files.contains_key(&case.file) {
                let tensors = safetensors::load(path.join(&case.file), &Device::Cpu)?;
                files.insert(case.file.clone(), tensors);
            }
        }
        Ok(Self {
            path: path.to_owned(),
            manifest,
            files,
        })
    }

    /// All cases of a kind.
    pub fn of(&self, kind: &str) -> Result<Vec<Golden>> {
        let cases = self.manifest.cases.iter().filter(|case| case.kind == kind);
        cases.map(|case| self.golden(case)).collect()
    }

    /// The case of a name.
    pub fn named(&self, name: &str) -> Result<Golden> {
        let found = self.manifest.cases.iter().find(|case| case.name == name);
        self.golden(found.ok_or_else(|| format!("no case {name}"))?)
    }

    fn golden(&self, case: &Case) -> Result<Golden> {
        let mut tensors = HashMap::new();
        for key in case.inputs.iter().chain(&case.outputs) {
            let name = format!("{}.{key}", case.name);
            let tensor = self.files[&case.file].get(&name).ok_or(name)?;
            tensors.insert(key.clone(), tensor.clone());
        }
        Ok(Golden {
            case: case.clone(),
            tensors,
        })
    }
}

impl Golden {
    pub fn has(&self, key: &str) -> bool {
        self.tensors.contains_key(key)
    }

    /// A tensor in `f32`.
    pub fn get(&self, key: &str) -> Result<Tensor> {
        let found = self.tensors.get(key);
        let found = found.ok_or_else(|| format!("{} has no {key}", self.case.name))?;
        Ok(found.to_dtype(DType::F32)?)
    }

    /// A tensor in `f32`, if there is one.
    pub fn find(&self, key: &str) -> Result<Option<Tensor>> {
        self.has(key).then(|| self.get(key)).transpose()
    }

    /// A tensor of numbers that time steps are.
    pub fn numbers(&self, key: &str) -> Result<Vec<f32>> {
        Ok(self.get(key)?.flatten_all()?.to_vec1()?)
    }

    /// Whole numbers: token ids `[B, T]` or positions `[N]`, as rows.
    pub fn ids(&self, key: &str) -> Result<Vec<Vec<u32>>> {
        let tensor = self.tensors.get(key);
        let tensor = tensor.ok_or_else(|| format!("{} has no {key}", self.case.name))?;
        let tensor = tensor.to_dtype(DType::U32)?;
        let rows = match tensor.rank() {
            1 => tensor.unsqueeze(0)?,
            _ => tensor,
        };
        Ok(rows.to_vec2()?)
    }

    pub fn setting(&self, key: &str) -> Result<&Value> {
        let found = self.case.settings.get(key);
        found.ok_or_else(|| format!("{} has no setting {key}", self.case.name).into())
    }

    pub fn number(&self, key: &str) -> Result<f64> {
        let found = self.setting(key)?.as_f64();
        found.ok_or_else(|| format!("{}: {key} is no number", self.case.name).into())
    }

    pub fn count(&self, key: &str) -> Result<usize> {
        Ok(self.number(key)? as usize)
    }

    pub fn text(&self, key: &str) -> Result<&str> {
        let found = self.setting(key)?.as_str();
        found.ok_or_else(|| format!("{}: {key} is no text", self.case.name).into())
    }

    /// Compares all results; every output of the golden must be among them.
    pub fn check(&self, results: &BTreeMap<String, Tensor>) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for key in &self.case.outputs {
            let result = results
                .get(key)
                .ok_or_else(|| format!("nothing was computed for {}.{key}", self.case.name))?;
            outcomes.push(self.compare(key, result, self.case.tolerance)?);
        }
        Ok(outcomes)
    }

    /// Compares one result.
    pub fn compare(&self, key: &str, result: &Tensor, tolerance: f64) -> Result<Outcome> {
        Ok(Outcome {
            name: format!("{}.{key}", self.case.name),
            error: distance(result, &self.get(key)?)?,
            tolerance,
        })
    }
}

/// max |a − b| / max |b|.
fn distance(a: &Tensor, b: &Tensor) -> Result<f64> {
    if a.dims() != b.dims() {
        return Ok(f64::INFINITY);
    }
    let flat =
        |t: &Tensor| -> Result<Vec<f32>> { Ok(t.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?) };
    let (a, b) = (flat(a)?, flat(b)?);
    let (mut most, mut size) = (0.0f64, 0.0f64);
    for (a, b) in a.iter().zip(&b) {
        let difference = f64::from((a - b).abs());
        // A NaN must not be lost in a maximum.
        if difference.is_nan() {
            return Ok(f64::INFINITY);
        }
        most = most.max(difference);
        size = size.max(f64::from(b.abs()));
    }
    Ok(if most == 0.0 { 0.0 } else { most / size })
}
