//! Where a mask is 0 the document's bytes stay; where it is soft it stays soft; what is untouched is not converted.

use proptest::prelude::*;

use super::*;

const SELECTION_DEPTHS: [SelectionDepth; 3] =
    [SelectionDepth::U8, SelectionDepth::U16, SelectionDepth::F32];

/// A picture of random bits in a random format, and a rectangle of it with a mask and changed pixels.
#[derive(Debug)]
struct Case {
    picture: Raster,
    rect: Rect,
    mask: Mask,
    /// Where the working pixels are replaced, and by what.
    changes: Vec<Option<[f32; 3]>>,
    depth: SelectionDepth,
}

fn mask_value() -> impl Strategy<Value = f32> {
    prop_oneof![
        3 => Just(0.0f32),
        2 => Just(1.0f32),
        4 => 0.0f32..=1.0,
        1 => prop::sample::select(vec![1e-45f32, 1e-6, 0.001, 0.5 / 255.0, 0.5 / 65535.0, f32::NAN, -1.0]),
    ]
}

fn colour() -> impl Strategy<Value = Option<[f32; 3]>> {
    let value = prop_oneof![
        8 => -0.5f32..1.5,
        1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -0.0]),
    ];
    prop::option::weighted(0.7, [value.clone(), value.clone(), value])
}

fn case() -> impl Strategy<Value = Case> {
    let format = (0usize..4, 0usize..5, 0usize..3, 0usize..3);
    let shape = (1usize..12, 1usize..10, any::<[prop::sample::Index; 4]>());
    (format, shape).prop_flat_map(|((depth, channels, space_at, masks), (w, h, cut))| {
        let (depth, channels) = (DEPTHS[depth], CHANNELS[channels]);
        let (x, y) = (cut[0].index(w), cut[1].index(h));
        let rect = Rect {
            x,
            y,
            width: 1 + cut[2].index(w - x),
            height: 1 + cut[3].index(h - y),
        };
        let area = rect.width * rect.height;
        let size = w * h * depth.bytes() * channels.count();
        (
            prop::collection::vec(any::<u8>(), size),
            prop::collection::vec(mask_value(), area),
            prop::collection::vec(colour(), area),
        )
            .prop_map(move |(bytes, mask, changes)| Case {
                picture: raster(w, depth, channels, space(channels, space_at), bytes),
                rect,
                mask: Mask::from_vec(rect.width, rect.height, mask).unwrap(),
                changes,
                depth: SELECTION_DEPTHS[masks],
            })
    })
}

impl Case {
    fn layer(&self, role: Role) -> Layer {
        let canvas = Canvas::new(&self.picture).unwrap();
        let mut image = canvas.image(self.rect).unwrap();
        for (pixel, change) in image.data_mut().iter_mut().zip(&self.changes) {
            *pixel = change.unwrap_or(*pixel);
        }
        canvas
            .layer("result", 0, role, self.rect, &image, &self.mask, self.depth)
            .unwrap()
    }

    /// The picture's bytes at place (`x`, `y`) of the rectangle.
    fn own<'a>(&self, picture: &'a Raster, x: usize, y: usize) -> &'a [u8] {
        pixel(picture, self.rect.x + x, self.rect.y + y)
    }
}

