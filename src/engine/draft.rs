//! Guesses at what comes next, taken from text that is there: the prompt and the reply so far.
//!
//! A coding agent's reply is mostly copies. Where the last tokens stand somewhere before, what followed them there is
//! proposed as a draft and checked by the model in the same batch as its next token. What the model says decides: a
//! draft changes how fast a reply comes, never which one (but for ties that rounding tips).
//!
//! [`Drafter`] finds drafts, [`Pace`] knows what they cost and how often they hold, and so how long one should be.
//!
//! Not for: decoding and checking them (`decode.rs`).

use std::collections::HashMap;

use super::TokenId;

/// Fewer tokens in common say nothing about the next one.
const MATCH_TOKENS_MIN: usize = 3;
/// Longer matches are not told apart.
const MATCH_TOKENS_MAX: usize = 48;
/// Places that are compared, the latest first.
const PLACES_MAX: usize = 48;
/// Tokens of one draft.
pub(super) const DRAFT_TOKENS_MAX: usize = 31;
/// Lengths that are weighed against one another.
const LENGTHS: [usize; 9] = [1, 2, 3, 5, 8, 12, 16, 24, DRAFT_TOKENS_MAX];
/// A draft must promise at least so much: the estimate is no better.
const GAIN_MIN: f32 = 1.06;

/// The text of one candidate and where each run of tokens occurs in it.
#[derive(Debug, Default)]
pub(super) struct Drafter {
    tokens: Vec<TokenId>,
    /// For each run of [`MATCH_TOKENS_MIN`] tokens, where it last ended.
    latest: HashMap<[TokenId; MATCH_TOKENS_MIN], u32>,
    /// For each end, where the same run ended before; 0 for nowhere.
    before: Vec<u32>,
}

/// A guess and how many tokens before it stood there too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) tokens: Vec<TokenId>,
    pub(super) matched: usize,
}

impl Drafter {
    pub(super) fn extend(&mut self, tokens: &[TokenId]) {
        for &token in tokens {
            self.tokens.push(token);
            self.before.push(0);
            let end = self.tokens.len();
            if let Some(run) = self.run_before(end) {
                let before = self.latest.insert(run, end as u32);
                self.before[end - 1] = before.unwrap_or(0);
            }
        }
    }

    /// Takes back the text from this length on.
    pub(super) fn truncate(&mut self, length: usize) {
        while self.tokens.len() > length {
            let end = self.tokens.len();
            if let Some(run) = self.run_before(end) {
                match self.before[end - 1] {
                    0 => drop(self.latest.remove(&run)),
                    before => drop(self.latest.insert(run, before)),
                }
            }
            self.tokens.pop();
            self.before.pop();
        }
    }

    fn run_before(&self, end: usize) -> Option<[TokenId; MATCH_TOKENS_MIN]> {
        self.tokens[..end].last_chunk().copied()
    }

    /// What followed where the longest end of the text stands once more; of equals the latest.
    pub(super) fn draft(&self, tokens_max: usize) -> Option<Draft> {
        let end = self.tokens.len();
        let mut place = self.before.last().copied().unwrap_or(0) as usize;
        let mut best = (0, 0);
        for _ in 0..PLACES_MAX {
            if place == 0 {
                break;
            }
            let here = self.tokens[..place].iter().rev();
            let matched = here.zip(self.tokens.iter().rev()).take(MATCH_TOKENS_MAX).take_while(|(a, b)| a == b).count();
            if matched > best.0 {
                best = (matched, place);
            }
            if matched == MATCH_TOKENS_MAX {
                break;
            }
            place = self.before[place - 1] as usize;
        }
        let (matched, from) = best;
        let tokens = self.tokens[from..end.min(from + tokens_max)].to_vec();
        (matched > 0 && !tokens.is_empty()).then_some(Draft { tokens, matched })
    }
}

/// Matches that are judged together, by their length.
const CLASSES: usize = 4;
/// Drafts whose cost is judged together, by their length.
const SIZES: usize = 3;
/// How much the newest measurement counts.
const NEWEST: f32 = 0.2;
/// Tried tokens that are remembered of each class.
const TRIED_MAX: f32 = 80.0;
/// Until it was measured: what a draft's token costs beside a token alone.
const COST_AT_FIRST: f32 = 0.3;

/// What was seen so far of how often drafts hold and what they cost on this machine with this model.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// Tokens that held and tokens that were tried (those after the first that failed were not), by class.
    held: [(f32, f32); CLASSES],
    /// Seconds of a batch without drafts, by its tokens.
    plain_s: HashMap<usize, f32>,
    /// Seconds of each token of a draft, by size.
    extra_s: [Option<f32>; SIZES],
}

impl Default for Pace {
    fn default() -> Self {
        // As if so many had been seen: short matches are as good as a coin, long ones mostly hold.
        let held = [(1.0, 2.5), (2.0, 3.0), (7.0, 8.0), (15.0, 16.0)];
        Self { held, plain_s: HashMap::new(), extra_s: [None; SIZES] }
    }
}

const fn class(matched: usize) -> usize {
    match matched {
        0..5 => 0,
        5..9 => 1,
        9..17 => 2,
        _ => 3,
    }
}

const fn size(drafted: usize) -> usize {
    match drafted {
        0..4 => 0,
        4..13 => 1,
        _ => 2,
    }
}

