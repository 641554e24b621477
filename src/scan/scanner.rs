//! The streaming scanner: one state, fed line by line from whatever pieces come.

use super::fence::{self, Fence, Inside, Role};
use super::{Block, Event, Format, Kind, ThinkTags, marker};

/// What the text is in the middle of.
#[derive(Clone, Debug, Default)]
enum Open {
    #[default]
    Nothing,
    Fence(Box<Fence>),
    Edit(Box<Edit>),
}

/// An open edit block, with the fence around it.
#[derive(Clone, Debug)]
struct Edit {
    shape: Shape,
    start: usize,
    body: usize,
    around: Option<Fence>,
}

#[derive(Clone, Debug)]
enum Shape {
    SearchReplace {
        head: marker::Head,
        divided: bool,
    },
    Patch,
    /// A tagged call: what closes it.
    Tagged(String),
    /// A call in bare JSON: open brackets, and whether the text is inside a string.
    Json {
        depth: u32,
        string: bool,
        escaped: bool,
        lines: u32,
    },
    /// A diff without a fence.
    Diff {
        /// The first of the blank lines that were read last.
        blank: Option<usize>,
        /// Lines that the hunk's header announces and that have not come yet: old side, new side.
        due: (i64, i64),
    },
}

impl Shape {
    const fn format(&self) -> Format {
        match self {
            Self::SearchReplace { .. } => Format::SearchReplace,
            Self::Patch => Format::Patch,
            Self::Tagged(_) | Self::Json { .. } => Format::ToolCall,
            Self::Diff { .. } => Format::UnifiedDiff,
        }
    }
}

/// An incremental scanner of one reply. It never goes back over text it has seen and keeps none of it but the last
/// line; cloning it costs little.
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    tags: Vec<ThinkTags>,
    /// The tags whose thinking is open.
    thinking: Option<usize>,
    /// Text after the last line end.
    line: String,
    /// Bytes of all complete lines.
    consumed: usize,
    open: Open,
    /// The column where the text of the list item begins that the text is in.
    item: Option<usize>,
    /// The last line of prose names a Markdown file.
    headed: bool,
    /// The line before was a `---` header, beginning here.
    dashes: Option<usize>,
    begun: bool,
    /// A fence around the whole of a reply was opened, and its closing line has not come.
    unwrapped: bool,
    closed: usize,
    prose_lines: usize,
    /// What a first reading of the whole text found out: where the block that begins at the first offset ends.
    ends: Vec<(usize, KnownEnd)>,
}

/// Where a block ends that does not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownEnd {
    /// With the line that begins here.
    With(usize),
    /// Unfinished, before the line that begins here.
    Before(usize),
    /// There is no block.
    None,
}

/// What a line led to.
enum Next {
    Done,
    /// The line is to be read again in the new state.
    Again,
}

impl Scanner {
    /// For a model of which nothing is known: the common think tags are recognised at the beginning of a line.
    pub fn new() -> Self {
        Self { tags: ThinkTags::common(), ..Self::default() }
    }

    /// For a model with these think tags; `opened` says that its template has opened them already.
    pub fn with_thinking(tags: ThinkTags, opened: bool) -> Self {
        Self { tags: vec![tags], thinking: opened.then_some(0), ..Self::default() }
    }

    /// For a text that was read before, with what that reading found out.
    pub(super) fn again(ends: Vec<(usize, KnownEnd)>) -> Self {
        Self { ends, ..Self::new() }
    }

    fn known_end(&self, start: usize) -> Option<KnownEnd> {
        self.ends.iter().find(|(at, _)| *at == start).map(|(_, end)| *end)
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, piece: &str) -> Vec<Event> {
        let mut events = Vec::new();
        for part in piece.split_inclusive('\n') {
            self.line.push_str(part);
            if part.ends_with('\n') {
                let line = std::mem::take(&mut self.line);
                self.take_line(&line, &mut events);
            }
        }
        events
    }

