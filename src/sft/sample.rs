//! Rows of data → training sequences. Reads rows from `gym`, plain `{"messages": […]}` rows and, by way of `data`,
//! every published shape; renders them with the one chat renderer, tokenises segment by segment as inference does,
//! and marks what is learnt.
//!
//! Not for: filtering and choosing (`data`), packing (`train`).

use std::path::Path;

use anyhow::{Context as _, bail};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::Sequence;
use super::data::json::Mended;
use super::data::read;
use super::data::shape::Tags;
use super::tokenizer::{IM_END, Tokenizer};
use crate::gym::row::Part;
use crate::prompt::{Message, Role, Segment, render_chatml};

/// Rows tokenised together; bounds memory while keeping every core busy.
const ROWS_AT_ONCE: usize = 4096;

/// What is needed of a row, whichever of the two shapes it has; other fields are passed over.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Sample {
    pub messages: Vec<Message>,
    /// Places in `messages` of assistant's turns that are shown and not learnt.
    #[serde(default)]
    pub unlearnt: Vec<usize>,
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
        for (place, message) in self.messages.iter().enumerate() {
            let learn = !answered && !self.unlearnt.contains(&place);
            for segment in render_chatml(std::slice::from_ref(message), false).segments {
                push(&mut sequence, &tokenizer.encode_segment(&segment), segment.learn && learn);
            }
        }
        if answered {
            for segment in render_chatml(&[], true).segments {
                push(&mut sequence, &tokenizer.encode_segment(&segment), false);
            }
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
    /// Row number (from 1) and what is wrong with it; the first few.
    pub bad: Vec<(u64, String)>,
    pub bad_rows: u64,
    /// Rows longer than the limit, left out.
    pub too_long: u64,
}

/// Of the bad rows, this many are named.
const BAD_NAMED_MAX: usize = 20;

/// Reads rows (JSON lines, JSON arrays, CSV, Parquet) into sequences of at most `length_max` tokens, in the order of the
/// file. Bad rows and rows that are too long are counted and left out.
///
/// # Errors
/// Reading fails.
pub fn load(path: &Path, tokenizer: &Tokenizer, length_max: usize) -> anyhow::Result<Loaded> {
    let mut loaded = Loaded::default();
    let mut batch: Vec<Result<(Value, Mended), String>> = Vec::with_capacity(ROWS_AT_ONCE);
    let mut number = 0;
    let mut flush = |batch: &mut Vec<Result<(Value, Mended), String>>| {
        let read = |row: &Result<(Value, Mended), String>| match row {
            Ok(row) => sequence_of(row, tokenizer).map_err(|problem| format!("{problem:#}")),
            Err(why) => Err(why.clone()),
        };
        let read: Vec<Result<Sequence, String>> = batch.par_iter().map(read).collect();
        batch.clear();
        for result in read {
            number += 1;
            match result {
                Ok(sequence) if sequence.len() > length_max => loaded.too_long += 1,
                Ok(sequence) => loaded.sequences.push(sequence),
                Err(problem) => {
                    loaded.bad_rows += 1;
                    if loaded.bad.len() < BAD_NAMED_MAX {
                        loaded.bad.push((number, problem));
                    }
                }
            }
        }
    };
    read::values(path, &mut |row| {
        batch.push(row);
        if batch.len() == ROWS_AT_ONCE {
            flush(&mut batch);
        }
        Ok(())
    })?;
    flush(&mut batch);
    Ok(loaded)
}

/// A row as it is where it is a sample of ours, otherwise by way of its published shape.
fn sequence_of((row, mended): &(Value, Mended), tokenizer: &Tokenizer) -> anyhow::Result<Sequence> {
    let sample = if is_sample(row) && !mended.half_character {
        Sample::deserialize(row).context("no row")?
    } else {
        let shaped = read::shaped(&(row.clone(), *mended), "", Tags::Strip).map_err(anyhow::Error::msg)?;
        Sample::deserialize(shaped.record.to_sample()).context("no row")?
    };
    sample.check()?;
    Ok(sample.sequence(tokenizer))
}

/// Whether every turn has a role and words and nothing else that could matter.
fn is_sample(row: &Value) -> bool {
    let plain = |turn: &Value| {
        turn.as_object().is_some_and(|turn| {
            turn.len() == 2 && ["role", "content"].iter().all(|key| turn.get(*key).is_some_and(Value::is_string))
        })
    };
    let turns = |key: &str| row.get(key).and_then(Value::as_array);
    turns("reply").is_some()
        || turns("messages").is_some_and(|turns| turns.iter().all(plain))
            && ["system", "system_prompt", "system_message"].iter().all(|key| row.get(*key).is_none_or(Value::is_null))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Tokenizer {
        Tokenizer::train(["abc def ghi abc def\n"].into_iter().cycle().take(32), 262).unwrap()
    }

    fn load(rows: &[u8], tokenizer: &Tokenizer, length_max: usize) -> anyhow::Result<Loaded> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), rows).unwrap();
        super::load(file.path(), tokenizer, length_max)
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
    fn a_turn_can_be_shown_without_being_learnt() {
        let tokenizer = tokenizer();
        let turn = |role: &str, content: &str, weight: u8| {
            format!(r#"{{"role":"{role}","content":"{content}","weight":{weight}}}"#)
        };
        let turns =
            [turn("user", "x", 1), turn("assistant", "abc", 0), turn("user", "x", 1), turn("assistant", "def", 1)];
        let row = format!("\u{feff}{{\"messages\":[{}]}}", turns.join(","));
        let loaded = load(row.as_bytes(), &tokenizer, 100).unwrap();
        assert_eq!(learnt(&loaded.sequences[0], &tokenizer), "def<|im_end|>", "{:?}", loaded.bad);
        let apart = r#"{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"def","reasoning_content":"abc"}]}"#;
        let loaded = load(apart.as_bytes(), &tokenizer, 100).unwrap();
        assert_eq!(learnt(&loaded.sequences[0], &tokenizer), "abc\n\ndef<|im_end|>");
        let other = load(br#"{"question":"x","response":"    abc"}"#, &tokenizer, 100).unwrap();
        assert_eq!(learnt(&other.sequences[0], &tokenizer), "    abc<|im_end|>");
    }

    #[test]
    fn bad_rows_are_counted_and_named() {
        let rows: &[u8] =
            b"{\"messages\":[]}\nnot json\n\xff\n\n{\"messages\":[{\"role\":\"assistant\",\"content\":\"abc\"}]}\n";
        let loaded = load(rows, &tokenizer(), 100).unwrap();
        assert_eq!((loaded.sequences.len(), loaded.bad_rows), (1, 3));
        assert_eq!(loaded.bad[1].0, 2);
        let short = load(rows, &tokenizer(), 3).unwrap();
        assert_eq!((short.sequences.len(), short.too_long), (0, 1));
    }
}
