//! A prompt's blocks as the words of a task.
//!
//! Files are named by their path in the project, so that the agent gathers them as it gathers any file that a task
//! names; selections are quoted with their lines. Pure.
//!
//! Not for: reading files.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::wire::Refusal;
use crate::prompt::conversation::fenced;

/// A prompt larger than this fits no model's context.
const PROMPT_BYTES_MAX: usize = 1 << 20;

/// The task's words.
///
/// # Errors
/// A block that is not taken, or nothing that could be done.
pub(super) fn words(blocks: &Value, root: &Path) -> Result<String, Refusal> {
    let blocks = blocks.as_array().ok_or_else(|| Refusal::params("`prompt` is an array of content blocks"))?;
    let mut text = String::new();
    let mut quoted = String::new();
    let mut linked = false;
    for block in blocks {
        let kind = block["type"].as_str().unwrap_or_default();
        match kind {
            "text" => {
                let part = block["text"].as_str().ok_or_else(|| Refusal::params("a text block needs `text`"))?;
                // Words go on as they are, behind a link with a space between.
                let after_link = linked && !part.starts_with(|c: char| c.is_whitespace() || ".,;:!?)".contains(c));
                text.push_str(if after_link { " " } else { "" });
                text.push_str(part);
            }
            "resource_link" => mention(&mut text, &link(block, root)?),
            "resource" => {
                let (named, quote) = resource(&block["resource"], root)?;
                mention(&mut text, &named);
                quoted.push_str(&quote);
            }
            "image" | "audio" => {
                let refusal = Refusal::params(format!("this agent takes no {kind} blocks"));
                return Err(refusal.hint("its `promptCapabilities` say so; leave the block out"));
            }
            other => return Err(Refusal::params(format!("`{}` is no kind of content block", short(other)))),
        }
        linked = kind != "text";
    }
    checked(format!("{}{quoted}", text.trim_end()))
}

/// A file's name in the words, apart from what stands before it.
fn mention(text: &mut String, name: &str) {
    if !name.is_empty() && !text.is_empty() && !text.ends_with(|c: char| c.is_whitespace() || "([\"'`".contains(c)) {
        text.push(' ');
    }
    text.push_str(name);
}

fn checked(text: String) -> Result<String, Refusal> {
    if text.len() > PROMPT_BYTES_MAX {
        return Err(Refusal::params(format!("the prompt is larger than {} MiB", PROMPT_BYTES_MAX >> 20))
            .hint("link files instead of embedding them"));
    }
    if text.contains('\0') {
        return Err(Refusal::params("the prompt is not text: it holds NUL bytes"));
    }
    if text.trim().is_empty() {
        return Err(Refusal::params("the prompt is empty").hint("say what is to be done"));
    }
    Ok(text)
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

fn link(block: &Value, root: &Path) -> Result<String, Refusal> {
    let uri = block["uri"].as_str().ok_or_else(|| Refusal::params("a resource_link needs `uri`"))?;
    Ok(match Place::of(uri, root) {
        Some(place) => place.words(),
        None => block["name"].as_str().unwrap_or(uri).to_owned(),
    })
}

/// An embedded resource as a mention in the text and a quotation after it.
fn resource(resource: &Value, root: &Path) -> Result<(String, String), Refusal> {
    let uri = resource["uri"].as_str().ok_or_else(|| Refusal::params("a resource needs `uri`"))?;
    let Some(content) = resource["text"].as_str() else {
        return Err(Refusal::params("only resources that are text are taken").hint("link the file instead"));
    };
    let place = Place::of(uri, root);
    let name = place.as_ref().map_or_else(|| uri.to_owned(), Place::words);
    let tag = place.as_ref().and_then(|place| place.path.rsplit_once('.')).map_or("", |(_, extension)| extension);
    Ok((name.clone(), format!("\n\n{name}:\n{}", fenced(content.trim_end_matches('\n'), Some(tag)))))
}

/// A file of the project, and which lines of it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    path: String,
    lines: Option<(u32, u32)>,
}