    /// Ends the text: its last line, and the block that was never closed.
    pub fn finish(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take_line(&line, &mut events);
        }
        let end = self.consumed;
        self.leave(end, end, false, false, &mut events);
        events
    }

    /// Drops an open block: the text that follows begins anew (the window shifted in the middle of code).
    pub fn abandon(&mut self) {
        self.consumed += std::mem::take(&mut self.line).len();
        self.open = Open::Nothing;
        self.dashes = None;
    }

    /// Whether the text stands inside a fence or an edit block, so that a cut here would break something.
    pub const fn inside_block(&self) -> bool {
        !matches!(self.open, Open::Nothing)
    }

    /// What the text stands inside of.
    pub fn block_kind(&self) -> Option<Kind> {
        match &self.open {
            Open::Nothing => None,
            Open::Fence(fence) if fence.inside == Inside::Wrapper => Some(Kind::Edit(Format::SearchReplace)),
            Open::Fence(fence) => Some(fence.kind()),
            Open::Edit(edit) => Some(Kind::Edit(edit.shape.format())),
        }
    }

    /// Whether the text is inside think tags (of a template that opens them: until they are closed).
    pub const fn is_thinking(&self) -> bool {
        self.thinking.is_some()
    }

    /// Blocks of the answer that were closed so far; commands for a shell are none.
    pub const fn blocks_closed(&self) -> usize {
        self.closed
    }

    /// Whether a block of the answer was opened, outside thinking; commands for a shell are none.
    pub const fn answer_has_begun(&self) -> bool {
        self.begun
    }

    /// Whether every block of the answer that was opened is closed, and there is one.
    pub const fn answer_complete(&self) -> bool {
        self.closed > 0 && !self.inside_block() && self.thinking.is_none()
    }

    /// Lines of prose after the last block.
    pub const fn prose_lines_after(&self) -> usize {
        self.prose_lines
    }

    /// Bytes of everything pushed.
    pub fn bytes(&self) -> usize {
        self.consumed + self.line.len()
    }

    fn take_line(&mut self, raw: &str, events: &mut Vec<Event>) {
        let mut start = self.consumed;
        self.consumed += raw.len();
        let mut line = raw.trim_end_matches('\n').trim_end_matches('\r');
        if start == 0 {
            line = line.trim_start_matches('\u{feff}');
        }
        if let Some(offset) = self.ends_thinking(line) {
            line = &line[offset..];
            start = self.consumed - raw.len() + raw.find(line).unwrap_or(0).max(offset);
            (self.thinking, self.open, self.begun, self.closed, self.item) = (None, Open::Nothing, false, 0, None);
            self.dashes = None;
            events.push(Event::ThinkingEnded { at: start });
            if line.trim().is_empty() {
                return;
            }
        }
        while matches!(self.step(line, start, events), Next::Again) {}
    }

    /// The byte after the tag that ends thinking on this line.
    fn ends_thinking(&self, line: &str) -> Option<usize> {
        let text = line.trim_start();
        for (index, tags) in self.tags.iter().enumerate() {
            let Some(at) = line.rfind(tags.close.as_str()) else { continue };
            let after = at + tags.close.len();
            let opens_line = text.starts_with(tags.close.as_str());
            let whole = text.starts_with(tags.open.as_str());
            let ends_line = line[after..].trim().is_empty() && !line[..at].ends_with(['`', '"', '\'', '|']);
            let outside = !self.inside_block();
            let ends = match self.thinking {
                Some(open) => open == index && (opens_line || (outside && !is_quoted(line, at, after))),
                // Nobody said that the template had opened it.
                None => outside && (opens_line || whole || (ends_line && self.consumed > line.len() + 1)),
            };
            if ends {
                return Some(after);
            }
        }
        None
    }

    fn step(&mut self, line: &str, start: usize, events: &mut Vec<Event>) -> Next {
        match std::mem::take(&mut self.open) {
            Open::Nothing => self.prose(line, start, events),
            Open::Fence(fence) => self.fenced(fence, line, start, events),
            Open::Edit(edit) => self.edit(edit, line, start, events),
        }
    }

    fn prose(&mut self, line: &str, start: usize, events: &mut Vec<Event>) -> Next {
        if self.thinking.is_none()
            && let Some(index) = self.tags.iter().position(|tags| line.trim_start().starts_with(tags.open.as_str()))
        {
            self.thinking = Some(index);
            events.push(Event::ThinkingBegan { at: start });
            return Next::Done;
        }
        let dashes = self.dashes.take();
        if let Some(from) = dashes
            && line.starts_with("+++ ")
        {
            self.enter(Shape::Diff { blank: None, due: (-1, -1) }, from, from, None, events);
            return Next::Done;
        }
        if line.starts_with("diff --git ") {
            self.enter(Shape::Diff { blank: None, due: (-1, -1) }, start, start, None, events);
            return Next::Done;
        }
        if line.starts_with("--- ") {
            self.dashes = Some(start);
        }
        if marker::opens_edit(line) || marker::file_tag(line).is_some() {
            self.enter_marked(line, start, None, events);
            return Next::Done;
        }
        // Directly behind the last fence inside, what closes the one around them.
        let closes_wrapper = self.unwrapped && self.prose_lines == 0;
        if closes_wrapper && fence::delimiter(line).is_some_and(|found| found.info.is_empty()) {
            self.unwrapped = false;
            return Next::Done;
        }
        if self.open_fence(line, start, events) {
            return Next::Done;
        }
        if marker::begins_json_call(line) && self.known_end(start) != Some(KnownEnd::None) {
            let json = Shape::Json { depth: 0, string: false, escaped: false, lines: 0 };
            self.enter(json, start, start, None, events);
            return Next::Again;
        }
        let text = line.trim();
        if !text.is_empty() {
            self.prose_lines += 1;
            self.headed = text
                .split_whitespace()
                .any(|word| fence::is_document_name(word.trim_matches(['*', '`', ':', ',', '"', '\'', '(', ')', '#'])));
            self.place_in_list(line);
        }
        Next::Done
    }

    fn place_in_list(&mut self, line: &str) {
        let indent = fence::columns(&line[..line.len() - line.trim_start_matches([' ', '\t']).len()]);
        if self.item.is_some_and(|column| indent < column) {
            self.item = None;
        }
        if let Some((column, _)) = fence::list_item(line).filter(|_| indent < self.item.unwrap_or(0) + 4) {
            self.item = Some(column);
        }
    }

    fn open_fence(&mut self, line: &str, start: usize, events: &mut Vec<Event>) -> bool {
        const DEEPER_MAX: usize = 3;
        let mut found = fence::delimiter(line);
        let mut container = self.item.unwrap_or(0);
        if let (None, Some((column, byte))) = (&found, fence::list_item(line)) {
            found = fence::delimiter(&line[byte..]);
            if let Some(found) = &mut found {
                found.indent += column;
                container = column;
                self.item = Some(column);
            }
        }
        let Some(found) = found else { return false };
        if found.indent > container + DEEPER_MAX {
            // Indented code. Within a list that was left, models still indent by it.
            return false;
        }
        if found.indent < container {
            container = 0;
        }
        let open = Fence::open(&found, container, start, self.consumed, self.headed);
        let kind = open.kind();
        self.begin(kind, start, events);
        self.open = Open::Fence(Box::new(open));
        true
    }

    fn begin(&mut self, kind: Kind, start: usize, events: &mut Vec<Event>) {
        self.begun |= self.thinking.is_none() && kind != Kind::Shell;
        self.headed = false;
        events.push(Event::Opened { kind, start });
    }

    fn enter(&mut self, shape: Shape, start: usize, body: usize, around: Option<Fence>, events: &mut Vec<Event>) {
        self.begin(Kind::Edit(shape.format()), start, events);
        self.open = Open::Edit(Box::new(Edit { shape, start, body, around }));
    }

    /// Opens the edit whose marker this line is.
    fn enter_marked(&mut self, line: &str, start: usize, around: Option<Fence>, events: &mut Vec<Event>) {
        let shape = if let Some(head) = marker::head(line) {
            Shape::SearchReplace { head, divided: false }
        } else if marker::is_patch_begin(line) {
            Shape::Patch
        } else {
            Shape::Tagged(format!("</{}>", marker::tool_tag(line).unwrap_or("file")))
        };
        let at_once = matches!(&shape, Shape::Tagged(close) if line.contains(close.as_str()));
        let body = if matches!(shape, Shape::Tagged(_)) { start } else { self.consumed };
        self.enter(shape, start, body, around, events);
        if at_once {
            self.leave(self.consumed, self.consumed, true, false, events);
        }
    }

    fn fenced(&mut self, mut fence: Box<Fence>, line: &str, start: usize, events: &mut Vec<Event>) -> Next {
        match fence.take(line) {
            Role::Content => self.open = Open::Fence(fence),
            Role::Edit => self.enter_marked(line, start, Some(*fence), events),
            Role::Closes => {
                self.open = Open::Fence(fence);
                self.leave(start, self.consumed, true, false, events);
            }
            Role::Reopens => {
                self.open = Open::Fence(fence);
                self.leave(start, start, false, true, events);
                return Next::Again;
            }
            Role::Unwraps => {
                self.unwrapped = true;
                return Next::Again;
            }
        }
        Next::Done
    }

    fn edit(&mut self, mut edit: Box<Edit>, line: &str, start: usize, events: &mut Vec<Event>) -> Next {
        let (mut ends_after, mut ends_before, mut soft) = (false, None, false);
        match &mut edit.shape {
            Shape::SearchReplace { head, divided } => {
                let next = marker::head(line).is_some_and(|other| head.is_next(&other));
                *divided |= head.is_divider(line);
                soft = *divided && head.is_bare_end(line);
                ends_after = head.is_end(line) || soft;
                ends_before = next.then_some(start);
            }
            Shape::Patch => ends_after = marker::is_patch_end(line),
            Shape::Tagged(close) => ends_after = line.contains(close.as_str()),
            Shape::Json { depth, string, escaped, lines } => {
                *lines += 1;
                if *lines == 2 && *depth > 0 && !line.trim_start().starts_with(['{', '[', '"', '}', ']']) {
                    // No JSON after all.
                    return Next::Again;
                }
                ends_after = balance(line, depth, string, escaped);
            }
            Shape::Diff { blank, due } => {
                // Where the header's numbers are right, a blank line behind the hunk's last line ends it.
                let full = *due == (0, 0);
                let rule = blank.is_some() && line.trim_end().bytes().all(|byte| byte == b'-');
                if let Some(announced) = marker::hunk_sizes(line) {
                    (*blank, *due) = (None, announced);
                } else if line.is_empty() {
                    *blank = Some(blank.unwrap_or(start));
                    if !full {
                        *due = (due.0 - 1, due.1 - 1);
                    }
                } else if !marker::is_diff_line(line)
                    || rule
                    || (full && blank.is_some() && !line.starts_with("diff --git "))
                {
                    ends_before = Some(blank.unwrap_or(start));
                } else {
                    *blank = None;
                    let step = (i64::from(!line.starts_with('+')), i64::from(!line.starts_with('-')));
                    if !line.starts_with('\\') {
                        *due = (due.0 - step.0, due.1 - step.1);
                    }
                }
            }
        }
        let is_diff = matches!(edit.shape, Shape::Diff { .. });
        match self.known_end(edit.start) {
            Some(KnownEnd::With(at)) if at == start => ends_after = true,
            Some(KnownEnd::Before(at)) if at == start => ends_before = Some(at),
            _ => {}
        }
        self.open = Open::Edit(edit);
        if let Some(at) = ends_before {
            self.leave(at, at, is_diff, !is_diff, events);
            return Next::Again;
        }
        if ends_after {
            self.leave_edit(start, self.consumed, true, false, soft, events);
        }
        Next::Done
    }

    fn leave(&mut self, body_end: usize, end: usize, closed: bool, interrupted: bool, events: &mut Vec<Event>) {
        self.leave_edit(body_end, end, closed, interrupted, false, events);
    }

    /// Leaves what is open; the fence around an edit stays open.
    fn leave_edit(
        &mut self,
        body_end: usize,
        end: usize,
        closed: bool,
        interrupted: bool,
        soft: bool,
        events: &mut Vec<Event>,
    ) {
        let block = match std::mem::take(&mut self.open) {
            Open::Nothing => return,
            Open::Fence(fence) if fence.inside == Inside::Wrapper => {
                // Its edits were told of one by one.
                self.prose_lines = 0;
                return;
            }
            Open::Fence(fence) => fence.into_block(body_end, end, closed, interrupted),
            Open::Edit(edit) => {
                let is_diff = matches!(edit.shape, Shape::Diff { .. });
                let tagged = matches!(edit.shape, Shape::Tagged(_) | Shape::Json { .. });
                let body_end = if is_diff || tagged { end } else { body_end };
                let block = Block {
                    kind: Kind::Edit(edit.shape.format()),
                    info: edit.around.as_ref().map_or(String::new(), |fence| fence.info.clone()),
                    start: edit.start,
                    body: edit.body.min(body_end)..body_end,
                    end,
                    closed: closed || is_diff,
                    interrupted,
                    indent: edit.around.as_ref().map_or(0, |fence| fence.indent),
                    wrapped: edit.around.as_ref().map(|fence| fence.start),
                    soft,
                    document: false,
                    doubtful: false,
                };
                if let Some(around) = edit.around {
                    self.open = Open::Fence(Box::new(around));
                }
                block
            }
        };
        if closed && block.answers() && self.thinking.is_none() {
            self.closed += 1;
        }
        self.prose_lines = 0;
        events.push(Event::Closed(block));
    }
}

/// Whether the tag at `at..after` stands in quotes: it is spoken of, not used.
fn is_quoted(line: &str, at: usize, after: usize) -> bool {
    let quote = ['`', '"', '\''];
    line[..at].ends_with(quote) && line[after..].starts_with(quote)
}

/// Counts brackets outside strings; true where the value ends on this line.
fn balance(line: &str, depth: &mut u32, string: &mut bool, escaped: &mut bool) -> bool {
    for c in line.chars() {
        match c {
            _ if *escaped => *escaped = false,
            '\\' if *string => *escaped = true,
            '"' => *string = !*string,
            '{' | '[' if !*string => *depth += 1,
            '}' | ']' if !*string => {
                *depth = depth.saturating_sub(1);
                if *depth == 0 {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}