impl Pace {
    /// How many tokens of a draft are worth checking in a batch of `plain` tokens that has `drafted` already; 0 where none
    /// are.
    pub(super) fn length(&self, draft: &Draft, plain: usize, drafted: usize) -> usize {
        let Some(&plain_s) = self.plain_s.get(&plain) else { return 0 };
        let (held, tried) = self.held[class(draft.matched)];
        let chance = (held / tried).min(0.995);
        let mut best = (0, GAIN_MIN);
        for length in LENGTHS.into_iter().filter(|&length| length <= draft.tokens.len()) {
            // The first fails or holds, then the second, …: a geometric series.
            let expected = chance * (1.0 - chance.powi(length as i32)) / (1.0 - chance);
            let extra_s = self.extra_s[size(drafted + length)].unwrap_or(COST_AT_FIRST * plain_s / plain as f32);
            let slower = (plain_s + extra_s * (drafted + length) as f32) / (plain_s + extra_s * drafted as f32);
            // Those who are in the batch as well wait as long.
            let gain = (1.0 + expected / (plain + drafted) as f32) / slower;
            if gain > best.1 {
                best = (length, gain);
            }
        }
        best.0
    }

    /// A draft was checked: so many of its first tokens held.
    pub(super) fn learn_held(&mut self, matched: usize, held: usize, failed: bool) {
        let (known, tried) = &mut self.held[class(matched)];
        *known += held as f32;
        *tried += held as f32 + f32::from(u8::from(failed));
        if *tried > TRIED_MAX {
            *known *= TRIED_MAX / *tried;
            *tried = TRIED_MAX;
        }
    }

    /// A batch without prompts took so long: `plain` tokens and `drafted` ones.
    pub(super) fn learn_cost(&mut self, plain: usize, drafted: usize, seconds: f32) {
        if drafted == 0 {
            let known = self.plain_s.entry(plain).or_insert(seconds);
            *known += NEWEST * (seconds - *known);
        } else if let Some(plain_s) = self.plain_s.get(&plain) {
            let extra_s = ((seconds - plain_s) / drafted as f32).max(0.0);
            let known = self.extra_s[size(drafted)].get_or_insert(extra_s);
            *known += NEWEST * (extra_s - *known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafter(tokens: &[TokenId]) -> Drafter {
        let mut drafter = Drafter::default();
        drafter.extend(tokens);
        drafter
    }

    #[test]
    fn the_longest_match_wins_and_of_equals_the_latest() {
        let draft = drafter(&[1, 2, 3, 4, 5, 9, 2, 3, 4, 6, 1, 2, 3, 4]).draft(3).expect("it stands there");
        assert_eq!(draft, Draft { tokens: vec![5, 9, 2], matched: 4 });
        let draft = drafter(&[1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3]).draft(9).expect("it stands there");
        assert_eq!(draft, Draft { tokens: vec![5, 1, 2, 3], matched: 3 });
        assert_eq!(drafter(&[1, 2, 3, 4]).draft(9), None);
        assert_eq!(drafter(&[1, 2]).draft(9), None);
    }

    #[test]
    fn a_text_that_repeats_itself_is_its_own_draft() {
        let draft = drafter(&[7, 7, 7, 7, 7]).draft(9).expect("it stands there");
        assert_eq!(draft.tokens, [7]);
    }

    #[test]
    fn what_is_taken_back_is_never_proposed() {
        let text = [1, 2, 3, 4, 1, 2, 3, 5, 6, 1, 2, 3];
        let mut cut = drafter(&text);
        cut.truncate(4);
        cut.extend(&[1, 2, 3]);
        assert_eq!(cut.draft(2).expect("it stands there").tokens, [4, 1]);
        assert_eq!(cut.tokens.len(), 7);
        cut.truncate(0);
        cut.extend(&text);
        assert_eq!(cut.draft(1), drafter(&text).draft(1));
    }

    /// A pace that has measured: a token alone 100 ms, a draft's token 25 ms.
    fn measured() -> Pace {
        let mut pace = Pace::default();
        pace.learn_cost(1, 0, 0.1);
        for drafted in [2, 8, 20] {
            pace.learn_cost(1, drafted, 0.1 + 0.025 * drafted as f32);
        }
        pace
    }

    fn long(matched: usize) -> Draft {
        Draft { tokens: vec![1; DRAFT_TOKENS_MAX], matched }
    }

    #[test]
    fn sure_drafts_are_long_and_those_that_fail_stop() {
        let mut pace = measured();
        assert_eq!(Pace::default().length(&long(40), 1, 0), 0, "nothing is known of this machine yet");
        assert!(pace.length(&long(40), 1, 0) >= 8);
        for _ in 0..200 {
            pace.learn_held(40, 0, true);
        }
        assert_eq!(pace.length(&long(40), 1, 0), 0);
        for _ in 0..30 {
            pace.learn_held(40, 20, false);
        }
        assert!(pace.length(&long(40), 1, 0) >= 16, "and come back when they hold again");
    }

    #[test]
    fn where_a_tokens_check_costs_as_much_as_a_token_nothing_is_drafted() {
        let mut pace = Pace::default();
        pace.learn_cost(1, 0, 0.1);
        for drafted in [2, 8, 20] {
            pace.learn_cost(1, drafted, 0.1 + 0.1 * drafted as f32);
        }
        assert_eq!(pace.length(&long(40), 1, 0), 0);
    }
}
