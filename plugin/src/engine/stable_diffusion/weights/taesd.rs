//! The preview decoder's file: the original's (`taesd_decoder.safetensors`) or diffusers' `AutoencoderTiny`.

use std::collections::HashMap;
use std::path::Path;

use super::store::Store;
use super::{Family, Part, folder};
use crate::engine::stable_diffusion::config::TaesdConfig;
use crate::{Error, Result};

/// Where the original's decoder is published for models of this family: the file's name without ending, as ComfyUI keeps it in
/// `vae_approx`, and the repository.
pub fn published(family: Family) -> (&'static str, &'static str) {
    match family {
        Family::Sd1 | Family::Sd2 => ("taesd_decoder", "madebyollin/taesd"),
        Family::Sdxl => ("taesdxl_decoder", "madebyollin/taesdxl"),
    }
}

/// Opens a decoder. Its configuration is `config.json` beside a file of diffusers'; the original has none, and its shapes tell.
///
/// # Errors
/// `Files` if the file is damaged or none of the two.
pub fn open(path: &Path) -> Result<Part<TaesdConfig>> {
    let store = Store::open(path)?;
    let original = store.tensors().contains_key("1.weight");
    let config = match original {
        true => {
            let shape = &store.entry("1.weight")?.shape;
            let [width, latent, ..] = shape[..] else {
                return Err(Error::files(format!(
                    "{}: 1.weight has the shape {shape:?}; a convolution's was expected",
                    path.display()
                )));
            };
            TaesdConfig {
                latent_channels: latent,
                decoder_block_out_channels: vec![width; 4],
                ..TaesdConfig::default()
            }
        }
        false => {
            let (text, source) = folder::text(&path.with_file_name("config.json"))?;
            TaesdConfig::from_json(&text, &source)?
        }
    };
    let mut tensors = HashMap::new();
    for name in store.tensors().keys() {
        let ours = match original {
            true => renamed(name),
            false => name.starts_with("decoder.").then(|| name.clone()),
        };
        if let Some(ours) = ours {
            tensors.insert(ours, store.frozen(name)?);
        }
    }
    Ok(Part {
        source: path.display().to_string(),
        tensors,
        config,
    })
}

/// diffusers' name of one of the original's weights, which counts the clamp before the first convolution as layer 0.
fn renamed(name: &str) -> Option<String> {
    let (layer, rest) = name.split_once('.')?;
    let layer = layer.parse::<usize>().ok()?.checked_sub(1)?;
    Some(format!("decoder.layers.{layer}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use safetensors::tensor::{Dtype, TensorView};
    use std::fs;

    fn written(name: &str, shape: &[usize]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = vec![0u8; 4 * shape.iter().product::<usize>()];
        let view = TensorView::new(Dtype::F32, shape.to_vec(), &bytes).expect("a tensor");
        let file = safetensors::serialize([(name, view)], None).expect("a file");
        fs::write(folder.path().join("x.safetensors"), file).expect("written");
        folder
    }

    #[test]
    fn the_originals_shapes_tell_its_sizes() -> Result<()> {
        let folder = written("1.weight", &[24, 4, 3, 3]);
        let part = open(&folder.path().join("x.safetensors"))?;
        assert_eq!(part.config.decoder_block_out_channels, [24; 4]);
        assert_eq!(part.config.latent_channels, 4);
        let names: Vec<_> = part.tensors.keys().collect();
        assert_eq!(names, ["decoder.layers.0.weight"]);
        Ok(())
    }

    #[test]
    fn what_is_neither_says_so() {
        for (name, shape) in [("1.weight", &[24][..]), ("something", &[4, 4])] {
            let folder = written(name, shape);
            let error = open(&folder.path().join("x.safetensors")).expect_err("neither");
            assert_eq!(error.kind, ErrorKind::Files, "{error}");
        }
    }
}
