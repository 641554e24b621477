//! A recorded stream of pieces, run through the window again at any W.
//!
//! Not for: reading files. `z1 window` is the edge.

use serde::{Deserialize, Serialize};

use super::{Counts, Hint, Phase, Step, Then, TokenId, Window, WindowSpec};
use crate::task::{Finish, Part, ShiftReason};

/// One recorded piece: what a transcript calls `piece`, or just a text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Recorded")]
pub struct RecordedPiece {
    pub text: String,
    /// Tokens that this text stands for.
    pub tokens: u32,
    /// Where it was said when it was recorded.
    pub part: Option<Part>,
}

/// The forms in which a piece may be written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Recorded {
    Text(String),
    Object {
        text: String,
        #[serde(default = "one")]
        tokens: u32,
        #[serde(default)]
        part: Option<Part>,
    },
}

const fn one() -> u32 {
    1
}

impl From<Recorded> for RecordedPiece {
    fn from(recorded: Recorded) -> Self {
        match recorded {
            Recorded::Text(text) => Self { text, tokens: 1, part: None },
            Recorded::Object { text, tokens, part } => Self { text, tokens, part },
        }
    }
}

/// Something said to the window while it runs, before the token with this number (from 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    AnswerNow { before_token: u32 },
    ThinkMore { before_token: u32, tokens: u32 },
}

/// What the window did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ReplayEvent {
    Piece {
        part: Part,
        text: String,
        tokens: u32,
    },
    Widened {
        tokens: u32,
        thinking_tokens_max: u32,
    },
    /// The last tokens went round in circles and were taken back.
    Rewound {
        tokens: u32,
    },
    Shifted {
        why: ShiftReason,
        thinking_tokens: u32,
        forced_tokens: u32,
        hint: String,
    },
    Finished {
        finish: Finish,
        shifted: Option<ShiftReason>,
        counts: Counts,
        unused_pieces: usize,
    },
}

/// Runs pieces through a window.
///
/// The stream's end is the model's end of turn. After a shift the pieces that were recorded as the answer
/// are what the model says; where none is marked, the stream simply goes on. Recorded hints are left out:
/// the window forces its own, counted as `hint_tokens`.
pub fn replay(spec: &WindowSpec, pieces: &[RecordedPiece], hint_tokens: u32, said: &[Said]) -> Vec<ReplayEvent> {
    let hint = |_: &str| -> Vec<TokenId> { vec![0; hint_tokens as usize] };
    let mut run = Run { window: Window::new(spec, &hint, u32::MAX / 2), said, events: Vec::new(), tokens: 0 };
    let answers_are_marked = pieces.iter().any(|piece| piece.part == Some(Part::Answer));
    let step = run.window.begin();
    let mut finish = run.obey(&step);
    let mut unused_pieces = 0;
    for piece in pieces {
        let answering = run.window.phase() == Phase::Answering;
        let of_the_other_part = answers_are_marked && answering && piece.part != Some(Part::Answer);
        if finish.is_some() || piece.part == Some(Part::Shift) || of_the_other_part {
            unused_pieces += 1;
            continue;
        }
        finish = run.feed(piece, if answering { Part::Answer } else { Part::Thinking });
    }
    let finish = finish.unwrap_or_else(|| match run.window.step(b"", true) {
        Step::Stop(finish) => finish,
        Step::Keep | Step::Force(_) | Step::Rewind { .. } | Step::Drop(_) => {
            unreachable!("an end of turn stops every window")
        }
    });
    run.events.push(ReplayEvent::Finished {
        finish,
        shifted: run.window.shifted(),
        counts: run.window.counts(),
        unused_pieces,
    });
    run.events
}

struct Run<'a> {
    window: Window,
    said: &'a [Said],
    events: Vec<ReplayEvent>,
    tokens: u32,
}

