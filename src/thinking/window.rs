//! The phase machine itself: Thinking → Shifting → Answering → Done.
//!
//! Not for: detecting loops (`loops.rs`) or assembling text (`utf8.rs`).

use serde::{Deserialize, Serialize};

use super::utf8::CharTail;
use super::{LoopDetector, TokenId, WindowSpec};
use crate::task::{Finish, ShiftReason};

/// Tokens that a cut at W may wait for the rest of a character: UTF-8 needs at most three more bytes, and
/// the smallest token is one byte. A stream that is still inside a character after that is no text (or its
/// tokens straddle characters again and again); then the cut is made and the unfinished bytes are not shown.
pub(crate) const CHARACTER_TOKENS_MAX: u32 = 3;

/// The last part of the window in which a line end is taken as the place to cut: at most this many tokens…
const LINE_END_TOKENS_MAX: u32 = 32;
/// … and at most this fraction of the window.
const LINE_END_FRACTION: u32 = 16;

/// Where a generation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Thinking,
    /// The hint is being forced.
    Shifting,
    Answering,
    Done,
}

/// What to do after a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Decode the token and sample the next one.
    Keep,
    /// Decode the token, then these tokens, call [`Window::hint_done`], and sample on.
    Force(Vec<TokenId>),
    /// The generation is over.
    Stop(Finish),
}

/// Token counts so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub thinking_tokens: u32,
    pub forced_tokens: u32,
    pub answer_tokens: u32,
}

/// One generation's thinking window.
///
/// Call [`Window::begin`] before the first token and [`Window::step`] for each sampled one. Between two
/// steps the window may be moved by [`Window::answer_now`] and [`Window::think_more`].
#[derive(Clone, Debug)]
pub struct Window {
    hint: Vec<TokenId>,
    /// Tokens that thinking and answer may use together; the hint's are already taken off.
    usable_tokens: u32,
    /// What the caller asked for, before the room was looked at.
    answer_tokens_wanted: u32,
    thinking_tokens_max: u32,
    answer_tokens_max: u32,
    /// False where the context has not even room for the hint and one token.
    can_shift: bool,
    paper_exact: bool,
    phase: Phase,
    counts: Counts,
    shifted: Option<ShiftReason>,
    /// Set from outside or by the detector; honoured at the next character boundary.
    due: Option<ShiftReason>,
    overdue_tokens: u32,
    tail: CharTail,
    loops: LoopDetector,
}

impl Window {
    /// A window for a generation that may use `room_tokens` more tokens of context, hint included.
    ///
    /// Where the room is too small for everything that `spec` asks for, the answer keeps at least half of
    /// what is left after the hint, so that no window can leave an empty answer.
    pub fn new(spec: &WindowSpec, hint: Vec<TokenId>, room_tokens: u32) -> Self {
        let hint_tokens = hint.len() as u32;
        let can_shift = room_tokens > hint_tokens.saturating_add(CHARACTER_TOKENS_MAX);
        let usable_tokens = if can_shift { room_tokens - hint_tokens - CHARACTER_TOKENS_MAX } else { room_tokens };
        let mut window = Self {
            hint,
            usable_tokens,
            answer_tokens_wanted: spec.answer_tokens_max.max(1),
            thinking_tokens_max: 0,
            answer_tokens_max: 0,
            can_shift,
            paper_exact: spec.paper_exact,
            phase: Phase::Thinking,
            counts: Counts::default(),
            shifted: None,
            due: None,
            overdue_tokens: 0,
            tail: CharTail::default(),
            loops: LoopDetector::default(),
        };
        window.allot(spec.thinking_tokens_max);
        window
    }

    /// Divides the usable tokens between thinking (at most `wanted`) and answer.
    fn allot(&mut self, wanted: u32) {
        if !self.can_shift {
            (self.thinking_tokens_max, self.answer_tokens_max) = (self.usable_tokens, 0);
            return;
        }
        let answer_floor = self.answer_tokens_wanted.min(self.usable_tokens.div_ceil(2));
        self.thinking_tokens_max = wanted.min(self.usable_tokens - answer_floor);
        self.answer_tokens_max = self.answer_tokens_wanted.min(self.usable_tokens - self.thinking_tokens_max);
    }

