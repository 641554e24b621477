//! A GGUF's own chat template, rendered so that nobody's words can become control tokens.
//!
//! The template is rendered with a marker in the place of every content; what stands between the markers is
//! the template's frame (`special`), what the markers stand for is ordinary text. A second rendering with the
//! real contents shows what the template does to them (some trim, some drop earlier thinking).
//!
//! Not for: tools, images or dates: z1 speaks in plain turns and keeps the prefix byte-stable.

use std::collections::BTreeMap;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, context};
use serde::Serialize;

use super::{Message, Rendered, Role, Segment};
use crate::traits::{THINK_TAGS, ThinkTags};

/// A template that does not parse or refuses a conversation.
#[derive(Debug, thiserror::Error)]
#[error("chat template: {0}")]
pub struct TemplateError(String);

/// A compiled chat template.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    source: String,
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: &'a str,
}

/// What a template shows of its model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Habits {
    /// What stands around the model's thinking.
    pub think: Option<ThinkTags>,
    /// The variable that tells the template whether to think.
    pub switch: Option<String>,
}

/// Variables by which published templates are told whether to think.
const SWITCHES: [&str; 2] = ["enable_thinking", "thinking"];

const NAME: &str = "chat_template";

impl ChatTemplate {
    /// Compiles a template as Hugging Face's renderer would: blocks trimmed, Python's string methods there.
    ///
    /// # Errors
    /// A template that does not parse.
    pub fn new(source: &str, bos_token: &str, eos_token: &str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        // Templates test for things that may be absent, but must not print them.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| TemplateError(format!("{error:#}")))?;
        Ok(Self {
            source: source.to_owned(),
            environment,
            bos_token: bos_token.to_owned(),
            eos_token: eos_token.to_owned(),
        })
    }

    /// Renders a conversation. With `open`, the assistant's turn is left open for the model to fill.
    ///
    /// # Errors
    /// Whatever the template refuses (a role it does not know, two turns of one role, …).
    pub fn render(&self, messages: &[Message], open: bool) -> Result<Rendered, TemplateError> {
        let real = self.render_text(messages.iter().map(|m| m.content.clone()), messages, open)?;
        let nonce = nonce_absent_from(&real);
        // An empty content stays empty: templates branch on that.
        let marked = messages.iter().enumerate().map(|(i, m)| match m.content.as_str() {
            "" => String::new(),
            _ => marker(&nonce, i),
        });
        let framed = self.render_text(marked, messages, open)?;
        Ok(join(&split(&framed, &nonce, messages.len()), messages, &real))
    }

    /// What the template shows of the model when it is tried: how it marks its thinking, and whether it can be told
    /// not to.
    pub fn habits(&self) -> Habits {
        let user = [Message::new(Role::User, "hi")];
        let said = |switch: &str, on: bool| {
            self.render_switched([("hi".to_owned())].into_iter(), &user, true, (switch, on)).unwrap_or_default()
        };
        let switch = SWITCHES.iter().find(|switch| {
            let on = said(switch, true);
            !on.is_empty() && on != said(switch, false)
        });
        let opening = said(switch.unwrap_or(&SWITCHES[0]), true);
        let think = THINK_TAGS.iter().find(|(open, close)| {
            // A template that writes the opening tag alone leaves the closing one to the model.
            self.source.contains(close) || opening.trim_end().ends_with(open)
        });
        let think = think.map(|(open, close)| ThinkTags {
            open: (*open).to_owned(),
            close: (*close).to_owned(),
            opened_by_template: opening.trim_end().ends_with(open),
        });
        Habits { think, switch: switch.map(|name| (*name).to_owned()) }
    }

    fn render_text(
        &self,
        contents: impl Iterator<Item = String>,
        messages: &[Message],
        open: bool,
    ) -> Result<String, TemplateError> {
        self.render_switched(contents, messages, open, (SWITCHES[0], true))
    }

    fn render_switched(
        &self,
        contents: impl Iterator<Item = String>,
        messages: &[Message],
        open: bool,
        (switch, on): (&str, bool),
    ) -> Result<String, TemplateError> {
        let contents: Vec<String> = contents.collect();
        let turns: Vec<Turn<'_>> =
            messages.iter().zip(&contents).map(|(m, content)| Turn { role: m.role.name(), content }).collect();
        self.environment
            .get_template(NAME)
            .and_then(|template| {
                let switch = BTreeMap::from([(switch, on)]);
                let given = context! {
                    messages => turns,
                    add_generation_prompt => open,
                    bos_token => self.bos_token,
                    eos_token => self.eos_token,
                };
                template.render(context! { ..switch, ..given })
            })
            .map_err(|error| TemplateError(format!("{error:#}")))
    }
}

