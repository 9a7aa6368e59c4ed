//! What each step of a run computes: all of it unless fewer passes are asked for.

/// What one step computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Both with and without the prompt (classifier-free guidance); else with it alone.
    pub guided: bool,
    /// All of the network; else deep features are those of the last step that was whole.
    pub whole: bool,
}

/// What a fine pass takes of a whole one's time: by count of multiplications a quarter of SD 1.5's at 512 pixels.
const FINE: f32 = 0.25;

impl Turn {
    /// What it takes, in whole passes of one sample: the reference, and the prompt with or also without guidance.
    pub fn passes(self) -> f32 {
        let samples = if self.guided { 3.0 } else { 2.0 };
        samples * if self.whole { 1.0 } else { FINE }
    }
}

/// The turns of a run of `steps` steps. The share `guided` of them, from the start, are guided (from limited intervals of
/// guidance, arXiv 2404.07724); of `reuse` steps one is whole, and so is the first without guidance, for it has no features
/// to reuse.
pub fn turns(steps: usize, guided: f64, reuse: usize) -> Vec<Turn> {
    let guided = (steps as f64 * guided).round() as usize;
    let mut whole = 0;
    (0..steps)
        .map(|step| {
            if step == guided || step - whole >= reuse {
                whole = step;
            }
            Turn {
                guided: step < guided,
                whole: step == whole,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G or g: with guidance, A or a: without; large: whole.
    fn spelled(steps: usize, guided: f64, reuse: usize) -> String {
        let letter = |turn: &Turn| match (turn.guided, turn.whole) {
            (true, true) => 'G',
            (true, false) => 'g',
            (false, true) => 'A',
            (false, false) => 'a',
        };
        turns(steps, guided, reuse).iter().map(letter).collect()
    }

    #[test]
    fn turns_are_whole_and_guided_unless_fewer_are_asked_for() {
        assert_eq!(spelled(5, 1.0, 1), "GGGGG");
        assert_eq!(spelled(5, 0.0, 1), "AAAAA");
        assert_eq!(spelled(6, 0.5, 1), "GGGAAA");
        assert_eq!(spelled(7, 1.0, 3), "GggGggG");
        assert_eq!(spelled(6, 0.0, 4), "AaaaAa");
        // The features of a guided pass are not those of one without.
        assert_eq!(spelled(9, 0.5, 3), "GggGgAaaA");
        assert_eq!(spelled(3, 1.0, 10), "Ggg");
        // Half a step is one.
        assert_eq!(spelled(3, 0.5, 1), "GGA");
        assert_eq!(
            spelled(20, f64::from(0.6_f32), 1),
            "G".repeat(12) + &"A".repeat(8)
        );
        assert_eq!(spelled(0, 0.5, 2), "");
    }
}