    /// What to do before the first token: with an empty window the hint comes at once.
    pub fn begin(&mut self) -> Step {
        if self.usable_tokens == 0 {
            return self.stop(Finish::ContextFull);
        }
        if self.due.is_none() && self.thinking_tokens_max == 0 {
            self.due = Some(ShiftReason::Budget);
        }
        self.shift_if_due()
    }

    /// Takes one sampled token and says what to do next.
    ///
    /// `bytes` is the token's text, which may be part of a character. An end-of-turn token is not counted:
    /// it has no text and is not decoded.
    ///
    /// # Panics
    /// Where the hint is still being forced: forced tokens are not sampled and do not come here.
    pub fn step(&mut self, bytes: &[u8], end_of_turn: bool) -> Step {
        match self.phase {
            Phase::Done => Step::Stop(Finish::Stopped),
            Phase::Shifting => panic!("invariant: hint_done is called before the next token is sampled"),
            Phase::Thinking | Phase::Answering if end_of_turn => self.stop(Finish::EndOfTurn),
            Phase::Thinking => self.think(bytes),
            Phase::Answering => {
                self.counts.answer_tokens += 1;
                if self.counts.answer_tokens >= self.answer_tokens_max {
                    return self.stop(Finish::AnswerLimit);
                }
                Step::Keep
            }
        }
    }

    fn think(&mut self, bytes: &[u8]) -> Step {
        self.counts.thinking_tokens += 1;
        self.tail.feed(bytes);
        if self.due.is_none() && self.at_cap(bytes) {
            self.due = Some(ShiftReason::Budget);
        }
        // The detector is fed always, so that a window that was widened has seen everything.
        if !self.paper_exact && self.loops.push(bytes) && self.due.is_none() {
            self.due = Some(ShiftReason::Loop);
        }
        if !self.can_shift {
            let full = self.counts.thinking_tokens >= self.usable_tokens;
            return if full { self.stop(Finish::ContextFull) } else { Step::Keep };
        }
        self.shift_if_due()
    }

    /// Whether the window is used up, or nearly so with a line just ended.
    fn at_cap(&self, bytes: &[u8]) -> bool {
        let left = self.thinking_tokens_max.saturating_sub(self.counts.thinking_tokens);
        let allowance = (self.thinking_tokens_max / LINE_END_FRACTION).min(LINE_END_TOKENS_MAX);
        left == 0 || (!self.paper_exact && left <= allowance && bytes.ends_with(b"\n"))
    }

    fn shift_if_due(&mut self) -> Step {
        let Some(why) = self.due.filter(|_| self.can_shift) else { return Step::Keep };
        if self.tail.inside_character() && self.overdue_tokens < CHARACTER_TOKENS_MAX {
            self.overdue_tokens += 1;
            return Step::Keep;
        }
        self.phase = Phase::Shifting;
        self.shifted = Some(why);
        self.counts.forced_tokens = self.hint.len() as u32;
        Step::Force(self.hint.clone())
    }

    /// The hint has been decoded; what is sampled from here on is the answer.
    ///
    /// # Panics
    /// Where no hint was asked for.
    pub fn hint_done(&mut self) {
        assert_eq!(self.phase, Phase::Shifting, "invariant: hint_done follows Step::Force");
        self.phase = Phase::Answering;
    }

    /// Shifts at the next token. Returns whether that changes anything.
    pub fn answer_now(&mut self) -> bool {
        let changes = self.phase == Phase::Thinking && self.can_shift && self.due.is_none();
        if changes {
            self.due = Some(ShiftReason::AnswerNow);
        }
        changes
    }

    /// Widens the window by `tokens` and returns by how many it became wider: less where the context or the
    /// answer's reserve is in the way, 0 after the shift. Widening takes back a cut that waits for a
    /// character to end.
    pub fn think_more(&mut self, tokens: u32) -> u32 {
        if self.phase != Phase::Thinking || !self.can_shift {
            return 0;
        }
        let before = self.thinking_tokens_max;
        self.allot(before.saturating_add(tokens));
        let granted = self.thinking_tokens_max.saturating_sub(before);
        if granted > 0 && self.due == Some(ShiftReason::Budget) {
            (self.due, self.overdue_tokens) = (None, 0);
        }
        granted
    }