/// A piece of a rendering with markers.
enum Piece<'a> {
    Frame(&'a str),
    Content(usize),
}

fn marker(nonce: &str, index: usize) -> String {
    format!("\u{E000}{nonce}:{index}\u{E001}")
}

/// A word that no part of the text contains, so that a marker can be nothing but a marker.
fn nonce_absent_from(text: &str) -> String {
    (0..u64::MAX)
        .map(|n| format!("z1-{n:x}"))
        .find(|nonce| !text.contains(&format!("\u{E000}{nonce}:")))
        .expect("invariant: no text is long enough to hold them all")
}

fn split<'a>(framed: &'a str, nonce: &str, count: usize) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let mut rest = framed;
    let next = |rest: &str| {
        (0..count).filter_map(|i| rest.find(&marker(nonce, i)).map(|at| (at, i))).min_by_key(|(at, _)| *at)
    };
    while let Some((at, index)) = next(rest) {
        pieces.push(Piece::Frame(&rest[..at]));
        pieces.push(Piece::Content(index));
        rest = &rest[at + marker(nonce, index).len()..];
    }
    pieces.push(Piece::Frame(rest));
    pieces
}

/// Puts the contents between the frames, each as the template left it in the real rendering.
fn join(pieces: &[Piece<'_>], messages: &[Message], real: &str) -> Rendered {
    let contents = place(pieces, messages, real);
    let mut placed = contents.into_iter();
    let mut segments: Vec<Segment> = Vec::with_capacity(pieces.len() + messages.len());
    let mut after_assistant = false;
    for piece in pieces {
        match piece {
            Piece::Frame(text) => {
                push_frame(&mut segments, text, after_assistant);
                after_assistant = false;
            }
            Piece::Content(index) => {
                let learn = messages[*index].role == Role::Assistant;
                let text = placed.next().expect("invariant: one placed content a content piece");
                segments.push(Segment { text, special: false, learn });
                after_assistant = learn;
            }
        }
    }
    Rendered { segments }
}

/// A frame after an assistant's words begins with its end-of-turn, which is learnt.
fn push_frame(segments: &mut Vec<Segment>, text: &str, after_assistant: bool) {
    let end_of_turn = if after_assistant { text.find('>').map_or(0, |at| at + 1) } else { 0 };
    for (part, learn) in [(&text[..end_of_turn], true), (&text[end_of_turn..], false)] {
        if !part.is_empty() {
            segments.push(Segment { text: part.to_owned(), special: true, learn });
        }
    }
}

/// What templates do to contents.
const REWRITES: [fn(&str) -> &str; 5] = [
    |text| text,
    str::trim,
    |text| text.rsplit("</think>").next().unwrap_or(text),
    |text| text.rsplit("</think>").next().unwrap_or(text).trim_start_matches('\n'),
    |text| text.rsplit("</think>").next().unwrap_or(text).trim(),
];

/// The contents in the order of their pieces, rewritten so that frames and contents together spell the real
/// rendering. Where no known rewriting does (a template that rewrites words, or drops a frame because of
/// them), the contents stay as they are: the frame is right in any case.
fn place(pieces: &[Piece<'_>], messages: &[Message], real: &str) -> Vec<String> {
    fn fit<'a>(pieces: &[Piece<'_>], messages: &'a [Message], real: &str, placed: &mut Vec<&'a str>) -> bool {
        match pieces.split_first() {
            None => real.is_empty(),
            Some((Piece::Frame(frame), rest)) => {
                real.strip_prefix(frame).is_some_and(|real| fit(rest, messages, real, placed))
            }
            Some((Piece::Content(index), rest)) => REWRITES.iter().any(|rewrite| {
                let text = rewrite(&messages[*index].content);
                let Some(real) = real.strip_prefix(text) else { return false };
                placed.push(text);
                let fits = fit(rest, messages, real, placed);
                if !fits {
                    placed.pop();
                }
                fits
            }),
        }
    }
    let mut placed = Vec::new();
    if fit(pieces, messages, real, &mut placed) {
        return placed.into_iter().map(str::to_owned).collect();
    }
    pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Content(index) => Some(messages[*index].content.clone()),
            Piece::Frame(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
