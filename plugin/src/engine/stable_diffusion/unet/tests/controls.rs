//! Maps, and keys and values fed from another pass.

use super::*;
use crate::ErrorKind;
use crate::engine::stable_diffusion::testing::error;

fn names(unet: &UNet, cross: bool) -> Vec<String> {
    let chosen = unet.layers().iter().filter(|layer| layer.cross == cross);
    chosen.map(|layer| layer.name.clone()).collect()
}

/// The keys and values of all self-attentions.
fn record(unet: &UNet, input: &Input<'_>) -> Result<Seen> {
    let controls = Controls {
        record: names(unet, false).into_iter().collect(),
        ..Controls::default()
    };
    Ok(unet.forward_with(input, &controls)?.1)
}

fn fed(
    unet: &UNet,
    input: &Input<'_>,
    seen: &Seen,
    make: impl Fn(&Features) -> Result<Option<Feed>>,
) -> Result<Tensor> {
    let mut controls = Controls::default();
    for (name, features) in &seen.features {
        if let Some(feed) = make(features)? {
            controls.feed.insert(name.clone(), feed);
        }
    }
    Ok(unet.forward_with(input, &controls)?.0)
}

#[test]
fn watched_layers_compute_the_same_and_their_maps_are_probabilities() -> Result<()> {
    let (unet, given) = (build(&plain(), DType::F32)?, Given::new()?);
    let controls = Controls {
        maps: unet
            .layers()
            .iter()
            .map(|layer| layer.name.clone())
            .collect(),
        ..Controls::default()
    };
    let (result, seen) = unet.forward_with(&given.input(), &controls)?;
    assert!(error(&result, &unet.forward(&given.input())?)? < 1e-5);
    assert_eq!(seen.maps.len(), unet.layers().len());
    for layer in unet.layers() {
        let map = &seen.maps[&layer.name];
        assert_eq!(
            (map.height, map.width),
            (6 >> layer.level, 4 >> layer.level)
        );
        let places = map.height * map.width;
        let keys = if layer.cross { 3 } else { places };
        assert_eq!(map.probabilities.dims(), [2, places, keys]);
        let sums = map.probabilities.sum(2)?.flatten_all()?.to_vec1::<f32>()?;
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5));
    }
    Ok(())
}

#[test]
fn a_text_is_made_to_keys_once() -> Result<()> {
    for config in [plain(), extended()] {
        let (unet, given) = (build(&config, DType::F32)?, Given::new()?);
        let input = Input {
            added: config.addition().map(|_| &given.added),
            ..given.input()
        };
        let expected = unet.forward(&input)?;
        let controls = Controls {
            memory: Some(TextMemory::default()),
            ..Controls::default()
        };
        for _ in 0..2 {
            let found = unet.forward_with(&input, &controls)?.0;
            assert_eq!(error(&found, &expected)?, 0.0);
        }
        // Another text is not looked at any more.
        let context = (&given.context * 2.0)?;
        let other = Input {
            context: &context,
            ..input
        };
        let found = unet.forward_with(&other, &controls)?.0;
        assert_eq!(error(&found, &expected)?, 0.0);
        assert!(error(&unet.forward(&other)?, &expected)? > 1e-3);
    }
    Ok(())
}

#[test]
fn a_reference_outside_its_mask_is_no_reference() -> Result<()> {
    let (unet, given) = (build(&plain(), DType::F32)?, Given::new()?);
    let other = Given {
        latents: random(&[2, 4, 6, 4], 77)?,
        ..Given::new()?
    };
    let seen = record(&unet, &other.input())?;
    let plain = unet.forward(&given.input())?;
    let nothing =
        |features: &Features| features.beside(Some(&vec![0.0; features.height * features.width]));
    let same = fed(&unet, &given.input(), &seen, nothing)?;
    assert_eq!(error(&same, &plain)?, 0.0);
    // With a mask for each sample, each has its own.
    let one = |features: &Features| {
        let places = features.height * features.width;
        features.beside(Some(&[vec![3.0; places], vec![0.0; places]].concat()))
    };
    let half = fed(&unet, &given.input(), &seen, one)?;
    assert!(error(&half.get(0)?, &plain.get(0)?)? > 1e-2);
    assert!(error(&half.get(1)?, &plain.get(1)?)? < 1e-5);
    Ok(())
}