    /// Ends the generation for a reason from outside.
    pub fn stop(&mut self, finish: Finish) -> Step {
        self.phase = Phase::Done;
        Step::Stop(finish)
    }

    pub const fn phase(&self) -> Phase {
        self.phase
    }

    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Why the window shifted, where it has.
    pub const fn shifted(&self) -> Option<ShiftReason> {
        self.shifted
    }

    /// The window in force: what was asked for, less what the context has no room for.
    pub const fn thinking_tokens_max(&self) -> u32 {
        self.thinking_tokens_max
    }

    /// The answer's allowance in force.
    pub const fn answer_tokens_max(&self) -> u32 {
        self.answer_tokens_max
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(thinking: u32, answer: u32, paper_exact: bool) -> WindowSpec {
        WindowSpec { thinking_tokens_max: thinking, answer_tokens_max: answer, hint: String::new(), paper_exact }
    }

    const HINT: [TokenId; 3] = [7, 8, 9];

    #[test]
    fn a_model_that_ends_by_itself_is_left_alone() {
        let mut window = Window::new(&spec(10, 5, false), HINT.to_vec(), 1000);
        assert_eq!(window.begin(), Step::Keep);
        assert_eq!(window.step(b"hello", false), Step::Keep);
        assert_eq!(window.step(b"", true), Step::Stop(Finish::EndOfTurn));
        assert_eq!(window.counts(), Counts { thinking_tokens: 1, forced_tokens: 0, answer_tokens: 0 });
        assert_eq!(window.shifted(), None);
    }

    #[test]
    fn paper_mode_cuts_exactly_at_w_and_gives_the_answer_its_own_allowance() {
        let mut window = Window::new(&spec(3, 2, true), HINT.to_vec(), 1000);
        assert_eq!(window.begin(), Step::Keep);
        assert_eq!(window.step(b"a\n", false), Step::Keep);
        assert_eq!(window.step(b"b\n", false), Step::Keep);
        assert_eq!(window.step(b"c", false), Step::Force(HINT.to_vec()));
        window.hint_done();
        assert_eq!(window.step(b"d", false), Step::Keep);
        assert_eq!(window.step(b"e", false), Step::Stop(Finish::AnswerLimit));
        assert_eq!(window.counts(), Counts { thinking_tokens: 3, forced_tokens: 3, answer_tokens: 2 });
        assert_eq!(window.shifted(), Some(ShiftReason::Budget));
    }

    #[test]
    fn an_empty_window_answers_at_once() {
        let mut window = Window::new(&spec(0, 2, false), HINT.to_vec(), 1000);
        assert_eq!(window.begin(), Step::Force(HINT.to_vec()));
    }

    #[test]
    fn near_the_cap_a_line_end_is_the_place_to_cut() {
        let mut window = Window::new(&spec(64, 9, false), Vec::new(), 1000);
        window.begin();
        for n in 0..60 {
            assert_eq!(window.step(if n % 2 == 0 { b"x\n" } else { b"yz" }, false), Step::Keep, "token {n}");
        }
        assert_eq!(window.step(b".\n", false), Step::Force(Vec::new()));
        assert_eq!(window.counts().thinking_tokens, 61);
    }

    #[test]
    fn a_cut_waits_for_the_character_to_end() {
        let euro = "€".as_bytes();
        let mut window = Window::new(&spec(1, 9, true), HINT.to_vec(), 1000);
        window.begin();
        assert_eq!(window.step(&euro[..1], false), Step::Keep);
        assert_eq!(window.step(&euro[1..2], false), Step::Keep);
        assert_eq!(window.step(&euro[2..], false), Step::Force(HINT.to_vec()));
    }

    #[test]
    fn answer_now_shifts_at_the_next_token_and_think_more_moves_the_cap() {
        let mut window = Window::new(&spec(2, 9, false), HINT.to_vec(), 1000);
        window.begin();
        assert_eq!(window.step(b"a", false), Step::Keep);
        assert_eq!(window.think_more(2), 2);
        assert_eq!(window.step(b"b", false), Step::Keep);
        assert!(window.answer_now());
        assert_eq!(window.step(b"c", false), Step::Force(HINT.to_vec()));
        assert_eq!(window.shifted(), Some(ShiftReason::AnswerNow));
        assert_eq!(window.think_more(5), 0, "too late");
        assert!(!window.answer_now(), "too late");
    }

    #[test]
    fn a_loop_shifts_early_but_not_in_paper_mode() {
        for (paper, expected) in [(false, Some(ShiftReason::Loop)), (true, None)] {
            let mut window = Window::new(&spec(2000, 9, paper), Vec::new(), 10_000);
            window.begin();
            for _ in 0..200 {
                if window.step(b"Wait, I should check that again. ", false) != Step::Keep {
                    break;
                }
            }
            assert_eq!(window.shifted(), expected);
        }
    }

    #[test]
    fn a_room_without_place_for_the_hint_ends_as_a_full_context() {
        let mut window = Window::new(&spec(100, 100, false), HINT.to_vec(), 2);
        assert_eq!(window.begin(), Step::Keep);
        assert_eq!(window.step(b"a", false), Step::Keep);
        assert_eq!(window.step(b"b", false), Step::Stop(Finish::ContextFull));
        assert_eq!(Window::new(&spec(1, 1, false), Vec::new(), 0).begin(), Step::Stop(Finish::ContextFull));
    }

    /// What may happen to a running window.
    #[derive(Clone, Debug)]
    enum Act {
        Token(Vec<u8>),
        End,
        AnswerNow,
        ThinkMore(u32),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            20 => proptest::collection::vec(any::<u8>(), 0..6).prop_map(Act::Token),
            10 => "[a-z \\n€é]{1,4}".prop_map(|s: String| Act::Token(s.into_bytes())),
            1 => Just(Act::End),
            1 => Just(Act::AnswerNow),
            1 => (0u32..50).prop_map(Act::ThinkMore),
        ];
        proptest::collection::vec(act, 0..400)
    }

