//! Every kind of picture comes out as it went in: precision, channels, profile, and which side is up.

use std::fs::{self, File};

use image::{DynamicImage, ImageEncoder};

use super::results::{has_history, same_outside};
use super::tool::{Desk, SIZE, cover, decode, mask, photo8, photo16, profile, unzip};

#[test]
fn sixteen_bits_and_the_profile_stay() {
    let desk = Desk::new();
    desk.photo();
    let icc = profile();
    let photo = photo16();
    let mut encoder =
        image::codecs::png::PngEncoder::new(File::create(desk.path("deep.png")).unwrap());
    encoder.set_icc_profile(icc.clone()).unwrap();
    let bytes: Vec<u8> = photo.iter().flat_map(|v| v.to_ne_bytes()).collect();
    encoder
        .write_image(&bytes, SIZE.0, SIZE.1, image::ExtendedColorType::Rgb16)
        .unwrap();
    let before = DynamicImage::from(photo);
    for out in ["out.png", "out.tif", "out.ora"] {
        desk.repose(&["erase", "deep.png", "-s", "photo_mask.png", "-o", out])
            .expect(0);
        let path = desk.path(out);
        let path = if out == "out.ora" {
            // Read back through the program's own reader of OpenRaster, and from the archive.
            let merged = desk.path("merged.png");
            fs::write(&merged, unzip(&path, "mergedimage.png")).unwrap();
            let info = desk.repose(&["--json", "info", out]).expect(0).json();
            assert_eq!(
                (&info["depth"], &info["icc_bytes"]),
                (&"16-bit".into(), &icc.len().into())
            );
            merged
        } else {
            path
        };
        let (after, kept, xmp) = decode(&path);
        same_outside(&before, &after, |x, y| cover(x, y) > 0.0);
        assert!(before != after, "{out}: the erase changed nothing");
        assert_eq!(kept.as_deref(), Some(&icc[..]), "{out}");
        has_history(xmp.as_deref(), "erase");
    }
}

#[test]
fn floats_stay_floats() {
    let desk = Desk::new();
    desk.photo();
    let mut values: Vec<f32> = photo16().iter().map(|v| f32::from(*v) / 65535.0).collect();
    // A light brighter than white, outside the selection.
    values[0] = 7.5;
    let mut file = File::create(desk.path("light.tif")).unwrap();
    tiff::encoder::TiffEncoder::new(&mut file)
        .unwrap()
        .write_image::<tiff::encoder::colortype::RGB32Float>(SIZE.0, SIZE.1, &values)
        .unwrap();
    desk.repose(&[
        "erase",
        "light.tif",
        "-s",
        "photo_mask.png",
        "-o",
        "out.tif",
    ])
    .expect(0);
    same_outside(
        &image::open(desk.path("light.tif")).unwrap(),
        &image::open(desk.path("out.tif")).unwrap(),
        |x, y| cover(x, y) > 0.0,
    );
    for out in ["out.png", "out.ora"] {
        let ran = desk
            .repose(&["erase", "light.tif", "-s", "photo_mask.png", "-o", out])
            .expect(2);
        assert!(ran.err.contains(".tif"), "{}", ran.err);
    }
}

#[test]
fn grey_and_alpha_stay() {
    let desk = Desk::new();
    desk.photo();
    let grey = DynamicImage::from(photo8()).to_luma8();
    grey.save(desk.path("grey.png")).unwrap();
    let mut clear = DynamicImage::from(photo8()).to_rgba8();
    for (x, y, pixel) in clear.enumerate_pixels_mut() {
        pixel[3] = if x > 80 { (y * 3) as u8 } else { 255 };
    }
    clear.save(desk.path("clear.png")).unwrap();
    for name in ["grey.png", "clear.png"] {
        desk.repose(&["erase", name, "-s", "photo_mask.png", "-o", "out.png"])
            .expect(0);
        same_outside(
            &image::open(desk.path(name)).unwrap(),
            &image::open(desk.path("out.png")).unwrap(),
            |x, y| cover(x, y) > 0.0,
        );
    }
}

#[test]
fn a_photo_is_turned_upright() {
    let desk = Desk::new();
    // A TIFF with orientation 6: its camera was held on its side.
    let mut file = File::create(desk.path("side.tif")).unwrap();
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut file).unwrap();
    let mut picture = encoder
        .new_image::<tiff::encoder::colortype::RGB8>(SIZE.0, SIZE.1)
        .unwrap();
    picture
        .encoder()
        .write_tag(tiff::tags::Tag::Orientation, 6u16)
        .unwrap();
    picture.write_data(photo8().as_raw()).unwrap();
    let turned = image::imageops::rotate90(&mask());
    turned.save(desk.path("turned.png")).unwrap();
    let ran = desk
        .repose(&["erase", "side.tif", "-s", "turned.png", "-o", "out.png"])
        .expect(0);
    assert!(ran.err.contains("upright"), "{}", ran.err);
    same_outside(
        &image::imageops::rotate90(&photo8()).into(),
        &image::open(desk.path("out.png")).unwrap(),
        |x, y| turned.get_pixel(x, y)[0] > 0,
    );
}
