//! The phase machine itself: Thinking → Shifting → Answering → Done.
//!
//! Not for: reading what is said (`reader.rs`), or knowing when it is complete (`stop.rs`).

use serde::{Deserialize, Serialize};

use super::reader::{Read, Reader};
use super::utf8::CharTail;
use super::{StopPolicy, ThinkSpec, TokenId, WindowSpec};
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

/// Loops that a generation is brought out of; the next one ends it.
const LOOPS_MAX: u32 = 1;

/// A forced text and its tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    pub text: String,
    pub tokens: Vec<TokenId>,
}

/// What to do after a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Decode the token and sample the next one.
    Keep,
    /// Decode the token, then these tokens, call [`Window::hint_done`], and sample on.
    Force(Hint),
    /// The text goes round in circles: take the last `tokens` sampled tokens back, this one included, as if they had
    /// never been said.
    Rewind { tokens: u32, then: Then },
    /// The generation is over; the token belongs to it.
    Stop(Finish),
    /// The generation is over, and this token is none of it.
    Drop(Finish),
}

/// What comes after a rewind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Force this, as [`Step::Force`] does.
    Force(Hint),
    /// Draw again from there, more freely.
    Retry,
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
    hint: Hint,
    /// The hint inside think tags.
    closing_hint: Hint,
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
    reader: Reader,
    stop: StopPolicy,
    loops: u32,
}

impl Window {
    /// A window for a generation that may use `room_tokens` more tokens of context, hint included.
    ///
    /// Where the room is too small for everything that `spec` asks for, the answer keeps at least half of
    /// what is left after the hint, so that no window can leave an empty answer.
    pub fn new(spec: &WindowSpec, tokenize: &dyn Fn(&str) -> Vec<TokenId>, room_tokens: u32) -> Self {
        let forced = |text: String| Hint { tokens: tokenize(&text), text };
        let hint = forced(spec.hint.clone());
        let think = spec.think.as_ref().filter(|_| !spec.paper_exact);
        let closing_hint = think.map_or_else(|| hint.clone(), |think| forced(closing(think, &spec.hint)));
        let hint_tokens = hint.tokens.len().max(closing_hint.tokens.len()) as u32;
        let can_shift = room_tokens > hint_tokens.saturating_add(CHARACTER_TOKENS_MAX);
        let usable_tokens = if can_shift { room_tokens - hint_tokens - CHARACTER_TOKENS_MAX } else { room_tokens };
        let mut window = Self {
            hint,
            closing_hint,
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
            reader: Reader::new(think),
            stop: spec.stop,
            loops: 0,
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
            Phase::Answering => self.answer(bytes),
        }
    }

    fn think(&mut self, bytes: &[u8]) -> Step {
        self.counts.thinking_tokens += 1;
        self.tail.feed(bytes);
        // It reads always, so that a window that was widened has seen everything.
        let read = self.reader.take(bytes);
        if let Some(step) = self.complete_or_looping(read) {
            return step;
        }
        if read.thinking_ended && !self.paper_exact {
            return self.answer_by_itself();
        }
        if self.due.is_none() && self.at_cap(bytes) {
            self.due = Some(ShiftReason::Budget);
        }
        if !self.can_shift {
            let full = self.counts.thinking_tokens >= self.usable_tokens;
            return if full { self.stop(Finish::ContextFull) } else { Step::Keep };
        }
        self.shift_if_due()
    }

    fn answer(&mut self, bytes: &[u8]) -> Step {
        self.counts.answer_tokens += 1;
        self.tail.feed(bytes);
        let read = self.reader.take(bytes);
        if let Some(step) = self.complete_or_looping(read) {
            return step;
        }
        if self.counts.answer_tokens >= self.answer_tokens_max {
            return self.stop(Finish::AnswerLimit);
        }
        Step::Keep
    }

    /// The answer has begun without a hint: with the closing tag, or with a block that the cap found open.
    fn answer_by_itself(&mut self) -> Step {
        self.due = None;
        self.phase = Phase::Answering;
        if self.answer_tokens_max == 0 { self.stop(Finish::ContextFull) } else { Step::Keep }
    }

    fn complete_or_looping(&mut self, read: Read) -> Option<Step> {
        if let Some((kind, prose_lines, line)) = self.reader.after_block()
            && self.stop.is_complete(kind, prose_lines, line)
        {
            // A block's closing line belongs to the reply; the first word after it does not.
            let closes = prose_lines == 0 && line.is_empty();
            self.stop(Finish::Stopped);
            return Some(if closes { Step::Stop(Finish::Stopped) } else { Step::Drop(Finish::Stopped) });
        }
        (read.loops && self.due.is_none() && !self.paper_exact).then(|| self.break_loop())
    }

