//! Pins as text or from a JSON file.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};
use crate::select::numbers;

/// The largest pin file that is read.
const MAX_FILE: u64 = 16 << 20;

/// One point of a pose, in picture pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pin {
    /// Where the point of the subject is now.
    pub from: [f32; 2],
    /// Where it goes.
    pub to: [f32; 2],
    /// Rotation at this point in degrees, clockwise; `None` leaves it free.
    pub angle: Option<f32>,
    /// Where parts overlap, the larger depth is in front.
    pub depth: f32,
}

impl FromStr for Pin {
    type Err = String;

    /// `FROM_X,FROM_Y[:TO_X,TO_Y][@ANGLE][^DEPTH]`
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let fail =
            |what: &str| format!("{what}; a pin is FROM_X,FROM_Y[:TO_X,TO_Y][@ANGLE][^DEPTH]");
        let one = |part: &str, name: &str| match numbers(part).as_deref() {
            Ok([v]) => Ok(*v as f32),
            _ => Err(fail(&format!("{part:?} is not {name}"))),
        };
        let point = |part: &str| match numbers(part).as_deref() {
            Ok([x, y]) => Ok([*x as f32, *y as f32]),
            _ => Err(fail(&format!("{part:?} is not a point X,Y"))),
        };
        let (rest, depth) = match text.split_once('^') {
            Some((rest, depth)) => (rest, one(depth, "a depth")?),
            None => (text, 0.0),
        };
        let (rest, angle) = match rest.split_once('@') {
            Some((rest, angle)) => (rest, Some(one(angle, "an angle in degrees")?)),
            None => (rest, None),
        };
        let (from, to) = match rest.split_once(':') {
            Some((from, to)) => (point(from)?, point(to)?),
            None => (point(rest)?, point(rest)?),
        };
        Ok(Self {
            from,
            to,
            angle,
            depth,
        })
    }
}

/// A pin in a JSON file: text as on the command line, or an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Object(Object),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    from: [f32; 2],
    to: Option<[f32; 2]>,
    angle: Option<f32>,
    #[serde(default)]
    depth: f32,
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        match Written::deserialize(d)? {
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
            Written::Object(o) => Ok(Self {
                from: o.from,
                to: o.to.unwrap_or(o.from),
                angle: o.angle,
                depth: o.depth,
            }),
        }
    }
}

/// Reads a JSON list of pins: `[{"from": [120, 80], "to": [150, 60]}, "40,200"]`.
pub fn read(path: &Path) -> Result<Vec<Pin>> {
    let text = read_text(path, MAX_FILE)?;
    serde_json::from_str(&text).map_err(|e| {
        Failure::file(
            path,
            format!("not a list of pins ({e}); expected as in [{{\"from\": [120, 80], \"to\": [150, 60]}}, \"40,200\"]"),
        )
    })
}

/// Reads a text file of at most `limit` bytes.
pub fn read_text(path: &Path, limit: u64) -> Result<String> {
    let fail = |e: std::io::Error| Failure::file(path, format!("cannot be read: {e}"));
    let mut text = String::new();
    File::open(path)
        .map_err(fail)?
        .take(limit + 1)
        .read_to_string(&mut text)
        .map_err(fail)?;
    if text.len() as u64 > limit {
        return Err(Failure::file(path, format!("larger than {limit} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_every_shape() {
        let pin = |from, to, angle, depth| Pin {
            from,
            to,
            angle,
            depth,
        };
        assert_eq!(
            "120,80:150,60.5".parse(),
            Ok(pin([120.0, 80.0], [150.0, 60.5], None, 0.0))
        );
        assert_eq!(
            "40,200".parse(),
            Ok(pin([40.0, 200.0], [40.0, 200.0], None, 0.0))
        );
        assert_eq!(
            "40,200@30".parse(),
            Ok(pin([40.0, 200.0], [40.0, 200.0], Some(30.0), 0.0))
        );
        assert_eq!(
            "1,2:3,4@-5^2".parse(),
            Ok(pin([1.0, 2.0], [3.0, 4.0], Some(-5.0), 2.0))
        );
        for bad in ["", "1", "1,2:3", "1,2@x", "1,2^", "nan,2", "1,2,3"] {
            assert!(bad.parse::<Pin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn json_of_both_shapes() {
        let pins: Vec<Pin> = serde_json::from_str(
            r#"[{"from": [1, 2], "to": [3, 4], "depth": 1}, "5,6", {"from": [7, 8], "angle": 9}]"#,
        )
        .expect("a list of pins");
        assert_eq!(pins[0].to, [3.0, 4.0]);
        assert_eq!(pins[1], "5,6".parse().expect("a pin"));
        assert_eq!((pins[2].to, pins[2].angle), ([7.0, 8.0], Some(9.0)));
        assert!(serde_json::from_str::<Vec<Pin>>(r#"[{"form": [1, 2]}]"#).is_err());
    }
}
