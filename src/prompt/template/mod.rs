//! A GGUF's own chat template, rendered so that nobody's words can become control tokens.
//!
//! The template is rendered with marks in every content (`marks.rs`); what stands between them afterwards is ordinary
//! text, the rest is the template's frame (`special`). Everything that Hugging Face's renderer gives to templates is
//! there (`python.rs`, `source.rs`). What a template refuses is said differently: a system's words go into the user's
//! turn, neighbours of one role are one turn. A template that cannot be used at all gives way to the published format
//! that it looks like (`builtin.rs`).
//!
//! Not for: tools or images: z1 speaks in plain turns.

use std::borrow::Cow;
use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;

use super::{Message, Rendered, Role, Segment};
use crate::gguf::Label;
use crate::traits::{THINK_TAGS, ThinkTags, Traits};
use marks::{Marks, Piece};

mod builtin;
mod marks;
mod python;
mod source;

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
    /// Prompts begin with `bos_token` whatever the template does.
    adds_bos: bool,
    /// The variable that says whether to think, and what it says; without it the template decides.
    switch: Option<(String, bool)>,
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
/// A longer template is none.
const SOURCE_BYTES_MAX: usize = 1 << 20;
/// What a rendering may add to the conversation.
const FRAME_BYTES_MAX: usize = 4 << 20;

const NAME: &str = "chat_template";

