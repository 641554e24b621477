//! Tells the words of a conversation from the template's own, after the template has worked on both.
//!
//! Every content is rendered with marks in it: characters of a private area around the words of each line, and rare
//! kinds of white space around the whole, so that trimming, splitting at line ends and at think tags, and tests for
//! what a content contains do what they would do without marks. What stands between the marks afterwards is content;
//! the rest is the template's frame. Where a template cut a mark off, the content's own words show how far it goes.
//!
//! Not for: rendering.

use std::collections::HashMap;

/// Tags that templates split contents at or look for; they stay outside the marks where other words stand beside them.
const TAGS: [&str; 8] = [
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "[THINK]",
    "[/THINK]",
];
/// White space that prose rarely holds: the first two that no content has stand around contents.
const SPACES: [char; 12] = [
    '\u{2000}', '\u{2001}', '\u{2002}', '\u{2003}', '\u{2004}', '\u{2005}', '\u{2006}', '\u{2008}', '\u{200A}',
    '\u{205F}', '\u{1680}', '\u{3000}',
];
/// The private areas that marks are taken from.
const PRIVATE: [std::ops::RangeInclusive<u32>; 2] = [0xF_0000..=0xF_FFFD, 0x10_0000..=0x10_FFFD];

/// A stretch of a rendering: the template's own, or of the content with this number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) content: Option<usize>,
}

/// Marks for the contents of one rendering.
pub(super) struct Marks<'a> {
    contents: Vec<Content<'a>>,
    /// The first content's opening mark; the next ones follow in pairs.
    base: u32,
    /// Around contents, left and right.
    spaces: Option<(char, char)>,
}

/// A content and its cores: what is marked in it, as byte ranges.
struct Content<'a> {
    text: &'a str,
    cores: Vec<(usize, usize)>,
    by_text: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Marks<'a> {
    /// Marks that neither the contents nor the template hold. `None` where they hold every character that could be one.
    pub(super) fn new(contents: impl Iterator<Item = &'a str>, template: &str) -> Option<Self> {
        let contents: Vec<Content<'a>> = contents.map(Content::new).collect();
        let texts = || contents.iter().map(|content| content.text).chain([template]);
        let wanted = 2 * contents.len() as u32;
        let used: std::collections::BTreeSet<u32> = texts()
            .flat_map(str::chars)
            .map(u32::from)
            .filter(|c| PRIVATE.iter().any(|area| area.contains(c)))
            .collect();
        let base = PRIVATE.iter().find_map(|area| {
            let mut from = *area.start();
            for taken in used.range(area.clone()).copied().chain([*area.end() + 1]) {
                if taken - from >= wanted {
                    return Some(from);
                }
                from = taken + 1;
            }
            None
        })?;
        let mut free = SPACES.into_iter().filter(|space| !texts().any(|text| text.contains(*space)));
        let spaces = free.next().zip(free.next());
        Some(Self { contents, base, spaces })
    }

    /// A content with its marks. An empty one stays empty: templates branch on that.
    pub(super) fn marked(&self, number: usize) -> String {
        let content = &self.contents[number];
        if content.text.is_empty() {
            return String::new();
        }
        let (open, close) = (self.mark(2 * number), self.mark(2 * number + 1));
        let mut out = String::with_capacity(content.text.len() + 8 * content.cores.len() + 8);
        let tag_at = |text: &str, is: fn(&str, &str) -> bool| TAGS.iter().any(|tag| is(text, tag));
        // Templates ask whether a content begins or ends with a tag.
        let (tag_first, tag_last) =
            (tag_at(content.text, |a, b| a.starts_with(b)), tag_at(content.text, |a, b| a.ends_with(b)));
        out.extend(self.spaces.filter(|_| !tag_first).map(|(left, _)| left));
        let mut at = 0;
        for &(from, to) in &content.cores {
            out.push_str(&content.text[at..from]);
            out.push(open);
            out.push_str(&content.text[from..to]);
            out.push(close);
            at = to;
        }
        out.push_str(&content.text[at..]);
        out.extend(self.spaces.filter(|_| !tag_last).map(|(_, right)| right));
        out
    }

    fn mark(&self, offset: usize) -> char {
        char::from_u32(self.base + offset as u32).expect("invariant: marks are taken from private areas")
    }

    /// A rendering of marked contents, told apart.
    pub(super) fn pieces(&self, rendering: &str) -> Vec<Piece> {
        let mut reader = Reader::new(self);
        for c in rendering.chars() {
            match u32::from(c).checked_sub(self.base).filter(|offset| (*offset as usize) < 2 * self.contents.len()) {
                Some(offset) if offset % 2 == 0 => reader.opened(offset as usize / 2),
                Some(offset) => reader.closed(offset as usize / 2),
                None if self.spaces.is_some_and(|(left, _)| left == c) => reader.left = Some(reader.plain.len()),
                None if self.spaces.is_some_and(|(_, right)| right == c) => reader.right(),
                None => reader.plain.push(c),
            }
        }
        reader.finish()
    }
}

