//! Finds the small decoder that shows how a picture comes into being.

use std::path::PathBuf;

use super::Models;
use crate::engine::stable_diffusion::weights::{Family, hub, taesd};

/// Folders of it below a folder of models: ComfyUI's and A1111's, which are one on some systems.
const PLACES: [&str; 4] = [
    "vae_approx",
    "VAE-approx",
    "models/vae_approx",
    "models/VAE-approx",
];

impl Models {
    /// TAESD's decoder for models of this family, if the user has it: in a folder of models or in the Hugging Face cache.
    pub fn taesd(&self, family: Family) -> Option<PathBuf> {
        let (file, repository) = taesd::published(family);
        let named = self.settings().map(|s| s.model_folders).unwrap_or_default();
        let roots = std::iter::once(self.own().to_owned()).chain(named);
        let files = roots.flat_map(|root| PLACES.map(|p| root.join(p).join(file)));
        let cached = self
            .cache()
            .and_then(|cache| hub::snapshot(&hub::folder(cache, repository)))
            .into_iter()
            .flat_map(|s| [s.join(file), s.join("diffusion_pytorch_model")]);
        files
            .chain(cached)
            .map(|path| path.with_extension("safetensors"))
            .find(|path| path.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn put(path: &Path) {
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, b"x").expect("a file");
    }

    #[test]
    fn each_family_has_its_own_wherever_users_keep_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (own, cache) = (folder.path().join("own"), folder.path().join("hub"));
        let models = Models::within(&own, Some(cache.clone()));
        assert_eq!(models.taesd(Family::Sd1), None);
        let snapshot = cache.join("models--madebyollin--taesd/snapshots/abc");
        put(&snapshot.join("diffusion_pytorch_model.safetensors"));
        let found = models.taesd(Family::Sd2).expect("in the cache");
        assert!(found.starts_with(&cache), "{found:?}");
        let file = own.join("vae_approx/taesd_decoder.safetensors");
        put(&file);
        assert_eq!(models.taesd(Family::Sd1), Some(file));
        assert_eq!(models.taesd(Family::Sdxl), None);
        let file = own.join("models/VAE-approx/taesdxl_decoder.safetensors");
        put(&file);
        assert_eq!(models.taesd(Family::Sdxl), Some(file));
    }
}