impl Place {
    /// What a `file:` URI (or a bare absolute path) names; relative to the root where it is inside.
    fn of(uri: &str, root: &Path) -> Option<Self> {
        let (rest, fragment) = uri.split_once('#').map_or((uri, ""), |(rest, fragment)| (rest, fragment));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = match rest.strip_prefix("file://") {
            Some(path) => decoded(path.strip_prefix("localhost").unwrap_or(path)),
            None if rest.starts_with('/') => rest.to_owned(),
            None => return None,
        };
        let inside = PathBuf::from(&path).strip_prefix(root).ok().map(|path| path.to_string_lossy().into_owned());
        let lines = numbers(fragment).or_else(|| numbers(query));
        Some(Self { path: inside.filter(|path| !path.is_empty()).unwrap_or(path), lines })
    }

    fn words(&self) -> String {
        match self.lines {
            Some((from, to)) if from == to => format!("{} (line {from})", self.path),
            Some((from, to)) => format!("{} (lines {from}-{to})", self.path),
            None => self.path.clone(),
        }
    }
}

/// The lines of `L10`, `L10-L20`, `L10-20`, `L10:20`.
fn numbers(fragment: &str) -> Option<(u32, u32)> {
    let rest = fragment.strip_prefix('L')?;
    let (from, to) = rest.split_once(['-', ':']).unwrap_or((rest, rest));
    let (from, to) = (from.parse().ok()?, to.trim_start_matches('L').parse().ok()?);
    (from <= to).then_some((from, to))
}

/// RFC 3986 percent-encoding undone; what is no text stays as it is written.
fn decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| path.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(blocks: &Value) -> Result<String, Refusal> {
        words(blocks, Path::new("/p"))
    }

    #[test]
    fn files_are_named_as_the_project_names_them_and_selections_are_quoted() {
        let blocks = json!([
            { "type": "text", "text": "Mend " },
            { "type": "resource_link", "name": "a b.py", "uri": "file:///p/src/a%20b.py" },
            { "type": "text", "text": ", see " },
            { "type": "resource", "resource": { "uri": "file:///p/t.py#L3-L4", "text": "x = 1\n```\n", "mimeType": "text/x-python" } },
        ]);
        let text = of(&blocks).unwrap();
        assert!(
            text.starts_with("Mend src/a b.py, see t.py (lines 3-4)\n\nt.py (lines 3-4):\n````py\nx = 1\n```\n````"),
            "{text}"
        );
    }

    #[test]
    fn places_outside_keep_their_whole_path() {
        let place = |uri| Place::of(uri, Path::new("/p")).map(|place| place.words());
        assert_eq!(place("file:///etc/x%C3%A9#L7"), Some("/etc/xé (line 7)".into()));
        assert_eq!(place("/p/a.rs?L1:2"), Some("a.rs (lines 1-2)".into()));
        assert_eq!(place("file:///p/%zz%"), Some("%zz%".into()));
        assert_eq!(place("https://example.org/x"), None);
        assert_eq!(numbers("L9-3"), None);
    }

    #[test]
    fn what_is_not_taken_is_named() {
        for (blocks, word) in [
            (json!([]), "empty"),
            (json!("text"), "array"),
            (json!([{ "type": "text" }]), "text"),
            (json!([{ "type": "image", "data": "", "mimeType": "image/png" }]), "image"),
            (json!([{ "type": "resource", "resource": { "uri": "file:///x", "blob": "" } }]), "text"),
            (json!([{ "type": "dance" }]), "dance"),
            (json!([{ "type": "text", "text": "a\u{0}" }]), "NUL"),
            (json!([{ "type": "text", "text": "x".repeat(PROMPT_BYTES_MAX + 1) }]), "larger"),
        ] {
            let refusal = of(&blocks).unwrap_err();
            assert!(refusal.message.contains(word) && refusal.code == -32602, "{refusal:?}");
        }
    }
}
