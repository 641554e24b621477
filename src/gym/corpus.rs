//! Many rows from one seed: which families, levels and kinds, in which shares. Row `i` depends on the
//! specification and `i` alone, so a corpus can be made in parallel and continued.

use serde::{Deserialize, Serialize};

use super::dice::Dice;
use super::row::{Kind, Row, Style, Wanted};
use super::{Family, LEVEL_MAX, Split, draw};
use crate::prompt::{PromptError, Prompts};

/// What a corpus is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Corpus {
    pub seed: u64,
    pub split: Split,
    pub style: Style,
    /// Families and their shares; a share is a weight, not a percentage.
    pub families: Vec<(Family, u32)>,
    /// Levels, each as likely as the others.
    pub levels: Vec<u8>,
    /// Rows in a hundred that are cut and hinted, and that revise a failed attempt.
    pub hinted_percent: u64,
    pub revised_percent: u64,
    /// Problems in a hundred that are asked without an example, where the words suffice.
    pub bare_percent: u64,
}

impl Corpus {
    /// The shares that z1-nano is trained with.
    pub fn training(seed: u64) -> Self {
        Self {
            seed,
            split: Split::Train,
            style: Style::Mixed,
            families: vec![
                (Family::Write, 22),
                (Family::Calc, 13),
                (Family::Plan, 16),
                (Family::Infer, 15),
                (Family::Fix, 7),
                (Family::Edit, 13),
                (Family::Drill, 14),
            ],
            levels: (0..=LEVEL_MAX).collect(),
            hinted_percent: 10,
            revised_percent: 5,
            bare_percent: 12,
        }
    }

    /// Whole trajectories of the judged families in equal shares: what a model is measured on.
    pub fn measuring(seed: u64, split: Split) -> Self {
        Self {
            split,
            families: Family::JUDGED.iter().map(|&family| (family, 1)).collect(),
            hinted_percent: 0,
            revised_percent: 0,
            bare_percent: 0,
            ..Self::training(seed)
        }
    }

    /// Row number `index`.
    ///
    /// # Errors
    /// A prompt file that does not render.
    ///
    /// # Panics
    /// Where the specification names no family or no level.
    pub fn row(&self, index: u64, prompts: &Prompts) -> Result<Row, PromptError> {
        let mut dice = Dice::new(self.seed.rotate_left(17), index);
        let family = self.family(&mut dice);
        let level = if family == Family::Drill { 0 } else { *dice.pick(&self.levels) };
        let chance = dice.next() % 100;
        let kind = if chance < self.hinted_percent {
            Kind::Hinted
        } else if chance < self.hinted_percent + self.revised_percent {
            Kind::Revised
        } else {
            Kind::Whole
        };
        let id = format!("{}-{level}-{}-{index}", family.name(), self.seed);
        let mut problem = draw(family, level, self.split, self.seed, index);
        let told = matches!(family, Family::Write | Family::Calc | Family::Plan);
        if told && kind != Kind::Revised && dice.percent(self.bare_percent) {
            problem = problem.unillustrated();
        }
        Row::new(problem, Wanted { id, split: self.split, style: self.style, kind }, prompts, &mut dice)
    }

    fn family(&self, dice: &mut Dice) -> Family {
        let total: u32 = self.families.iter().map(|(_, share)| share).sum();
        let mut left = dice.below(total as usize) as u32;
        for &(family, share) in &self.families {
            if left < share {
                return family;
            }
            left -= share;
        }
        unreachable!("invariant: a number below the total of the shares falls into one of them")
    }
}