#[test]
fn a_reference_of_itself_changes_nothing() -> Result<()> {
    let (unet, given) = (build(&extended(), DType::F32)?, Given::new()?);
    let plain = unet.forward(&given.extended())?;
    let seen = record(&unet, &given.extended())?;
    assert_eq!(seen.features.len(), names(&unet, false).len());
    // Twice the same keys share their probability, whatever the copies' weight.
    for weight in [0.5, 1.0, 3.0] {
        let all = |f: &Features| f.beside(Some(&vec![weight; f.height * f.width]));
        let found = fed(&unet, &given.extended(), &seen, all)?;
        assert!(error(&found, &plain)? < 1e-5);
    }
    let beside = fed(&unet, &given.extended(), &seen, |f| f.beside(None))?;
    assert!(error(&beside, &plain)? < 1e-5);
    let instead = fed(&unet, &given.extended(), &seen, |f| f.instead(None))?;
    assert_eq!(error(&instead, &plain)?, 0.0);
    Ok(())
}

#[test]
fn a_reference_of_one_sample_serves_a_batch() -> Result<()> {
    let (unet, given) = (build(&plain(), DType::F32)?, Given::new()?);
    let (latents, context) = (random(&[1, 4, 6, 4], 77)?, random(&[1, 3, 12], 78)?);
    let reference = Input {
        latents: &latents,
        timesteps: &[801.0],
        context: &context,
        added: None,
    };
    let seen = record(&unet, &reference)?;
    let weigh = |f: &Features| {
        let weights: Vec<f32> = (0..f.height * f.width).map(|i| (i % 3) as f32).collect();
        f.beside(Some(&weights))
    };
    let both = fed(&unet, &given.input(), &seen, weigh)?;
    let first = Input {
        latents: &given.latents.narrow(0, 0, 1)?,
        timesteps: &[801.0],
        context: &given.context.narrow(0, 0, 1)?,
        added: None,
    };
    let alone = fed(&unet, &first, &seen, weigh)?;
    assert!(error(&alone.get(0)?, &both.get(0)?)? < 1e-5);
    assert!(error(&unet.forward(&first)?.get(0)?, &both.get(0)?)? > 1e-2);
    Ok(())
}

#[test]
fn controls_that_do_not_fit_are_errors() -> Result<()> {
    let (unet, given) = (build(&plain(), DType::F32)?, Given::new()?);
    let seen = record(&unet, &given.input())?;
    let (name, features) = seen.features.iter().next().expect("layers were recorded");
    let all = features.beside(None)?.expect("all places were taken");
    let cross = names(&unet, true).remove(0);
    let small = Feed {
        keys: all.keys.narrow(1, 0, 1)?,
        ..all.clone()
    };
    let feed = |name: &String, feed: &Feed| Controls {
        feed: [(name.clone(), feed.clone())].into(),
        ..Controls::default()
    };
    let unknown = Controls {
        maps: ["mid_block.attentions.7".to_owned()].into(),
        ..Controls::default()
    };
    for controls in [unknown, feed(&cross, &all), feed(name, &small)] {
        let error = unet
            .forward_with(&given.input(), &controls)
            .expect_err("misfit");
        assert_eq!(error.kind, ErrorKind::Caller, "{error}");
    }
    let places = features.height * features.width;
    let half = [vec![1.0; places], vec![0.0; places]].concat();
    assert!(features.instead(Some(&half)).is_err());
    for weights in [vec![], vec![1.0], vec![-1.0; 24], vec![f32::NAN; 24]] {
        let error = features.beside(Some(&weights)).expect_err("misfit");
        assert_eq!(error.kind, ErrorKind::Caller, "{error}");
    }
    Ok(())
}