    fn break_loop(&mut self) -> Step {
        self.loops += 1;
        let tokens = self.reader.rewind();
        self.tail = CharTail::default();
        let then = if self.phase == Phase::Thinking && self.can_shift && !self.reader.inside_answer() {
            Then::Force(self.shift(ShiftReason::Loop))
        } else if self.loops > LOOPS_MAX {
            self.stop(Finish::Loop);
            Then::Stop(Finish::Loop)
        } else {
            Then::Retry
        };
        Step::Rewind { tokens, then }
    }

    /// Whether the window is used up, or nearly so with a line just ended.
    fn at_cap(&self, bytes: &[u8]) -> bool {
        let left = self.thinking_tokens_max.saturating_sub(self.counts.thinking_tokens);
        let allowance = (self.thinking_tokens_max / LINE_END_FRACTION).min(LINE_END_TOKENS_MAX);
        let line_end = !self.paper_exact && bytes.ends_with(b"\n") && !self.reader.inside_answer();
        left == 0 || (line_end && left <= allowance)
    }

    fn shift_if_due(&mut self) -> Step {
        let Some(why) = self.due.filter(|_| self.can_shift) else { return Step::Keep };
        // What stands there already, or is about to, needs no hint to be said once more.
        let closed = self.reader.after_block().is_some_and(|(kind, ..)| self.stop.counts(kind));
        if !self.paper_exact && (closed || self.reader.inside_answer()) {
            return self.answer_by_itself();
        }
        if self.tail.inside_character() && self.overdue_tokens < CHARACTER_TOKENS_MAX {
            self.overdue_tokens += 1;
            return Step::Keep;
        }
        Step::Force(self.shift(why))
    }

