//! What the terminal does to the world at the user's wish: an editor, the clipboard, a notification, the
//! history file, the list of files. The one place outside the sandbox that starts a process: the user's own
//! editor.
//!
//! Not for: deciding when.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use anyhow::Context;

use super::options::Notify;

/// Files that completion knows; a larger project is cut.
const FILES_MAX: usize = 50_000;
/// OSC 52 is cut off by terminals somewhere above this.
const COPY_BYTES_MAX: usize = 100_000;
/// Names that are tried for an exported conversation.
const EXPORTS_MAX: usize = 99;
const HISTORY_BYTES_MAX: u64 = 4 << 20;

/// Lets the user edit `text` in `$VISUAL` or `$EDITOR`. Returns `None` where nothing was changed.
///
/// # Errors
/// Where there is no editor, or it failed.
pub fn edit(text: &str, name: &str) -> anyhow::Result<Option<String>> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().context("$EDITOR is empty")?;
    let folder = tempfile::tempdir().context("making a folder for the editor")?;
    let path = folder.path().join(safe_name(name));
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    let status = std::process::Command::new(program)
        .args(words)
        .arg(&path)
        .status()
        .with_context(|| format!("starting the editor `{editor}` (set $EDITOR)"))?;
    anyhow::ensure!(status.success(), "the editor `{editor}` ended with {status}; nothing was taken over");
    let after = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let after = String::from_utf8_lossy(&after).into_owned();
    Ok((after != text).then_some(after))
}

fn safe_name(name: &str) -> String {
    let kept: String = name.chars().filter(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')).collect();
    let kept = kept.trim_start_matches('.');
    if kept.is_empty() { "text.md".to_owned() } else { kept.to_owned() }
}

/// Writes an exported conversation into a new file and returns where. Nothing is ever overwritten: a name that
/// is taken gets a number, unless the user chose it.
///
/// # Errors
/// Where the file exists already or cannot be written.
pub fn export(project: &Path, path: Option<&str>, text: &str) -> anyhow::Result<PathBuf> {
    let create = |path: PathBuf| -> io::Result<PathBuf> {
        std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(text.as_bytes())?;
        Ok(path)
    };
    if let Some(path) = path {
        return create(project.join(path)).with_context(|| format!("writing {path}"));
    }
    for number in 1..=EXPORTS_MAX {
        let name = if number == 1 { "z1-transcript.md".to_owned() } else { format!("z1-transcript-{number}.md") };
        match create(project.join(&name)) {
            Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.with_context(|| format!("writing {name}")),
        }
    }
    anyhow::bail!("there are {EXPORTS_MAX} exported conversations here already; name a file: /export FILE")
}

/// Writes to the terminal's clipboard (OSC 52).
pub fn copy(out: &mut impl Write, text: &str) -> io::Result<()> {
    let mut end = text.len().min(COPY_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    write!(out, "\x1b]52;c;{}\x07", base64(&text.as_bytes()[..end]))
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() { digit.into() } else { '=' });
        }
    }
    text
}

/// Rings, or sends a desktop notification. `text` is clean.
pub fn notify(out: &mut impl Write, how: Notify, text: &str) -> io::Result<()> {
    match how {
        Notify::Off => Ok(()),
        Notify::Bell => out.write_all(b"\x07"),
        Notify::Desktop => write!(out, "\x1b]9;{text}\x07"),
    }
}

/// Reads the history file: one JSON string a line. A broken line is left out, a missing file is empty.
pub fn read_history(path: Option<&Path>) -> Vec<String> {
    let Some(path) = path else { return Vec::new() };
    let small = std::fs::metadata(path).is_ok_and(|meta| meta.len() <= HISTORY_BYTES_MAX);
    let text = if small { std::fs::read_to_string(path).unwrap_or_default() } else { String::new() };
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Appends to the history file.
pub fn remember(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let line = serde_json::Value::from(text).to_string();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{line}")
}

/// What is read of the project in the background.
#[derive(Debug)]
pub struct Surroundings {
    pub files: Vec<String>,
    pub branch: Option<String>,
}

/// Walks the project on a thread of its own, so that no key waits for the disk.
pub fn look_around(project: PathBuf) -> mpsc::Receiver<Surroundings> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let branch = branch(&project);
        let files = files(&project);
        // Where the interface is gone already nobody needs the list.
        let _ = sender.send(Surroundings { files, branch });
    });
    receiver
}

fn files(project: &Path) -> Vec<String> {
    let walk = ignore::WalkBuilder::new(project).hidden(true).require_git(false).follow_links(false).build();
    let mut files: Vec<String> = walk
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .filter_map(|entry| entry.path().strip_prefix(project).ok().and_then(Path::to_str).map(str::to_owned))
        // A name with control characters cannot be typed and must not be shown.
        .filter(|path| path.chars().all(super::text::clean::is_harmless) && !path.contains(' '))
        .take(FILES_MAX)
        .collect();
    files.sort();
    files
}

/// The current branch, read from `.git/HEAD` (also of a worktree).
fn branch(project: &Path) -> Option<String> {
    let git = project.ancestors().map(|folder| folder.join(".git")).find(|path| path.exists())?;
    let folder = if git.is_file() {
        let text = std::fs::read_to_string(&git).ok()?;
        git.parent()?.join(text.strip_prefix("gitdir:")?.trim())
    } else {
        git
    };
    let head = std::fs::read_to_string(folder.join("HEAD")).ok()?;
    let head = head.trim();
    let name = head.strip_prefix("ref: refs/heads/").map_or_else(|| head.get(..7), Some)?;
    Some(super::text::clean::one_line(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_the_vectors_of_the_standard() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn history_survives_line_ends_and_broken_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/history.jsonl");
        remember(&path, "one\ntwo \"three\"").unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{broken\n").unwrap();
        remember(&path, "four").unwrap();
        assert_eq!(read_history(Some(&path)), ["one\ntwo \"three\"", "four"]);
        assert!(read_history(Some(Path::new("/nonexistent"))).is_empty());
    }

    #[test]
    fn an_export_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let first = export(folder.path(), None, "a").unwrap();
        let second = export(folder.path(), None, "b").unwrap();
        assert_ne!(first, second);
        assert_eq!(std::fs::read_to_string(first).unwrap(), "a");
        assert!(export(folder.path(), Some("x.md"), "c").is_ok() && export(folder.path(), Some("x.md"), "d").is_err());
    }

    #[test]
    fn file_names_for_the_editor_stay_in_the_folder() {
        assert_eq!(safe_name("../../x y.rs"), "xy.rs");
        assert_eq!(safe_name("…"), "text.md");
    }
}
