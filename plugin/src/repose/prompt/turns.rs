//! What each step of a run computes: all of it unless fewer passes are asked for.

/// What one step computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// What the second sample does without (classifier-free guidance); `None`: there is none, the prompt is looked at alone.
    pub lacks: Option<Lacks>,
    /// Whether the subject's look is held up.
    pub looks: bool,
    /// Whether the model is what subjects made of it when they were learned, and is told their words; else it is as it was
    /// before, and is told what they are.
    pub learned: bool,
    /// All of the network; else deep features are those of the last step that was whole.
    pub whole: bool,
}

/// What guidance leads to: a second sample does without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacks {
    /// The prompt, and the subject's look.
    Both,
    /// The look alone: DreamTuner's ε^r (arXiv 2312.13691, §3.3).
    Look,
    /// The prompt alone: its ε^c.
    Prompt,
}

/// What a fine pass takes of a whole one's time: by count of multiplications a quarter of SD 1.5's at 512 pixels.
const FINE: f32 = 0.25;

impl Turn {
    /// What it takes, in whole passes of one sample: so many pictures of the subject where it looks at them, and the prompt with
    /// or also without guidance.
    pub fn passes(self, looks: usize) -> f32 {
        let looks = if self.looks { looks } else { 0 };
        let samples = looks as f32 + if self.lacks.is_some() { 2.0 } else { 1.0 };
        samples * if self.whole { 1.0 } else { FINE }
    }
}

/// Shares of a run's steps, from its start.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    /// Those that are guided (from limited intervals of guidance, arXiv 2404.07724).
    pub guided: f64,
    /// Those that look at the subject.
    pub looked: f64,
    /// Those without what was learned of it.
    pub delayed: f64,
}

/// The turns of a run of `steps` steps. Of `reuse` steps one is whole, and so is each whose samples are of another kind than
/// those of the step before, for it has no features to reuse. `lacks` is asked for each guided step.
pub fn turns(
    steps: usize,
    shares: Shares,
    reuse: usize,
    lacks: &mut dyn FnMut() -> Lacks,
) -> Vec<Turn> {
    let share = |of: f64| (steps as f64 * of).round() as usize;
    let (guided, looked) = (share(shares.guided), share(shares.looked));
    // A run of one step has what was learned.
    let delayed = (steps as f64 * shares.delayed) as usize;
    let (mut whole, mut before) = (0, None);
    (0..steps)
        .map(|step| {
            let lacks = (step < guided).then(&mut *lacks);
            let learned = step >= delayed;
            let kind = (lacks, learned);
            if before.replace(kind) != Some(kind) || step - whole >= reuse {
                whole = step;
            }
            Turn {
                lacks,
                looks: step < looked,
                learned,
                whole: step == whole,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G or g: with guidance, A or a: without, L or l and P or p: guided by the look or the prompt alone; large: whole.
    fn letters(turns: &[Turn]) -> String {
        let letter = |turn: &Turn| {
            let letter = match turn.lacks {
                Some(Lacks::Both) => 'G',
                Some(Lacks::Look) => 'L',
                Some(Lacks::Prompt) => 'P',
                None => 'A',
            };
            match turn.whole {
                true => letter,
                false => letter.to_ascii_lowercase(),
            }
        };
        turns.iter().map(letter).collect()
    }

    const ALL: Shares = Shares {
        guided: 1.0,
        looked: 1.0,
        delayed: 0.0,
    };

    fn spelled(steps: usize, guided: f64, reuse: usize) -> String {
        let shares = Shares { guided, ..ALL };
        letters(&turns(steps, shares, reuse, &mut || Lacks::Both))
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

    #[test]
    fn features_of_samples_of_another_kind_are_not_reused() {
        let mut kinds = [Lacks::Look, Lacks::Look, Lacks::Prompt, Lacks::Look].into_iter();
        let guided = Shares { guided: 0.6, ..ALL };
        let made = turns(6, guided, 10, &mut || kinds.next().unwrap_or(Lacks::Both));
        assert_eq!(letters(&made), "LlPLAa");
        let delayed = Shares {
            delayed: 0.4,
            ..ALL
        };
        let made = turns(6, delayed, 10, &mut || Lacks::Both);
        assert_eq!(letters(&made), "GgGggg");
        let learned: Vec<bool> = made.iter().map(|turn| turn.learned).collect();
        assert_eq!(learned, [false, false, true, true, true, true]);
        assert!(turns(1, delayed, 1, &mut || Lacks::Both)[0].learned);
    }

    #[test]
    fn the_subject_is_looked_at_from_the_start_on() {
        let half = Shares { looked: 0.5, ..ALL };
        let made = turns(5, half, 1, &mut || Lacks::Both);
        let looks: Vec<bool> = made.iter().map(|turn| turn.looks).collect();
        assert_eq!(looks, [true, true, true, false, false]);
        let passes: Vec<f32> = made.iter().map(|turn| turn.passes(2)).collect();
        assert_eq!(passes, [4.0, 4.0, 4.0, 2.0, 2.0]);
    }
}