    fn shift(&mut self, why: ShiftReason) -> Hint {
        let hint = if self.reader.is_thinking() { &self.closing_hint } else { &self.hint }.clone();
        self.phase = Phase::Shifting;
        (self.shifted, self.due) = (Some(why), None);
        self.counts.forced_tokens = hint.tokens.len() as u32;
        self.reader.begin_answer(&hint.text);
        hint
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

    /// Tokens that may still be drawn, at most.
    pub const fn tokens_left(&self) -> u32 {
        self.usable_tokens.saturating_sub(self.counts.thinking_tokens + self.counts.answer_tokens)
    }

    /// Where thinking between tags ended by itself, in bytes of the text.
    pub const fn thinking_ended_at(&self) -> Option<usize> {
        self.reader.thinking_ended_at()
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

/// The hint that closes the tag it stands in.
fn closing(think: &ThinkSpec, hint: &str) -> String {
    if hint.contains(&think.close) {
        return hint.to_owned();
    }
    format!("\n{}\n\n{}", think.close, hint.trim_start())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(thinking: u32, answer: u32, paper_exact: bool) -> WindowSpec {
        let hint = "HINT".to_owned();
        WindowSpec { hint, paper_exact, ..WindowSpec::paper(thinking, answer) }
    }

    const HINT: [TokenId; 3] = [7, 8, 9];

    /// A window whose hint has these tokens.
    fn window(spec: &WindowSpec, hint: &[TokenId], room_tokens: u32) -> Window {
        Window::new(spec, &|_| hint.to_vec(), room_tokens)
    }

    fn forced(tokens: &[TokenId]) -> Step {
        Step::Force(Hint { text: "HINT".to_owned(), tokens: tokens.to_vec() })
    }

    /// Says a text word by word; what came back last, and what was kept.
    fn say(window: &mut Window, text: &str) -> (Step, String) {
        let mut said = String::new();
        for piece in text.split_inclusive([' ', '\n']) {
            let step = window.step(piece.as_bytes(), false);
            if !matches!(step, Step::Drop(_)) {
                said.push_str(piece);
            }
            if step != Step::Keep {
                return (step, said);
            }
        }
        (Step::Keep, said)
    }

    const PROGRAM: &str = "It is short:\n```python\ndef f(x):\n    y = x + 1\n    return y\n```\n";

    #[test]
    fn a_block_that_is_open_at_the_cap_is_the_answer_and_is_not_cut() {
        let mut open = window(&spec(8, 60, false), &HINT, 1000);
        open.begin();
        assert_eq!(say(&mut open, PROGRAM).0, Step::Keep);
        assert_eq!((open.phase(), open.shifted()), (Phase::Answering, None));
        let edit = "src/a.py\n<<<<<<< SEARCH\nold line of code\n=======\nnew line of code\n>>>>>>> REPLACE\n";
        let mut open = window(&spec(8, 60, false), &HINT, 1000);
        open.begin();
        assert_eq!(say(&mut open, edit).0, Step::Keep);
        let mut paper = window(&spec(8, 60, true), &HINT, 1000);
        paper.begin();
        assert_eq!(say(&mut paper, PROGRAM).0, forced(&HINT), "the paper cuts where it cuts");
    }

    #[test]
    fn a_block_that_was_closed_before_the_cap_is_not_asked_for_again() {
        let stop = StopPolicy { after_code: Some(0), ..StopPolicy::default() };
        let words = PROGRAM.split_inclusive([' ', '\n']).count() as u32;
        for cap in words..words + 3 {
            let mut done = window(&WindowSpec { stop, ..spec(cap, 60, false) }, &HINT, 1000);
            done.begin();
            let (step, said) = say(&mut done, &format!("{PROGRAM}\n\nIt adds one.\n"));
            assert_eq!((step, said.trim_end()), (Step::Drop(Finish::Stopped), PROGRAM.trim_end()), "{cap}");
            assert_eq!(done.shifted(), None, "{cap}");
        }
        let mut asked = window(&WindowSpec { stop, ..spec(900, 60, false) }, &HINT, 1000);
        asked.begin();
        say(&mut asked, PROGRAM);
        asked.answer_now();
        assert_eq!((say(&mut asked, "\n").0, asked.phase()), (Step::Keep, Phase::Answering));
    }

    #[test]
    fn a_block_that_never_ends_is_stopped_at_the_answers_allowance() {
        let mut open = window(&spec(8, 20, false), &HINT, 1000);
        open.begin();
        let text = format!("```python\n{}", (0..200).map(|n| format!("x{n} = {}\n", n * n)).collect::<String>());
        assert_eq!(say(&mut open, &text).0, Step::Stop(Finish::AnswerLimit));
        assert!(open.counts().thinking_tokens <= 8 && open.counts().answer_tokens == 20, "{:?}", open.counts());
    }

    #[test]
    fn answer_now_inside_a_block_forces_nothing() {
        let mut open = window(&spec(100, 60, false), &HINT, 1000);
        open.begin();
        say(&mut open, "```python\ndef ");
        assert!(open.answer_now());
        assert_eq!(say(&mut open, "f(): pass\n```\n").0, Step::Keep);
        assert_eq!(open.phase(), Phase::Answering);
    }

    #[test]
    fn thinking_between_tags_is_closed_by_the_hint_or_ends_by_itself() {
        let think = Some(ThinkSpec { open: "<think>".into(), close: "</think>".into(), opened: true });
        let tagged = WindowSpec { think, ..spec(10, 60, false) };
        let text = |text: &str| text.bytes().map(TokenId::from).collect::<Vec<_>>();
        let mut cut = Window::new(&tagged, &text, 1000);
        cut.begin();
        let (step, _) = say(&mut cut, "Let me see:\n```python\na = 1\nb = 2\nc = 3\nd = 4\n");
        let Step::Force(hint) = step else { panic!("a block inside the tags is no answer: {step:?}") };
        assert_eq!(hint.text, "\n</think>\n\nHINT");
        assert_eq!(hint.tokens.len(), hint.text.len());
        let mut ends = Window::new(&tagged, &text, 1000);
        ends.begin();
        assert_eq!(say(&mut ends, "So it is.\n</think>\nThe answer ").0, Step::Keep);
        assert_eq!((ends.phase(), ends.shifted()), (Phase::Answering, None));
        assert_eq!(ends.thinking_ended_at(), Some("So it is.\n</think>".len()));
        let own = WindowSpec { hint: "</think>So:".to_owned(), ..tagged };
        let mut own = Window::new(&own, &text, 1000);
        own.begin();
        own.answer_now();
        assert_eq!(say(&mut own, "x").0, Step::Force(Hint { text: "</think>So:".into(), tokens: text("</think>So:") }));
    }

    #[test]
    fn a_complete_answer_ends_the_reply_before_the_explanation() {
        let stop = StopPolicy { after_code: Some(0), after_edits: Some(2), after_shell: true };
        let mut done = window(&WindowSpec { stop, ..spec(500, 60, false) }, &HINT, 1000);
        done.begin();
        let (step, said) = say(&mut done, &format!("{PROGRAM}\nThis function adds one to x and returns it.\n"));
        assert_eq!((step, said), (Step::Drop(Finish::Stopped), format!("{PROGRAM}\n")));
        let mut two = window(&WindowSpec { stop, ..spec(500, 60, false) }, &HINT, 1000);
        two.begin();
        let (step, said) = say(&mut two, &format!("{PROGRAM}\n{PROGRAM}"));
        assert_eq!(step, Step::Drop(Finish::Stopped), "prose before another fence ends it too: {said}");
        let mut shell = window(&WindowSpec { stop, ..spec(500, 60, false) }, &HINT, 1000);
        shell.begin();
        let (step, said) = say(&mut shell, "```bash\ncat cache.py\n```\nOutput:\nreturn 42\n");
        assert_eq!((step, said.as_str()), (Step::Stop(Finish::Stopped), "```bash\ncat cache.py\n```\n"));
    }

    const CIRCLE: &str = "Wait, I should check that again. ";

    #[test]
    fn a_loop_is_taken_back_and_the_hint_comes_where_it_began() {
        let mut w = window(&spec(2000, 900, false), &HINT, 10_000);
        w.begin();
        let before = "One thought that is said once. ";
        let (step, said) = say(&mut w, &format!("{before}{}", CIRCLE.repeat(60)));
        let Step::Rewind { tokens, then: Then::Force(_) } = step else { panic!("{step:?}") };
        let pieces: Vec<&str> = said.split_inclusive(' ').collect();
        let kept = pieces[..pieces.len() - tokens as usize].concat();
        assert!(kept.len() >= before.len() && kept.len() <= before.len() + CIRCLE.len(), "{kept}");
        assert_eq!(w.shifted(), Some(ShiftReason::Loop));
    }

    #[test]
    fn an_answer_that_loops_is_tried_once_more_and_then_ended() {
        let mut w = window(&spec(0, 4000, false), &HINT, 10_000);
        assert_eq!(w.begin(), forced(&HINT));
        w.hint_done();
        let (step, _) = say(&mut w, &CIRCLE.repeat(60));
        assert!(matches!(step, Step::Rewind { then: Then::Retry, .. }), "{step:?}");
        let (step, _) = say(&mut w, &CIRCLE.repeat(60));
        assert!(matches!(step, Step::Rewind { then: Then::Stop(Finish::Loop), .. }), "{step:?}");
        assert!(w.counts().answer_tokens < 400);
    }

    #[test]
    fn a_model_that_ends_by_itself_is_left_alone() {
        let mut w = window(&spec(10, 5, false), &HINT, 1000);
        assert_eq!(w.begin(), Step::Keep);
        assert_eq!(w.step(b"hello", false), Step::Keep);
        assert_eq!(w.step(b"", true), Step::Stop(Finish::EndOfTurn));
        assert_eq!(w.counts(), Counts { thinking_tokens: 1, forced_tokens: 0, answer_tokens: 0 });
        assert_eq!(w.shifted(), None);
    }

    #[test]
    fn paper_mode_cuts_exactly_at_w_and_gives_the_answer_its_own_allowance() {
        let mut w = window(&spec(3, 2, true), &HINT, 1000);
        assert_eq!(w.begin(), Step::Keep);
        assert_eq!(w.step(b"a\n", false), Step::Keep);
        assert_eq!(w.step(b"b\n", false), Step::Keep);
        assert_eq!(w.step(b"c", false), forced(&HINT));
        w.hint_done();
        assert_eq!(w.step(b"d", false), Step::Keep);
        assert_eq!(w.step(b"e", false), Step::Stop(Finish::AnswerLimit));
        assert_eq!(w.counts(), Counts { thinking_tokens: 3, forced_tokens: 3, answer_tokens: 2 });
        assert_eq!(w.shifted(), Some(ShiftReason::Budget));
    }

    #[test]
    fn an_empty_window_answers_at_once() {
        let mut w = window(&spec(0, 2, false), &HINT, 1000);
        assert_eq!(w.begin(), forced(&HINT));
    }

    #[test]
    fn near_the_cap_a_line_end_is_the_place_to_cut() {
        let mut w = window(&spec(64, 9, false), &[], 1000);
        w.begin();
        for n in 0..60 {
            assert_eq!(w.step(if n % 2 == 0 { b"x\n" } else { b"yz" }, false), Step::Keep, "token {n}");
        }
        assert_eq!(w.step(b".\n", false), forced(&[]));
        assert_eq!(w.counts().thinking_tokens, 61);
    }

    #[test]
    fn a_cut_waits_for_the_character_to_end() {
        let euro = "€".as_bytes();
        let mut w = window(&spec(1, 9, true), &HINT, 1000);
        w.begin();
        assert_eq!(w.step(&euro[..1], false), Step::Keep);
        assert_eq!(w.step(&euro[1..2], false), Step::Keep);
        assert_eq!(w.step(&euro[2..], false), forced(&HINT));
    }

    #[test]
    fn answer_now_shifts_at_the_next_token_and_think_more_moves_the_cap() {
        let mut w = window(&spec(2, 9, false), &HINT, 1000);
        w.begin();
        assert_eq!(w.step(b"a", false), Step::Keep);
        assert_eq!(w.think_more(2), 2);
        assert_eq!(w.step(b"b", false), Step::Keep);
        assert!(w.answer_now());
        assert_eq!(w.step(b"c", false), forced(&HINT));
        assert_eq!(w.shifted(), Some(ShiftReason::AnswerNow));
        assert_eq!(w.think_more(5), 0, "too late");
        assert!(!w.answer_now(), "too late");
    }

    #[test]
    fn a_loop_shifts_early_but_not_in_paper_mode() {
        for (paper, expected) in [(false, Some(ShiftReason::Loop)), (true, None)] {
            let mut w = window(&spec(2000, 9, paper), &[], 10_000);
            w.begin();
            for _ in 0..200 {
                if w.step(b"Wait, I should check that again. ", false) != Step::Keep {
                    break;
                }
            }
            assert_eq!(w.shifted(), expected);
        }
    }

    #[test]
    fn a_room_without_place_for_the_hint_ends_as_a_full_context() {
        let mut w = window(&spec(100, 100, false), &HINT, 2);
        assert_eq!(w.begin(), Step::Keep);
        assert_eq!(w.step(b"a", false), Step::Keep);
        assert_eq!(w.step(b"b", false), Step::Stop(Finish::ContextFull));
        assert_eq!(window(&spec(1, 1, false), &[], 0).begin(), Step::Stop(Finish::ContextFull));
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
            let mut w = window(&spec(thinking, answer, paper), &vec![1; hint], room);
            prop_assert!(room <= hint as u32 + 3 || w.answer_tokens_max() >= 1, "an empty answer");
            let mut granted = 0;
            let mut step = w.begin();
            for act in acts {
                if let Step::Force(forced) | Step::Rewind { then: Then::Force(forced), .. } = &step {
                    prop_assert_eq!(forced.tokens.len(), hint);
                    w.hint_done();
                }
                if matches!(step, Step::Stop(_)) { break; }
                step = match act {
                    Act::Token(bytes) => w.step(&bytes, false),
                    Act::End => w.step(b"", true),
                    Act::AnswerNow => { w.answer_now(); Step::Keep }
                    Act::ThinkMore(n) => { granted += w.think_more(n); Step::Keep }
                };
                let counts = w.counts();
                let used = counts.thinking_tokens + counts.forced_tokens + counts.answer_tokens;
                prop_assert!(used <= room, "{used} of {room}");
                if w.can_shift {
                    prop_assert!(counts.thinking_tokens <= thinking + granted + CHARACTER_TOKENS_MAX);
                }
                prop_assert!(counts.answer_tokens <= answer.max(1));
                prop_assert!(w.shifted().is_none() || w.answer_tokens_max() >= 1);
            }
        }

        #[test]
        fn a_valid_text_is_never_cut_inside_a_character(
            text in "[a-z€é日🦀\\n ]{1,300}", thinking in 0u32..100, sizes in proptest::collection::vec(1usize..5, 1200),
            paper in any::<bool>(),
        ) {
            let mut w = window(&spec(thinking, 10, paper), &[1], 10_000);
            let mut kept = Vec::new();
            let mut step = w.begin();
            let mut sizes = sizes.into_iter();
            // Every token is a character or a part of one, as in a byte-level vocabulary.
            for character in text.chars() {
                let mut rest = character.to_string().into_bytes();
                while step == Step::Keep && !rest.is_empty() {
                    let after = rest.split_off(sizes.next().unwrap_or(1).min(rest.len()));
                    kept.extend_from_slice(&rest);
                    step = w.step(&rest, false);
                    rest = after;
                }
            }
            if matches!(step, Step::Force(_)) {
                prop_assert!(std::str::from_utf8(&kept).is_ok());
            }
        }
    }
}
