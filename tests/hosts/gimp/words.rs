//! Poses in words inside both GIMPs, on a small random checkpoint: what it draws is noise, what it leaves alone must be left
//! alone.

use super::desk::{Desk, GIMPS};
use super::xcf::Xcf;
use crate::editor::alone;
use crate::tiny;

/// Puts a text model to where the plugin looks for the user's own.
pub fn with_model(desk: &Desk) {
    let folder = desk.home().join(".local/share/repose");
    tiny::install(&folder, "tiny", false);
    tiny::set_side(&folder, "tiny", 128);
}

/// One layer with a mask above the one that was there, which is what it was; it has pixels of its own where the mask says
/// so, and the old ones where the mask is 0.
#[track_caller]
pub fn check(before: &Xcf, after: &Xcf, subject: &str) {
    let base = &before.layers[0];
    let posed = format!("{subject}, re-posed");
    assert_eq!(after.names(), [posed.as_str(), &base.name]);
    assert_eq!(after.layers[1].pixels, base.pixels, "the original layer");
    let (layer, mut outside, mut changed) = (&after.layers[0], 0, 0);
    for y in 0..layer.pixels.height {
        for x in 0..layer.pixels.width {
            let (at_x, at_y) = (x + layer.x as usize, y + layer.y as usize);
            let (new, old) = (layer.pixels.at(x, y), base.pixels.at(at_x, at_y));
            let mask = layer.mask_at(at_x, at_y).unwrap();
            if mask.iter().all(|b| *b == 0) {
                outside += 1;
                assert_eq!(new, old, "{at_x}, {at_y}");
            } else {
                changed += usize::from(new != old);
            }
        }
    }
    assert!(outside > 100 && changed > 2000, "{outside}, {changed}");
    let history = after.history.as_ref().unwrap();
    for wanted in ["stable-diffusion", "tiny", "repose"] {
        assert!(history.contains(wanted), "{wanted} is not in {history}");
    }
}

#[test]
fn scripts_pose_in_words() {
    for editor in GIMPS {
        let Some(editor) = editor.found() else {
            continue;
        };
        let desk = Desk::new(editor);
        with_model(&desk);
        let _turn = alone();
        let said = desk.run(
            r#"
            (let* ((image (small 0)) (layer (base image)))
              (save image "before.xcf")
              (learn-in-words image layer "teddy" "a bear on a rock" "bear" "patch")
              (learn-in-words image layer "teddy" "a bear on a rock" "bear" "single-insert")
              (attempt "recipe" (lambda () (learn-in-words image layer "other" "a bear" "bear" "cramming")))
              (attempt "posed" (lambda () (pose-in-words image layer "teddy" "a bear waving" 2)))
              (save image "after.xcf")
              (attempt "steps" (lambda () (pose-in-words image layer "teddy" "a bear waving" 1001)))
              (close image))
            (for-each
              (lambda (stem)
                (let ((image (load-image (string-append stem ".xcf"))))
                  (flatten image)
                  (save image (string-append stem ".png"))
                  (close image)))
              '("before" "after"))"#,
        );
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("cramming"), "{editor:?}: {said:?}");
        assert_eq!(said[1], "posed: 1", "{editor:?}");
        assert!(said[2].contains("1001"), "{editor:?}: {said:?}");
        let [before, after] =
            ["before", "after"].map(|name| Xcf::read(&desk.path().join(format!("{name}.xcf"))));
        check(&before, &after, "teddy");
        // And what is seen of both: the same where the mask is 0, or no layer is.
        let [then, now] = ["before", "after"].map(|name| {
            image::open(desk.path().join(format!("{name}.png")))
                .unwrap()
                .to_rgb8()
        });
        for (x, y, pixel) in now.enumerate_pixels() {
            let mask = after.layers[0].mask_at(x as usize, y as usize);
            if mask.is_none_or(|m| m.iter().all(|b| *b == 0)) {
                assert_eq!(pixel, then.get_pixel(x, y), "{editor:?}: {x}, {y}");
            }
        }
        let learned = &desk.subjects("list")["subjects"][0];
        assert_eq!(learned["caption"], "a bear on a rock");
        assert_eq!(learned["word"], "bear");
        // The second version was taught to the text model, and posed by it.
        let versions = desk.versions_of("teddy");
        let recipes: Vec<_> = versions.iter().map(|v| v["recipe"].as_str()).collect();
        assert_eq!(recipes, [Some("patch"), Some("single-insert")]);
        assert_eq!(versions[1]["text"]["model"], "tiny");
    }
}
