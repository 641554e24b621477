//! Rows of data → training sequences. Reads rows from `gym` and plain `{"messages": […]}` rows, renders
//! them with the one chat renderer, tokenises segment by segment as inference does, and marks what is learnt.
//!
//! Not for: other published row shapes (`data` turns those into messages), packing (`train`).

use std::io::BufRead;

use anyhow::{Context as _, bail};
use rayon::prelude::*;
use serde::Deserialize;

use super::Sequence;
use super::tokenizer::{IM_END, Tokenizer};
use crate::gym::row::Part;
use crate::prompt::{Message, Role, Segment, render_chatml};

/// Lines tokenised together; bounds memory while keeping every core busy.
const LINES_AT_ONCE: usize = 4096;

/// What is needed of a row, whichever of the two shapes it has; other fields are passed over.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Sample {
    pub messages: Vec<Message>,
    /// The turn to learn, in parts. Without it every assistant's turn in `messages` is learnt.
    #[serde(default)]
    pub reply: Vec<Part>,
}

impl Sample {
    /// The tokens of the conversation, and which of them are learnt: with a reply, its parts that say so
    /// and the end of the turn; without, every word of the assistant.
    pub fn sequence(&self, tokenizer: &Tokenizer) -> Sequence {
        let mut sequence = Sequence::default();
        let answered = !self.reply.is_empty();
        for segment in render_chatml(&self.messages, answered).segments {
            push(&mut sequence, &tokenizer.encode_segment(&segment), segment.learn && !answered);
        }
        for part in &self.reply {
            let mut ids = tokenizer.encode(&part.text);
            if let Some(keep) = part.keep {
                ids.truncate((ids.len() as f32 * keep) as usize);
            }
            push(&mut sequence, &ids, part.learn);
        }
        if answered {
            let end = Segment { text: IM_END.to_owned(), special: true, learn: true };
            push(&mut sequence, &tokenizer.encode_segment(&end), true);
        }
        sequence
    }

    /// Every text in the sample, for training a tokenizer.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.messages
            .iter()
            .map(|message| message.content.as_str())
            .chain(self.reply.iter().map(|part| part.text.as_str()))
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.reply.is_empty() && !self.messages.iter().any(|message| message.role == Role::Assistant) {
            bail!("nothing to learn: no assistant's turn and no reply");
        }
        Ok(())
    }
}

fn push(sequence: &mut Sequence, ids: &[u32], learn: bool) {
    sequence.ids.extend_from_slice(ids);
    sequence.learn.resize(sequence.ids.len(), learn);
}

/// Sequences read from rows, and what could not be used.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    pub sequences: Vec<Sequence>,
    /// Line number (from 1) and what is wrong with it; the first few.
    pub bad: Vec<(u64, String)>,
    pub bad_rows: u64,
    /// Rows longer than the limit, left out.
    pub too_long: u64,
}

/// Of the bad rows, this many are named.
const BAD_NAMED_MAX: usize = 20;

/// Reads JSONL rows into sequences of at most `length_max` tokens, in the order of the lines. Bad rows and
/// rows that are too long are counted and left out.
///
/// # Errors
/// Reading fails.
pub fn load(reader: impl BufRead, tokenizer: &Tokenizer, length_max: usize) -> anyhow::Result<Loaded> {
    let mut loaded = Loaded::default();
    let mut number = 0;
    let mut lines = reader.split(b'\n');
    loop {
        let batch: Vec<Vec<u8>> =
            lines.by_ref().take(LINES_AT_ONCE).collect::<Result<_, _>>().context("cannot read the rows")?;
        if batch.is_empty() {
            return Ok(loaded);
        }
        let parsed: Vec<Option<anyhow::Result<Sequence>>> =
            batch.par_iter().map(|line| (!line.trim_ascii().is_empty()).then(|| parse(line, tokenizer))).collect();
        for result in parsed {
            number += 1;
            match result {
                None => {}
                Some(Ok(sequence)) if sequence.len() > length_max => loaded.too_long += 1,
                Some(Ok(sequence)) => loaded.sequences.push(sequence),
                Some(Err(problem)) => {
                    loaded.bad_rows += 1;
                    if loaded.bad.len() < BAD_NAMED_MAX {
                        loaded.bad.push((number, format!("{problem:#}")));
                    }
                }
            }
        }
    }
}

fn parse(line: &[u8], tokenizer: &Tokenizer) -> anyhow::Result<Sequence> {
    let sample: Sample = serde_json::from_slice(line).context("no row")?;
    sample.check()?;
    Ok(sample.sequence(tokenizer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Tokenizer {
        Tokenizer::train(["abc def ghi abc def\n"].into_iter().cycle().take(32), 262).unwrap()
    }

    fn learnt(sequence: &Sequence, tokenizer: &Tokenizer) -> String {
        let ids: Vec<u32> = sequence.ids.iter().zip(&sequence.learn).filter(|(_, l)| **l).map(|(id, _)| *id).collect();
        tokenizer.decode(&ids)
    }

    #[test]
    fn only_the_assistants_words_and_end_of_turn_are_learnt() {
        let tokenizer = tokenizer();
        let row = r#"{"messages":[{"role":"user","content":"abc"},{"role":"assistant","content":"def"}],"extra":1}"#;
        let loaded = load(row.as_bytes(), &tokenizer, 100).unwrap();
        assert_eq!(learnt(&loaded.sequences[0], &tokenizer), "def<|im_end|>");
        let all = tokenizer.decode(&loaded.sequences[0].ids);
        assert_eq!(all, "<|im_start|>user\nabc<|im_end|>\n<|im_start|>assistant\ndef<|im_end|>\n");
    }

    #[test]
    fn a_cut_reply_keeps_whole_tokens_and_does_not_learn_the_hint() {
        let tokenizer = tokenizer();
        let row = r#"{"messages":[{"role":"user","content":"abc"},{"role":"assistant","content":"old"},{"role":"user","content":"x"}],
            "reply":[{"text":"def def def def","learn":true,"keep":0.5},{"text":"HINT","learn":false},{"text":"ghi","learn":true}]}"#
            .replace('\n', " ");
        let sequence = &load(row.as_bytes(), &tokenizer, 100).unwrap().sequences[0];
        let text = tokenizer.decode(&sequence.ids);
        assert!(text.ends_with("HINTghi<|im_end|>"), "{text}");
        let words = learnt(sequence, &tokenizer);
        assert!(words.starts_with("def") && words.ends_with("ghi<|im_end|>"), "{words}");
        assert!(
            !words.contains("old") && !words.contains("HINT") && words.len() < "def def def defghi<|im_end|>".len()
        );
    }

    #[test]
    fn bad_rows_are_counted_and_named() {
        let rows =
            b"{\"messages\":[]}\nnot json\n\xff\n\n{\"messages\":[{\"role\":\"assistant\",\"content\":\"abc\"}]}\n";
        let loaded = load(&rows[..], &tokenizer(), 100).unwrap();
        assert_eq!((loaded.sequences.len(), loaded.bad_rows), (1, 3));
        assert_eq!(loaded.bad[1].0, 2);
        let short = load(&rows[..], &tokenizer(), 3).unwrap();
        assert_eq!((short.sequences.len(), short.too_long), (0, 1));
    }
}