fn pixel(picture: &Raster, x: usize, y: usize) -> &[u8] {
    let size = picture.bytes_per_pixel();
    let at = (y * picture.width as usize + x) * size;
    &picture.bytes[at..at + size]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn outside_the_masks_nothing_changes(case in case()) {
        let layers = [case.layer(Role::Background), case.layer(Role::Subject)];
        let shown = flatten(&case.picture, &layers).unwrap();
        let mask = &layers[0].mask;
        for y in 0..case.picture.height as usize {
            for x in 0..case.picture.width as usize {
                let inside = |at: usize, from: usize, length: usize| at >= from && at < from + length;
                let masked = inside(x, case.rect.x, case.rect.width)
                    && inside(y, case.rect.y, case.rect.height)
                    && mask.at(x - case.rect.x, y - case.rect.y) > 0.0;
                if !masked {
                    prop_assert_eq!(pixel(&shown, x, y), pixel(&case.picture, x, y));
                }
            }
        }
    }

    #[test]
    fn layers_have_the_pictures_format_and_its_bytes_where_masked_out(case in case()) {
        let layer = case.layer(Role::Subject);
        prop_assert_eq!(layer.raster.depth, case.picture.depth);
        prop_assert_eq!(layer.raster.channels, case.picture.channels);
        prop_assert_eq!(&layer.raster.space, &case.picture.space);
        prop_assert_eq!((layer.x as usize, layer.y as usize), (case.rect.x, case.rect.y));
        for y in 0..case.rect.height {
            for x in 0..case.rect.width {
                if layer.mask.at(x, y) == 0.0 {
                    prop_assert_eq!(pixel(&layer.raster, x, y), case.own(&case.picture, x, y));
                }
            }
        }
    }

    #[test]
    fn soft_masks_stay_soft(case in case()) {
        let layer = case.layer(Role::Background);
        let step = match case.depth {
            SelectionDepth::U8 => 1.0 / 255.0,
            SelectionDepth::U16 => 1.0 / 65535.0,
            SelectionDepth::F32 => 0.0,
        };
        for (&wanted, &got) in case.mask.data().iter().zip(layer.mask.data()) {
            let wanted = if wanted > 0.0 { wanted } else { 0.0 };
            prop_assert!((wanted - got).abs() <= step * 0.5001, "{} became {}", wanted, got);
        }
        let bytes = mask_to_bytes(&layer.mask, case.depth);
        let back = mask_from_bytes(case.rect.width, case.rect.height, &bytes, case.depth).unwrap();
        prop_assert_eq!(back, layer.mask);
    }

    #[test]
    fn full_masks_show_the_opaque_layer_itself(case in case()) {
        let layer = case.layer(Role::Subject);
        let shown = flatten(&case.picture, std::slice::from_ref(&layer)).unwrap();
        for y in 0..case.rect.height {
            for x in 0..case.rect.width {
                if layer.mask.at(x, y) == 1.0 {
                    prop_assert_eq!(case.own(&shown, x, y), pixel(&layer.raster, x, y));
                }
            }
        }
    }

    #[test]
    fn pixels_that_were_not_changed_are_the_documents_own(mut case in case()) {
        for change in &mut case.changes[1..] {
            *change = None;
        }
        let layer = case.layer(Role::Background);
        for y in 0..case.rect.height {
            for x in 0..case.rect.width {
                if (x, y) != (0, 0) {
                    prop_assert_eq!(pixel(&layer.raster, x, y), case.own(&case.picture, x, y));
                }
            }
        }
    }

    #[test]
    fn working_pixels_are_finite_and_alpha_is_where_it_belongs(case in case()) {
        let canvas = Canvas::new(&case.picture).unwrap();
        let image = canvas.image(case.rect).unwrap();
        prop_assert!(image.data().iter().flatten().all(|v| v.is_finite()));
        let alpha = canvas.alpha(case.rect);
        prop_assert_eq!(alpha.is_some(), case.picture.channels.has_alpha());
        let Some(alpha) = alpha else { return Ok(()) };
        prop_assert!(alpha.data().iter().all(|v| (0.0..=1.0).contains(v)));
        for (role, opaque) in [(Role::Subject, true), (Role::Background, false)] {
            let layer = case.layer(role);
            let got = Canvas::new(&layer.raster).unwrap().alpha(layer.mask.bounds()).unwrap();
            for (i, &m) in layer.mask.data().iter().enumerate() {
                let expected = if opaque && m > 0.0 { 1.0 } else { alpha.data()[i] };
                prop_assert_eq!(got.data()[i], expected);
            }
        }
    }
}

fn grey_layer(mask: f32, value: u8, alpha: u8) -> Layer {
    Layer {
        name: "one".into(),
        candidate: 0,
        role: Role::Subject,
        x: 0,
        y: 0,
        raster: raster(
            1,
            Depth::U8,
            Channels::GreyAlpha,
            Space::Srgb,
            vec![value, alpha],
        ),
        mask: Mask::new(1, 1, mask),
        mask_depth: SelectionDepth::F32,
    }
}

#[test]
fn over_is_the_usual_one() {
    let picture = raster(
        1,
        Depth::U8,
        Channels::GreyAlpha,
        Space::Srgb,
        vec![100, 128],
    );
    let shown = flatten(&picture, &[grey_layer(0.5, 200, 255)]).unwrap();
    // Cover 0.5 over alpha 128/255: alpha 0.5 + 0.251, colour (0.5 · 200 + 0.251 · 100) / 0.751.
    assert_eq!(shown.bytes, [167, 192]);
    let clear = flatten(&picture, &[grey_layer(1.0, 200, 0)]).unwrap();
    assert_eq!(clear.bytes, picture.bytes);
}

#[test]
fn layers_may_hang_over_the_edge_but_not_differ_in_format() {
    let picture = raster(
        2,
        Depth::U8,
        Channels::GreyAlpha,
        Space::Srgb,
        vec![1, 255, 2, 255],
    );
    let mut layer = grey_layer(1.0, 9, 255);
    (layer.x, layer.y) = (1, 0);
    layer.raster = raster(
        2,
        Depth::U8,
        Channels::GreyAlpha,
        Space::Srgb,
        vec![9, 255, 8, 255],
    );
    layer.mask = Mask::new(2, 1, 1.0);
    assert_eq!(
        flatten(&picture, &[layer.clone()]).unwrap().bytes,
        [1, 255, 9, 255]
    );
    layer.y = 7;
    assert_eq!(flatten(&picture, &[layer.clone()]).unwrap(), picture);
    layer.raster.space = Space::LinearSrgb;
    assert!(flatten(&picture, &[layer]).is_err());
}

#[test]
fn wrong_sizes_are_errors_not_panics() {
    let mut picture = raster(4, Depth::U8, Channels::Rgb, Space::Srgb, vec![7; 48]);
    let canvas = Canvas::new(&picture).unwrap();
    let rect = |x, width| Rect {
        x,
        y: 0,
        width,
        height: 1,
    };
    for bad in [rect(0, 0), rect(3, 2), rect(usize::MAX, 2), rect(9, 1)] {
        assert!(canvas.image(bad).is_err(), "{bad:?}");
        assert_eq!(canvas.alpha(bad), None);
    }
    let (image, mask) = (Image::new(2, 1, [0.0; 3]), Mask::new(1, 1, 1.0));
    let depth = SelectionDepth::U8;
    assert!(
        canvas
            .layer("x", 0, Role::Subject, rect(0, 2), &image, &mask, depth)
            .is_err()
    );
    picture.bytes.pop();
    assert!(Canvas::new(&picture).is_err());
    picture.width = 0;
    assert!(Canvas::new(&picture).is_err());
}
