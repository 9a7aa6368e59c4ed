//! Any bytes as a file of weights: an error, or tensors of the sizes that the file has room for.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use repose::engine::stable_diffusion::weights::embedding::Embedding;
use repose::engine::stable_diffusion::weights::lora::Lora;
use repose::engine::stable_diffusion::weights::store::Store;
use repose::engine::stable_diffusion::weights::{Options, single};

mod seeds;

/// Files as their trainers write them.
macro_rules! golden {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../tests/parity/goldens/sd15/", $name)).to_vec())
    };
}

fn write_seeds() {
    seeds::write(&[
        golden!("embedding_a1111.pt"),
        golden!("embedding_a1111_old.pt"),
        golden!("embedding_a1111.safetensors"),
        golden!("learned_embeds.safetensors"),
        golden!("lora_kohya.safetensors"),
        golden!("lora_old_diffusers.safetensors"),
        golden!("lora_peft.safetensors"),
    ]);
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| {
    let path = Path::new("fuzzed.safetensors");
    if let Ok(store) = Store::parse(path, Arc::new(bytes.to_vec())) {
        let sizes: usize = store.tensors().values().map(|e| e.size()).sum();
        assert!(sizes <= bytes.len());
        let _ = single::from_store(&store, &Options::default());
        let _ = Lora::of(store);
    }
    if let Ok(embedding) = Embedding::parse(path, bytes.to_vec()) {
        let _ = embedding.for_encoders(&[16]);
    }
});
