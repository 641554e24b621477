//! One walk over a reply: each block that `scan` finds, with the heading above it, becomes edits or refusals.

use std::sync::LazyLock;

use regex::Regex;

use super::becomes::{WHOLE_KEPT_MIN, kept};
use super::edits::{Origin, Proposed, Reading, Refusal, RefusalKind};
use super::paths::{self, Head, Known, Meant, Strength};
use super::tolerant::Shown;
use super::{append, apply_patch, compile, heredoc, only, search_replace, splice, tool_call, unified_diff};
use crate::scan::{self, Block, Format, Kind, marker};
use crate::task::{Edit, Language};

/// A fence that stands for no edit as it is: what the tolerant reader may still make of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loose {
    pub info: String,
    pub content: String,
    pub head: Option<Head>,
    pub closed: bool,
    /// The words above it say that it shows something: an example, how it is used, what was there before.
    pub shows: bool,
    /// They say that it is added to what is there.
    pub adds: bool,
    pub reply_line: u32,
}

/// What an edit wants of the path that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// This path and no other: a whole file, an addition, a deletion, a move.
    ThisPath,
    /// The file in which the text to replace stands.
    ExistingText,
}

/// The state of one walk over a reply's lines.
pub(super) struct Walk<'a> {
    pub lines: Vec<&'a str>,
    pub known: &'a Known,
    /// The files that the model was shown, where the reading is tolerant: text that stands in one of them alone says
    /// which file an edit without a path means.
    shown: &'a [Shown<'a>],
    /// Lines before this one belong to blocks already read and head nothing.
    pub free_from: usize,
    /// Where headings may begin again, where that is inside the block that was read last.
    resume: Option<usize>,
    pub last_path: Option<String>,
    pub out: Reading,
    pub loose: Vec<Loose>,
    /// Files that blocks of commands write: the block's line, path and text.
    commands: Vec<(u32, String, String)>,
}

