//! Files for the tests of this folder: written with the safetensors crate, or taken from the goldens of `tests/parity`, which
//! diffusers wrote.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::store::Store;
use crate::kernels::Frozen;

/// A tensor to write: name, type, shape, bytes.
pub type Written = (String, Dtype, Vec<usize>, Vec<u8>);

/// A tensor in `f32` whose numbers count up from `start`.
pub fn counting(name: &str, shape: &[usize], start: f32) -> Written {
    let count: usize = shape.iter().product();
    let bytes = (0..count)
        .flat_map(|i| (start + i as f32).to_le_bytes())
        .collect();
    (name.into(), Dtype::F32, shape.to_vec(), bytes)
}

/// The bytes of a file of these tensors.
pub fn file(tensors: &[Written], metadata: &[(&str, &str)]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.clone(), bytes).expect("sizes that fit");
        (name.as_str(), view)
    });
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let metadata = Some(metadata).filter(|m| !m.is_empty());
    safetensors::serialize(views, metadata).expect("a file can be made")
}

/// Writes a file of these tensors.
pub fn write(path: &Path, tensors: &[Written]) {
    std::fs::write(path, file(tensors, &[])).expect("a file can be written");
}

/// A file of the goldens.
pub fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/parity/goldens")
        .join(path)
}

/// The first number of a weight.
pub fn first(weight: &Frozen) -> f32 {
    let mut out = [0.0];
    weight.values().widen(0, &mut out);
    out[0]
}

/// All numbers of a weight.
pub fn numbers(weight: &Frozen) -> Vec<f32> {
    let mut out = vec![0.0; weight.shape().iter().product()];
    weight.values().widen(0, &mut out);
    out
}

/// A golden single file with tensors added or replaced, under another name.
pub fn changed(
    family: &str,
    name: &str,
    more: &[Written],
    metadata: &[(&str, &str)],
) -> (tempfile::TempDir, PathBuf) {
    let store = Store::open(&golden(&format!("{family}/{family}.safetensors"))).expect("a golden");
    let mut tensors: Vec<Written> = store
        .tensors()
        .iter()
        .filter(|(name, _)| !more.iter().any(|m| m.0 == **name))
        .map(|(name, e)| {
            (
                name.clone(),
                e.dtype,
                e.shape.clone(),
                store.raw(e).to_vec(),
            )
        })
        .collect();
    tensors.extend_from_slice(more);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, file(&tensors, metadata)).expect("a file");
    (folder, path)
}