impl<'a> Content<'a> {
    fn new(text: &'a str) -> Self {
        let mut cores = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let mut from = at;
            let end = at + line.len();
            while from < end {
                let tag = TAGS.iter().filter_map(|tag| Some((text[from..end].find(tag)? + from, tag.len()))).min();
                let to = tag.map_or(end, |(at, _)| at);
                push_core(&mut cores, text, from, to);
                from = tag.map_or(end, |(at, length)| at + length);
            }
            at = end;
        }
        if cores.is_empty() {
            // Nothing but tags: then they are the words.
            push_core(&mut cores, text, 0, text.len());
        }
        let mut by_text: HashMap<&str, Vec<usize>> = HashMap::new();
        for (number, &(from, to)) in cores.iter().enumerate() {
            by_text.entry(&text[from..to]).or_default().push(number);
        }
        Self { text, cores, by_text }
    }

    fn core(&self, number: usize) -> &'a str {
        let (from, to) = self.cores[number];
        &self.text[from..to]
    }
}

fn push_core(cores: &mut Vec<(usize, usize)>, text: &str, from: usize, to: usize) {
    let part = &text[from..to];
    let core = part.trim();
    if !core.is_empty() {
        let from = from + (part.len() - part.trim_start().len());
        cores.push((from, from + core.len()));
    }
}

/// Content within the plain rendering.
#[derive(Clone, Copy, Debug)]
struct Region {
    from: usize,
    to: usize,
    content: usize,
    /// The core that it is, where it is one in full.
    core: Option<usize>,
}

/// A rendering while its marks are read.
struct Reader<'m, 'a> {
    marks: &'m Marks<'a>,
    plain: String,
    regions: Vec<Region>,
    open: Option<(usize, usize)>,
    /// Where the white space that opens a content stood, until words come.
    left: Option<usize>,
}

impl<'m, 'a> Reader<'m, 'a> {
    fn new(marks: &'m Marks<'a>) -> Self {
        Self { marks, plain: String::new(), regions: Vec::new(), open: None, left: None }
    }

    fn opened(&mut self, content: usize) {
        self.lost_end();
        self.open = Some((content, self.plain.len()));
    }

    fn closed(&mut self, content: usize) {
        let to = self.plain.len();
        let from = match self.open.take() {
            Some((opened, from)) if opened == content => from,
            Some(other) => {
                self.open = Some(other);
                self.lost_end();
                self.lost_start(content, to)
            }
            None => self.lost_start(content, to),
        };
        self.add(from, to, content);
    }

    /// Where words begin whose opening mark was cut off: as far back as they agree with the end of one of the content's
    /// lines. Words that agree with none were changed; then nothing of them may count as frame.
    fn lost_start(&self, content: usize, to: usize) -> usize {
        let earliest = self.regions.last().map_or(0, |last| last.to);
        let words = &self.plain[earliest..to];
        let agree = |core: &&str| {
            let same = words.chars().rev().zip(core.chars().rev()).take_while(|(a, b)| a == b);
            same.map(|(c, _)| c.len_utf8()).sum::<usize>()
        };
        let longest = self.marks.contents[content].by_text.keys().map(agree).max().unwrap_or(0);
        if longest == 0 { earliest } else { to - longest }
    }