impl<'a> Walk<'a> {
    /// Walks over a whole reply. `shown` is empty where the reading is strict.
    pub(super) fn over(text: &'a str, known: &'a Known, shown: &'a [Shown<'a>]) -> Self {
        let blocks = scan::blocks(text);
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        let line_of = |at: usize| starts.partition_point(|start| *start < at);
        let mut walk = Self {
            lines: text.lines().collect(),
            known,
            shown,
            free_from: 0,
            resume: None,
            last_path: None,
            out: Reading::default(),
            loose: Vec::new(),
            commands: Vec::new(),
        };
        for (index, block) in blocks.iter().enumerate() {
            let (from, end) = (line_of(block.start), line_of(block.end).min(walk.lines.len()));
            let until = blocks.get(index + 1).map_or(walk.lines.len(), |next| line_of(next.start));
            let body = line_of(block.body.start)..line_of(block.body.end).min(walk.lines.len());
            walk.take(block, from, body, end, until, text);
            walk.free_from = walk.resume.take().unwrap_or(end);
        }
        walk
    }

    fn take(&mut self, block: &Block, from: usize, body: std::ops::Range<usize>, end: usize, until: usize, text: &str) {
        if matches!(block.kind, Kind::Edit(_)) && block.indent > 0 {
            for line in &mut self.lines[body.clone()] {
                *line = scan::dedented(line, block.indent);
            }
        }
        match block.kind {
            Kind::Edit(Format::SearchReplace) => search_replace::read(self, block, from, body, until),
            Kind::Edit(Format::Patch) => apply_patch::read(self, block.closed, from, body),
            Kind::Edit(Format::ToolCall) => tool_call::read_block(self, from, end),
            Kind::Edit(Format::UnifiedDiff) => {
                let head = self.head_above(from).or_else(|| self.info_head(&block.info));
                if let Some(head) = head.filter(|h| h.strength == Strength::Bare && is_diff_file(&h.path)) {
                    return self.fence(block, from, body, until, Some(head), text);
                }
                let head = self.head_above(from).map(|h| h.path);
                unified_diff::read(self, body.start, body.end, head.as_deref(), block.closed);
            }
            Kind::Code | Kind::Shell => {
                let commands = block.kind == Kind::Shell || block.info.is_empty();
                if commands && block.closed {
                    let files = heredoc::files(&block.body_of(text)).unwrap_or_default();
                    self.commands.extend(files.into_iter().map(|(path, text)| (from as u32 + 1, path, text)));
                }
                let head = self.head_above(from).or_else(|| self.info_head(&block.info));
                self.fence(block, from, body, until, head, text);
            }
        }
    }

    fn info_head(&self, info: &str) -> Option<Head> {
        paths::info_path(info, self.known).map(Head::bare)
    }

    /// Makes edits of the files that commands write.
    pub(super) fn take_commands(&mut self) {
        for (line, path, content) in std::mem::take(&mut self.commands) {
            let Some((path, instead)) = self.target(&path, line, Want::ThisPath) else { continue };
            let mut proposed = Proposed::new(Edit::Write { path, content }, Origin::WholeFile, line);
            proposed.weak = true;
            proposed.instead = instead;
            self.out.edits.push(proposed);
        }
    }

    /// A fence around a file, a tool call, or something that is only shown.
    fn fence(
        &mut self,
        block: &Block,
        from: usize,
        body: std::ops::Range<usize>,
        until: usize,
        head: Option<Head>,
        text: &str,
    ) {
        let line = from as u32 + 1;
        let content = self.content_of(block, &body, text);
        if let Some(parts) = self.files_inside(block, &content) {
            return self.take_parts(parts, line);
        }
        let (head, label) = self.headed(head, &content);
        let is_bare = head.as_ref().is_some_and(|h| h.strength == Strength::Bare);
        if !is_bare && block.kind == Kind::Code && tool_call::looks_like(&content) {
            return tool_call::read_json(self, &content, body.start);
        }
        if !is_bare && let Some(at) = self.lines[body.clone()].iter().position(|line| marker::opens_edit(line)) {
            let message = "an edit block stands inside other text in a fence; put it in a fence of its own";
            return self.refuse(RefusalKind::Malformed, None, (body.start + at) as u32 + 1, message);
        }
        if let (Some(at), Some(head)) = (self.lost_end(&body), &head) {
            let (message, path) = ("a block has a >>>>>>> REPLACE line but no <<<<<<< SEARCH line", head.path.clone());
            return self.refuse(RefusalKind::Malformed, Some(&path), at as u32 + 1, message);
        }
        let shows = self.shows_above(from);
        let adds = self.nearest_above(from).is_some_and(append::says_so);
        let loose = |head: Option<Head>| Loose {
            info: block.info.clone(),
            content: content.clone(),
            head,
            closed: block.closed || block.interrupted,
            shows,
            adds,
            reply_line: line,
        };
        let is_console = block.kind == Kind::Shell || is_output(&block.info);
        let mentioned = head.clone();
        let head = head.filter(|h| h.strength == Strength::Bare || !is_console);
        let Some(head) = head.or_else(|| self.only_file(&block.info)) else {
            let script = mentioned.filter(|head| is_script(head, &content));
            if block.kind == Kind::Code || script.is_some() || self.is_shell_part(&content) {
                self.loose.push(loose(script));
            }
            return;
        };
        // "Then import it in `a.py`" shows nothing.
        let imports = self.known.contains(&head.path) && append::only_imports(&head.path, &content);
        if head.strength == Strength::Shown && !imports {
            self.out.notes.push(format!("the block at line {line} shows something about {}; it is no file", head.path));
            // Unless it says by what it holds that it is.
            if block.kind == Kind::Code {
                self.loose.push(loose(None));
            }
            return;
        }
        if let Some(why) = self.uncertain_end(block, &head.path, &body, until) {
            return self.refuse(RefusalKind::Malformed, Some(&head.path), line, why);
        }
        if is_console && self.is_no_file(&head.path, &content) {
            let message =
                format!("the block is tagged as commands or output, and {} is neither; nothing was taken", head.path);
            return self.refuse(RefusalKind::Malformed, Some(&head.path), line, message);
        }
        let Some((path, instead)) = self.target(&head.path, line, Want::ThisPath) else {
            self.loose.push(loose(Some(head)));
            return;
        };
        if content.trim().is_empty() && self.known.contains(&path) {
            let message = format!("the block for {path} is empty; to delete a file say so in a patch");
            return self.refuse(RefusalKind::Malformed, Some(&path), line, message);
        }
        let mut proposed = Proposed::new(Edit::Write { path, content }, Origin::WholeFile, line);
        proposed.closed = block.closed;
        proposed.weak = head.strength != Strength::Bare;
        proposed.instead = instead;
        proposed.label = label;
        proposed.adds = adds;
        self.out.edits.push(proposed);
    }

    /// A fence's content; without its last line where it was never closed and that line heads the next block.
    fn content_of(&mut self, block: &Block, body: &std::ops::Range<usize>, text: &str) -> String {
        let content = block.body_of(text);
        let Some(at) = self.heading_inside(block, body) else { return content };
        self.resume = Some(at);
        let lines: Vec<&str> = content.lines().take(at - body.start).collect();
        lines.join("\n").trim_end_matches('\n').to_owned() + "\n"
    }

    /// The files of a block that holds several, each under a comment that is the path of one of the project's, or of a new
    /// one in one of its folders.
    fn files_inside(&self, block: &Block, content: &str) -> Option<Vec<(String, String)>> {
        let at_root = |path: &str| !path.contains('/') && self.known.iter().any(|other| !other.contains('/'));
        let in_folder = |path: &str| self.known.has_folder_of(path) || at_root(path);
        let is_file =
            |path: &String| self.known.contains(path) || self.known.wanted().contains(path) || in_folder(path);
        let label = |line: &str| paths::comment_path(line, self.known).filter(is_file);
        let mut parts: Vec<(String, String)> = Vec::new();
        for line in content.split_inclusive('\n') {
            match label(line.trim_end()) {
                Some(path) => parts.push((path, line.to_owned())),
                None if parts.is_empty() && !line.trim().is_empty() => return None,
                None => {
                    if let Some((_, part)) = parts.last_mut() {
                        part.push_str(line);
                    }
                }
            }
        }
        let different: std::collections::BTreeSet<&str> = parts.iter().map(|(path, _)| path.as_str()).collect();
        let known = parts.iter().any(|(path, _)| self.known.contains(path));
        (block.closed && known && parts.len() > 1 && different.len() == parts.len()).then_some(parts)
    }

    fn take_parts(&mut self, parts: Vec<(String, String)>, line: u32) {
        for (path, part) in parts {
            let content = format!("{}\n", part.trim_end());
            let mut proposed = Proposed::new(Edit::Write { path, content: content.clone() }, Origin::WholeFile, line);
            proposed.weak = true;
            proposed.label = content.lines().next().map(str::to_owned);
            self.out.edits.push(proposed);
        }
    }

    /// Whether a block that is tagged as commands or output cannot be this file: the project's file is neither, and the block
    /// is not most of it, nor code of its kind.
    fn is_no_file(&self, path: &str, content: &str) -> bool {
        let shown = self.shown.iter().find(|file| file.path == path && !file.text.trim().is_empty());
        let is_most = shown.is_some_and(|file| kept(file.text, content) >= WHOLE_KEPT_MIN);
        let is_code = append::only_imports(path, content) || !splice::defined(path, content).is_empty();
        !may_be_shell_file(path) && self.known.contains(path) && !is_most && !is_code
    }

    /// Whether the words above a block say that it is no change.
    fn shows_above(&self, from: usize) -> bool {
        static SHOWS: LazyLock<Regex> = LazyLock::new(|| {
            compile(
                r"(?i)\b(?:examples?|e\.g\.|for instance|use it|used|usage|call it|test it|try it|run it|old|original(?:ly)?|before|current(?:ly)?|existing|was|bug|wrong|problem|references?|same|unchanged|stays?|remains?|nothing else|alternatively|could|optional)\b",
            )
        });
        self.nearest_above(from).is_some_and(|line| SHOWS.is_match(line) || paths::shows(line))
    }

    /// The nearest line with text above a block.
    fn nearest_above(&self, from: usize) -> Option<&'a str> {
        self.lines[self.free_from.min(from)..from].iter().rev().find(|line| !line.trim().is_empty()).copied()
    }

    /// What a block is headed by: what stands above it, or a path in a comment that is its first line. That line is a label then,
    /// and no part of the file; also where it says once more what the heading said.
    fn headed(&self, head: Option<Head>, content: &str) -> (Option<Head>, Option<String>) {
        let comment = content.lines().next().and_then(|first| Some((first, paths::comment_path(first, self.known)?)));
        match (head, comment) {
            (Some(head), Some((first, path))) if head.strength == Strength::Bare => {
                let again = head.path == path;
                (Some(head), again.then(|| first.to_owned()))
            }
            (_, Some((first, path))) => (Some(Head::bare(path)), Some(first.to_owned())),
            (head, None) => (head, None),
        }
    }

    /// Whether it defines functions of a shell script that the project may have.
    fn is_shell_part(&self, content: &str) -> bool {
        let is_script = |path: &str| matches!(paths::extension(path).as_str(), "sh" | "bash");
        self.known.iter().any(is_script) && splice::defines_in_shell(content)
    }

    /// The last line of a fence that another one interrupted, where it is that one's heading.
    fn heading_inside(&self, block: &Block, body: &std::ops::Range<usize>) -> Option<usize> {
        let at = body.clone().rev().find(|at| !self.lines[*at].trim().is_empty()).filter(|_| block.interrupted)?;
        let bare = paths::head_path(self.lines[at], self.known).is_some_and(|h| h.strength == Strength::Bare);
        bare.then_some(at)
    }

    /// The last line of a fence, where it closes a SEARCH/REPLACE block that nothing opens.
    fn lost_end(&self, body: &std::ops::Range<usize>) -> Option<usize> {
        let at = body.clone().rev().find(|at| !self.lines[*at].trim().is_empty())?;
        let ends = marker::end(self.lines[at]).is_some_and(|(mark, _)| mark == '>');
        let opened = self.lines[body.clone()].iter().any(|line| marker::head(line).is_some());
        (ends && !opened).then_some(at)
    }

    /// Why the closing line of a file's fence may not be the right one.
    fn uncertain_end(
        &self,
        block: &Block,
        path: &str,
        body: &std::ops::Range<usize>,
        until: usize,
    ) -> Option<&'static str> {
        if block.doubtful {
            return Some("where this file ends cannot be told from its fences; use a longer fence around it");
        }
        if !paths::is_prose(path) && self.opens_inside(block, body) {
            return Some(
                "another fence opens inside this file, which may never have been closed; use a longer fence around it",
            );
        }
        let last = self.lines[body.clone()].iter().rev().find(|line| !line.trim().is_empty())?;
        let heads_next = paths::head_path(last, self.known).is_some_and(|h| h.strength == Strength::Bare);
        if block.interrupted && !heads_next {
            return Some("another fence opens inside this file; use a longer fence around it");
        }
        let after = self.lines.get(body.end + 1).filter(|_| body.end < until);
        if block.closed && self.lines.get(body.end + 1).is_some_and(|line| marker::opens_edit(line)) {
            return Some("the fence before this one was never closed: what closes it opens the next edit");
        }
        let runs_on = block.closed && heads_next && after.is_some_and(|line| !line.trim().is_empty());
        runs_on.then_some("the fence before this one was never closed: its end looks like the next file's heading")
    }

    /// Whether a fence of no smaller length opens inside this one, as it does where the closing line was forgotten.
    fn opens_inside(&self, block: &Block, body: &std::ops::Range<usize>) -> bool {
        let Some(opening) = body.start.checked_sub(1).and_then(|at| scan::delimiter(self.lines[at])) else {
            return false;
        };
        let opens = |d: scan::Delimiter<'_>| {
            !block.closed || (d.length >= opening.length && (d.mark != opening.mark || !d.info.is_empty()))
        };
        let flush = self.lines[body.clone()].iter().filter(|line| !line.starts_with([' ', '\t']));
        flush.filter_map(|line| scan::delimiter(line)).any(opens)
    }

    /// Without any heading, a block can only mean the project's one file.
    fn only_file(&self, info: &str) -> Option<Head> {
        let only = self.known.only()?;
        let extension = only.rsplit_once('.').map_or("", |(_, extension)| extension);
        let language = Language::from_extension(extension)?;
        let tagged = Language::from_fence_tag(info);
        (tagged == Some(language)).then(|| Head { path: only.to_owned(), strength: Strength::Mention })
    }

    /// The path that the lines just above `index` give: the nearest line with text (fences skipped), and
    /// the one above it where that is nothing but a path.
    pub(super) fn head_above(&self, index: usize) -> Option<Head> {
        let mut texts = 0;
        for above in (self.free_from..index).rev().take(6) {
            let line = self.lines[above];
            if line.trim().is_empty() {
                continue;
            }
            if let Some(fence) = scan::delimiter(line) {
                if let Some(path) = paths::info_path(fence.info, self.known) {
                    return Some(Head::bare(path));
                }
                continue;
            }
            let head = paths::head_path(line, self.known).or_else(|| {
                let path = paths::comment_path(line, self.known)?;
                (index - above == 1).then(|| Head::bare(path))
            });
            if let Some(head) = head.filter(|h| texts == 0 || h.strength == Strength::Bare) {
                return Some(head);
            }
            texts += 1;
            if texts == 2 {
                break;
            }
        }
        self.section_above(index)
    }

    /// The path that is the heading of the section or the step in which a block stands, prose between: it is only likely.
    fn section_above(&self, index: usize) -> Option<Head> {
        const LINES_MAX: usize = 40;
        static HEADING: LazyLock<Regex> = LazyLock::new(|| {
            compile(concat!(
                // A step of a list says what is to be done; other items only speak of a file.
                r"(?i)^(?:#{1,6}\s|\*\*[^*]+\*\*:?\s*$|\s*(?:\d{1,2}[.)]|[-*+])\s+\**(?:(?:step \d+|first|then|next|now|finally)[:,]?\s+)?",
                r"(?:open|updat|modif|chang|edit|add|append|creat|replac|fix|extend|in|for)\w*\b)"
            ))
        });
        let above = || (self.free_from..index).rev().take(LINES_MAX).map(move |at| self.lines[at]);
        let nearest = above().find(|line| !line.trim().is_empty() && scan::delimiter(line).is_none())?;
        let heading = above().find(|line| HEADING.is_match(line))?;
        let head = paths::head_path(heading, self.known).filter(|head| head.strength != Strength::Shown)?;
        (!paths::shows(nearest)).then_some(Head { strength: Strength::Mention, ..head })
    }

    /// Resolves a written path; refuses a made-up one. The second value is an existing file that may be meant where
    /// an edit of existing text names a file that does not exist.
    pub(super) fn target(&mut self, written: &str, reply_line: u32, want: Want) -> Option<(String, Option<String>)> {
        match (paths::meant(written, self.known), want) {
            (Meant::Exact(path), _) => Some((path, None)),
            (Meant::Loosely { path, written }, Want::ExistingText) => Some((written, Some(path))),
            // A bare name may be that of a file in a folder; the plan refuses where it looks like it.
            (Meant::Loosely { path, written }, Want::ThisPath) if !paths::is_placeholder(&written) => {
                let elsewhere = (!written.contains('/') && path.contains('/')).then_some(path);
                Some((written, elsewhere))
            }
            (Meant::Placeholder(path) | Meant::Loosely { written: path, .. }, _) => {
                let message = format!("{path} is a placeholder; name a real file of the project");
                self.refuse(RefusalKind::NoPath, Some(&path), reply_line, message);
                None
            }
        }
    }

    /// Whether nothing but what a file holds says that it is meant: neither the block before, nor that it is the only one.
    pub(super) fn only_inferred(&self, path: &str) -> bool {
        self.last_path.as_deref() != Some(path) && self.known.only() != Some(path)
    }

    /// The file that an edit of these lines without a path means: the one that the reply spoke of last, where it has them or
    /// was given them by the reply; else the one shown file that has them.
    pub(super) fn home_of(&self, search: &[String]) -> Option<String> {
        let spoken_of = self.last_path.clone().filter(|last| {
            let shown = self.shown.iter().filter(|file| file.path == last).map(|file| file.text);
            let given = self.out.edits.iter().filter_map(|proposed| match &proposed.edit {
                Edit::Write { path, content } | Edit::Replace { path, replace: content, .. } if path == last => {
                    Some(content.as_str())
                }
                _ => None,
            });
            shown.chain(given).any(|text| stands(text, search))
        });
        spoken_of.or_else(|| home_of(self.shown, search))
    }

    pub(super) fn refuse(&mut self, kind: RefusalKind, path: Option<&str>, line: u32, message: impl Into<String>) {
        self.out.refused.push(Refusal::new(kind, path, line, message));
    }
}