    proptest! {
        #[test]
        fn budgets_hold_for_any_stream_and_any_commands(
            thinking in 0u32..200, answer in 0u32..100, hint in 0usize..20, room in 0u32..400,
            paper in any::<bool>(), acts in acts(),
        ) {
            let mut window = Window::new(&spec(thinking, answer, paper), vec![1; hint], room);
            prop_assert!(room <= hint as u32 + 3 || window.answer_tokens_max() >= 1, "an empty answer");
            let mut granted = 0;
            let mut step = window.begin();
            for act in acts {
                if let Step::Force(tokens) = &step {
                    prop_assert_eq!(tokens.len(), hint);
                    window.hint_done();
                }
                if matches!(step, Step::Stop(_)) { break; }
                step = match act {
                    Act::Token(bytes) => window.step(&bytes, false),
                    Act::End => window.step(b"", true),
                    Act::AnswerNow => { window.answer_now(); Step::Keep }
                    Act::ThinkMore(n) => { granted += window.think_more(n); Step::Keep }
                };
                let counts = window.counts();
                let used = counts.thinking_tokens + counts.forced_tokens + counts.answer_tokens;
                prop_assert!(used <= room, "{used} of {room}");
                if window.can_shift {
                    prop_assert!(counts.thinking_tokens <= thinking + granted + CHARACTER_TOKENS_MAX);
                }
                prop_assert!(counts.answer_tokens <= answer.max(1));
                prop_assert!(window.shifted().is_none() || window.answer_tokens_max() >= 1);
            }
        }

        #[test]
        fn a_valid_text_is_never_cut_inside_a_character(
            text in "[a-z€é日🦀\\n ]{1,300}", thinking in 0u32..100, sizes in proptest::collection::vec(1usize..5, 1200),
            paper in any::<bool>(),
        ) {
            let mut window = Window::new(&spec(thinking, 10, paper), vec![1], 10_000);
            let mut kept = Vec::new();
            let mut step = window.begin();
            let mut sizes = sizes.into_iter();
            // Every token is a character or a part of one, as in a byte-level vocabulary.
            for character in text.chars() {
                let mut rest = character.to_string().into_bytes();
                while step == Step::Keep && !rest.is_empty() {
                    let after = rest.split_off(sizes.next().unwrap_or(1).min(rest.len()));
                    kept.extend_from_slice(&rest);
                    step = window.step(&rest, false);
                    rest = after;
                }
            }
            if matches!(step, Step::Force(_)) {
                prop_assert!(std::str::from_utf8(&kept).is_ok());
            }
        }
    }
}