    /// Ends words whose closing mark was cut off.
    fn lost_end(&mut self) {
        let Some((content, from)) = self.open.take() else { return };
        let words = &self.plain[from..];
        let agree = |core: &&str| {
            let same = words.chars().zip(core.chars()).take_while(|(a, b)| a == b);
            same.map(|(c, _)| c.len_utf8()).sum::<usize>()
        };
        let longest = self.marks.contents[content].by_text.keys().map(agree).max().unwrap_or(0);
        let to = if longest == 0 { self.plain.len() } else { from + longest };
        self.add(from, to, content);
    }

    fn add(&mut self, mut from: usize, to: usize, content: usize) {
        let known = &self.marks.contents[content];
        let last = self.regions.last().copied().filter(|last| last.content == content);
        let text = &self.plain[from..to];
        let next = last.and_then(|last| last.core).map(|core| core + 1);
        let core = next.filter(|next| *next < known.cores.len() && known.core(*next) == text);
        let core = core.or_else(|| known.by_text.get(text)?.first().copied());
        if let Some(left) = self.left.take()
            && self.plain[left..from].trim().is_empty()
        {
            from = left;
        }
        // What stands between two lines as it stood between them in the content is content.
        if let (Some(last), Some(core)) = (self.regions.last_mut().filter(|last| last.content == content), core)
            && last.core == core.checked_sub(1)
            && last.core.is_some()
            && self.plain[last.to..from] == known.text[known.cores[core - 1].1..known.cores[core].0]
        {
            (last.to, last.core) = (to, Some(core));
            return;
        }
        self.regions.push(Region { from, to, content, core });
    }

    /// White space that closes a content.
    fn right(&mut self) {
        let Some(last) = self.regions.last_mut() else { return };
        let tail = &self.plain[last.to..];
        // The rest of the content, tags and white space, where nothing of it was taken away.
        let known = &self.marks.contents[last.content];
        let rest = known.cores.last().map_or("", |(_, end)| &known.text[*end..]);
        if tail.trim().is_empty() || tail == rest {
            last.to = self.plain.len();
        }
    }

    /// Tags at a content's very beginning and end stand outside its marks: they are content where they still stand
    /// beside it as they stood in it.
    fn tags_outside(&mut self) {
        for at in 0..self.regions.len() {
            let Region { from, to, content, core: Some(core) } = self.regions[at] else { continue };
            let known = &self.marks.contents[content];
            let earliest = if at == 0 { 0 } else { self.regions[at - 1].to };
            let latest = self.regions.get(at + 1).map_or(self.plain.len(), |next| next.from);
            let head = &known.text[..known.cores[0].0];
            let is_first = self.plain[from..to].starts_with(known.core(0));
            if !head.trim().is_empty() && is_first && self.plain[earliest..from].ends_with(head) {
                self.regions[at].from = from - head.len();
            }
            let tail = &known.text[known.cores[known.cores.len() - 1].1..];
            let is_last = core + 1 == known.cores.len();
            if !tail.trim().is_empty() && is_last && self.plain[to..latest].starts_with(tail) {
                self.regions[at].to = to + tail.len();
            }
        }
    }

    fn finish(mut self) -> Vec<Piece> {
        self.lost_end();
        self.tags_outside();
        let mut pieces = Vec::with_capacity(2 * self.regions.len() + 1);
        let mut at = 0;
        let mut push = |text: &str, content: Option<usize>| {
            if !text.is_empty() {
                pieces.push(Piece { text: text.to_owned(), content });
            }
        };
        for region in &self.regions {
            push(&self.plain[at..region.from.max(at)], None);
            push(&self.plain[region.from.max(at)..region.to], Some(region.content));
            at = region.to;
        }
        push(&self.plain[at..], None);
        pieces
    }
}