/// The one shown file in which these lines stand, blank lines and the white space around each left aside.
pub(super) fn home_of(shown: &[Shown<'_>], search: &[String]) -> Option<String> {
    only(shown.iter().filter(|file| stands(file.text, search))).map(|file| file.path.to_owned())
}

fn stands(text: &str, search: &[String]) -> bool {
    let wanted: Vec<&str> = search.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    let have: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    !wanted.is_empty() && have.windows(wanted.len()).any(|part| part == wanted)
}

/// Whether a block that looks like commands is about a script: it defines functions.
fn is_script(head: &Head, content: &str) -> bool {
    head.strength == Strength::Mention
        && matches!(paths::extension(&head.path).as_str(), "sh" | "bash")
        && !splice::defined(&head.path, content).is_empty()
}

fn is_diff_file(path: &str) -> bool {
    matches!(paths::extension(path).as_str(), "diff" | "patch")
}

/// Info strings of blocks that show output rather than a file.
fn is_output(info: &str) -> bool {
    let tag = info.split_whitespace().next().unwrap_or("").to_lowercase();
    matches!(tag.as_str(), "text" | "txt" | "output" | "plaintext" | "log" | "stdout" | "pycon" | "traceback")
}

/// Whether a file may hold commands for a shell, or plain text.
fn may_be_shell_file(path: &str) -> bool {
    let extension = paths::extension(path);
    let text =
        ["", "sh", "bash", "zsh", "fish", "ps1", "bat", "cmd", "txt", "env", "md", "rst", "log", "out", "expected"];
    text.contains(&extension.as_str()) || Language::from_extension(&extension).is_none()
}