impl ChatTemplate {
    /// Compiles a template as Hugging Face's renderer would: blocks trimmed, Python's methods and functions there,
    /// absent values empty.
    ///
    /// # Errors
    /// A template that does not parse, or is longer than any real one.
    pub fn new(source: &str, bos_token: &str, eos_token: &str) -> Result<Self, TemplateError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(TemplateError(format!("{} bytes, more than {SOURCE_BYTES_MAX}", source.len())));
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| TemplateError(format!("{error:#}")))?);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        python::furnish(&mut environment);
        environment
            .add_template_owned(NAME, source::rewritten(source))
            .map_err(|error| TemplateError(format!("{error:#}")))?;
        Ok(Self {
            source: source.to_owned(),
            environment,
            bos_token: bos_token.to_owned(),
            eos_token: eos_token.to_owned(),
            adds_bos: false,
            switch: None,
        })
    }

    /// The format of a model: its own template, or, where it has none or one that cannot be used, the published format
    /// that it looks like, with a sentence that says so.
    pub fn of_model(label: &Label, traits: &Traits) -> (Self, Option<String>) {
        let compiled = label.chat_template.as_deref().map(|source| {
            let template = Self::new(source, &traits.bos, &traits.eos)?;
            template.render(&[Message::new(Role::User, "hi")], true)?;
            Ok::<_, TemplateError>(template)
        });
        let (template, note) = match compiled {
            Some(Ok(template)) => (template, None),
            Some(Err(problem)) => {
                let source = label.chat_template.as_deref().unwrap_or_default();
                let (name, template) = Self::builtin(source, traits);
                (template, Some(format!("the model's own {problem}; its turns are written as {name} instead")))
            }
            None => (Self::builtin("", traits).1, None),
        };
        let switch = traits.thinking_switch.clone().map(|name| (name, traits.thinks));
        (Self { adds_bos: traits.adds_bos, switch, ..template }, note)
    }

    fn builtin(source: &str, traits: &Traits) -> (&'static str, Self) {
        let (name, format) = builtin::like(source);
        let template = Self::new(format, &traits.bos, &traits.eos);
        (name, template.expect("invariant: the built-in formats compile; a test holds it"))
    }

    /// The same template, told to think or not to, where it can be told.
    #[must_use]
    pub fn with_thinking(mut self, on: bool) -> Self {
        if let Some(switch) = &mut self.switch {
            switch.1 = on;
        }
        self
    }

    /// The same template with a variable set that says whether to think.
    #[must_use]
    pub fn with_switch(self, name: &str, on: bool) -> Self {
        Self { switch: Some((name.to_owned(), on)), ..self }
    }

    /// Renders a conversation. With `open`, the assistant's turn is left open for the model to fill.
    ///
    /// # Errors
    /// Whatever the template refuses in any form.
    pub fn render(&self, messages: &[Message], open: bool) -> Result<Rendered, TemplateError> {
        let mut best = match self.attempt(messages, open) {
            Ok((rendered, true)) => return Ok(rendered),
            Ok((rendered, false)) => Ok(rendered),
            Err(problem) => Err(problem),
        };
        // It refuses the system's turn, or leaves it out; or it wants the turns to alternate.
        let folded = folded(messages);
        let alternating = alternating(&folded);
        for other in [folded.as_ref(), alternating.as_slice()] {
            if other == messages {
                continue;
            }
            match self.attempt(other, open) {
                Ok((rendered, true)) => return Ok(rendered),
                Ok((rendered, false)) if best.is_err() => best = Ok(rendered),
                _ => {}
            }
        }
        best
    }

    /// One rendering, and whether the system's words are in it.
    fn attempt(&self, messages: &[Message], open: bool) -> Result<(Rendered, bool), TemplateError> {
        let marks = Marks::new(messages.iter().map(|message| message.content.as_str()), &self.source)
            .ok_or_else(|| TemplateError("the conversation holds every private character there is".to_owned()))?;
        let contents: Vec<String> = (0..messages.len()).map(|number| marks.marked(number)).collect();
        let switch = self.switch.as_ref().map(|(name, on)| (name.as_str(), *on));
        let pieces = marks.pieces(&self.render_text(&contents, messages, open, switch)?);
        let kept = |number: usize| pieces.iter().any(|piece| piece.content == Some(number));
        let system = messages.iter().position(|m| m.role == Role::System && !m.content.trim().is_empty());
        let whole = system.is_none_or(kept);
        Ok((self.segments(&pieces, messages), whole))
    }

    fn segments(&self, pieces: &[Piece], messages: &[Message]) -> Rendered {
        let mut segments: Vec<Segment> = Vec::with_capacity(pieces.len() + messages.len());
        let bos = self.bos_token.as_str();
        let begins = pieces.first().is_some_and(|first| first.content.is_none() && first.text.starts_with(bos));
        if self.adds_bos && !bos.is_empty() && !begins {
            segments.push(Segment { text: bos.to_owned(), special: true, learn: false });
        }
        let mut after_assistant = false;
        for piece in pieces {
            match piece.content {
                None => push_frame(&mut segments, &piece.text, std::mem::take(&mut after_assistant)),
                Some(number) => {
                    let learn = messages[number].role == Role::Assistant;
                    segments.push(Segment { text: piece.text.clone(), special: false, learn });
                    after_assistant = learn;
                }
            }
        }
        Rendered { segments }
    }

    /// What the template shows of the model when it is tried: how it marks its thinking, and whether it can be told
    /// not to.
    pub fn habits(&self) -> Habits {
        let user = [Message::new(Role::User, "hi")];
        let content = ["hi".to_owned()];
        let said = |switch: Option<(&str, bool)>| self.render_text(&content, &user, true, switch).unwrap_or_default();
        let switch = SWITCHES.iter().find(|switch| {
            let on = said(Some((switch, true)));
            !on.is_empty() && on != said(Some((switch, false)))
        });
        let opening = said(switch.map(|name| (*name, true)));
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
        contents: &[String],
        messages: &[Message],
        open: bool,
        switch: Option<(&str, bool)>,
    ) -> Result<String, TemplateError> {
        // Hugging Face's renderer says that there are no tools; some templates only bear that nothing is said of them.
        let said = self.render_with(contents, messages, open, switch, Some(()));
        said.or_else(|problem| self.render_with(contents, messages, open, switch, None).map_err(|_| problem))
    }

    fn render_with(
        &self,
        contents: &[String],
        messages: &[Message],
        open: bool,
        switch: Option<(&str, bool)>,
        no_tools: Option<()>,
    ) -> Result<String, TemplateError> {
        let turns: Vec<Turn<'_>> =
            messages.iter().zip(contents).map(|(m, content)| Turn { role: m.role.name(), content }).collect();
        let switch: BTreeMap<&str, bool> = switch.into_iter().collect();
        let absent = no_tools.map_or_else(|| context! {}, |()| context! { tools => (), documents => () });
        let given = context! {
            messages => Serde(turns),
            add_generation_prompt => open,
            bos_token => self.bos_token.as_str(),
            eos_token => self.eos_token.as_str(),
        };
        let bytes_max = FRAME_BYTES_MAX + 2 * contents.iter().map(String::len).sum::<usize>();
        let mut out = Capped { bytes: Vec::new(), bytes_max };
        self.environment
            .get_template(NAME)
            .and_then(|template| {
                template.render_captured_to(context! { ..switch, ..absent, ..given }, &mut out).map(drop)
            })
            .map_err(|error| TemplateError(format!("{error:#}")))?;
        Ok(String::from_utf8(out.bytes).expect("invariant: a template writes text"))
    }
}

/// Takes so many bytes and no more.
struct Capped {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl std::io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.bytes_max {
            return Err(std::io::Error::other("it writes without end"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The conversation with the system's words at the head of the first user's turn.
fn folded(messages: &[Message]) -> Cow<'_, [Message]> {
    let Some((system, rest)) = messages.split_first().filter(|(first, _)| first.role == Role::System) else {
        return Cow::Borrowed(messages);
    };
    let mut rest = rest.to_vec();
    match rest.first_mut() {
        Some(first) if first.role == Role::User => {
            let both = format!("{}\n\n{}", system.content.trim_end(), first.content);
            both.trim_start().clone_into(&mut first.content);
        }
        _ => rest.insert(0, Message::new(Role::User, system.content.clone())),
    }
    Cow::Owned(rest)
}

/// The conversation with neighbours of one role as one turn.
fn alternating(messages: &[Message]) -> Vec<Message> {
    let mut turns: Vec<Message> = Vec::with_capacity(messages.len());
    for message in messages {
        match turns.last_mut() {
            Some(last) if last.role == message.role => {
                last.content.push_str("\n\n");
                last.content.push_str(&message.content);
            }
            _ => turns.push(message.clone()),
        }
    }
    turns
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

#[cfg(test)]
mod tests;