impl Run<'_> {
    /// Feeds one piece, token by token; the text comes with the last of them.
    fn feed(&mut self, piece: &RecordedPiece, part: Part) -> Option<Finish> {
        self.events.push(ReplayEvent::Piece { part, text: piece.text.clone(), tokens: piece.tokens });
        for left in (0..piece.tokens.max(1)).rev() {
            self.listen();
            let bytes = if left == 0 { piece.text.as_bytes() } else { b"" };
            let step = self.window.step(bytes, false);
            self.tokens += 1;
            let finish = self.obey(&step);
            if step != Step::Keep && !matches!(step, Step::Rewind { then: Then::Retry, .. }) {
                return finish;
            }
        }
        None
    }

    fn listen(&mut self) {
        for &word in self.said {
            match word {
                Said::AnswerNow { before_token } if before_token == self.tokens => _ = self.window.answer_now(),
                Said::ThinkMore { before_token, tokens } if before_token == self.tokens => {
                    let tokens = self.window.think_more(tokens);
                    let thinking_tokens_max = self.window.thinking_tokens_max();
                    self.events.push(ReplayEvent::Widened { tokens, thinking_tokens_max });
                }
                Said::AnswerNow { .. } | Said::ThinkMore { .. } => {}
            }
        }
    }

    fn obey(&mut self, step: &Step) -> Option<Finish> {
        match step {
            Step::Keep => None,
            Step::Stop(finish) | Step::Drop(finish) => Some(*finish),
            Step::Rewind { tokens, then } => {
                self.events.push(ReplayEvent::Rewound { tokens: *tokens });
                match then {
                    Then::Retry => None,
                    Then::Stop(finish) => Some(*finish),
                    Then::Force(hint) => self.shift(hint),
                }
            }
            Step::Force(hint) => self.shift(hint),
        }
    }

    fn shift(&mut self, hint: &Hint) -> Option<Finish> {
        let why = self.window.shifted().expect("invariant: a window that forces its hint has shifted");
        self.events.push(ReplayEvent::Shifted {
            why,
            thinking_tokens: self.window.counts().thinking_tokens,
            forced_tokens: hint.tokens.len() as u32,
            hint: hint.text.clone(),
        });
        self.window.hint_done();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(texts: &[&str]) -> Vec<RecordedPiece> {
        texts.iter().map(|text| RecordedPiece { text: (*text).to_owned(), tokens: 1, part: None }).collect()
    }

    fn end(events: &[ReplayEvent]) -> (Finish, Option<ShiftReason>, Counts, usize) {
        match events.last() {
            Some(ReplayEvent::Finished { finish, shifted, counts, unused_pieces }) => {
                (*finish, *shifted, *counts, *unused_pieces)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_short_stream_ends_by_itself_and_a_long_one_shifts() {
        let stream = pieces(&["a", "b", "c", "d"]);
        let (finish, shifted, counts, _) = end(&replay(&WindowSpec::paper(10, 5), &stream, 3, &[]));
        assert_eq!((finish, shifted, counts.thinking_tokens), (Finish::EndOfTurn, None, 4));
        let (finish, shifted, counts, unused) = end(&replay(&WindowSpec::paper(2, 1), &stream, 3, &[]));
        assert_eq!((finish, shifted, unused), (Finish::AnswerLimit, Some(ShiftReason::Budget), 1));
        assert_eq!(counts, Counts { thinking_tokens: 2, forced_tokens: 3, answer_tokens: 1 });
    }

    #[test]
    fn a_recorded_answer_follows_the_shift() {
        let mut stream = pieces(&["think", "more", "HINT", "42"]);
        stream[2].part = Some(Part::Shift);
        stream[3].part = Some(Part::Answer);
        let events = replay(&WindowSpec::paper(1, 9), &stream, 2, &[]);
        assert!(events.contains(&ReplayEvent::Piece { part: Part::Answer, text: "42".to_owned(), tokens: 1 }));
        let (.., counts, unused) = end(&events);
        assert_eq!((counts.answer_tokens, unused), (1, 2), "the rest of the thinking and the old hint are not used");
    }

    #[test]
    fn words_to_the_window_are_replayed_too() {
        let stream = pieces(&["a", "b", "c", "d", "e"]);
        let said = [Said::ThinkMore { before_token: 1, tokens: 2 }, Said::AnswerNow { before_token: 2 }];
        let (_, shifted, counts, _) = end(&replay(&WindowSpec::paper(2, 9), &stream, 0, &said));
        assert_eq!((shifted, counts.thinking_tokens), (Some(ShiftReason::AnswerNow), 3));
    }

    #[test]
    fn pieces_are_read_in_both_forms() {
        let read = |text| serde_json::from_str::<RecordedPiece>(text).expect("a piece");
        assert_eq!(read("\"x\""), RecordedPiece { text: "x".to_owned(), tokens: 1, part: None });
        assert_eq!(read(r#"{"text":"y","tokens":3,"part":"answer","forced":false}"#).tokens, 3);
    }
}
