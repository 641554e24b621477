//! Finished Markdown to rows. For text that is still arriving see [`super::stream`].
//!
//! Not for: HTML (shown as it is written) and links that can be clicked (the address is shown).

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::highlight::{self, State};
use super::table::Table;
use super::wrap::{Row, Wrap, width_of, wrap_indented};
use super::{clean, languages};
use crate::tui::theme::Theme;

/// The dialect: GitHub's tables, strike-through and task lists on top of CommonMark.
pub fn dialect() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS
}

/// Renders clean Markdown to rows of at most `width` cells.
pub fn render(source: &str, width: usize, theme: Theme) -> Vec<Row> {
    let mut renderer = Renderer::new(width, theme);
    for event in Parser::new_ext(source, dialect()) {
        renderer.take(event);
    }
    renderer.finish()
}

/// The rows of a code line, and where the highlighter stands after it.
pub fn code_rows(line: &str, tag: &str, state: State, width: usize, theme: Theme) -> (Vec<Row>, State) {
    let (line, next) = highlight::colour(line, languages::by_tag(tag), state, &theme);
    (super::wrap(&line, width, Wrap::Anywhere), next)
}

/// The row that names a code block's language, where it has one.
pub fn code_label(tag: &str, theme: Theme) -> Option<Row> {
    let word = tag.split_whitespace().next().filter(|word| !word.is_empty())?;
    Some(Row::styled(format!("{}:", clean::one_line(word)), theme.faint()))
}

/// What stands before each row of a block: once its `first`, then its `rest`.
struct Indent {
    first: Option<Span<'static>>,
    rest: Span<'static>,
}

struct Renderer {
    width: usize,
    theme: Theme,
    rows: Vec<Row>,
    inline: Vec<Span<'static>>,
    styles: Vec<Style>,
    indents: Vec<Indent>,
    lists: Vec<Option<u64>>,
    links: Vec<(String, usize)>,
    code: Option<(String, String)>,
    table: Option<Table>,
    /// A block ended; the next one is set off by a blank row.
    gap: bool,
}

impl Renderer {
    fn new(width: usize, theme: Theme) -> Self {
        Self {
            width: width.max(1),
            theme,
            rows: Vec::new(),
            inline: Vec::new(),
            styles: vec![Style::new()],
            indents: Vec::new(),
            lists: Vec::new(),
            links: Vec::new(),
            code: None,
            table: None,
            gap: false,
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::InlineMath(text) | Event::DisplayMath(text) => self.text(&text),
            Event::Code(code) => self.push(&code, self.theme.accent()),
            Event::Html(html) | Event::InlineHtml(html) => self.html(&html),
            Event::FootnoteReference(name) => self.push(&format!("[{name}]"), self.theme.faint()),
            Event::SoftBreak => self.push(" ", Style::new()),
            Event::HardBreak => self.flush(Wrap::Words),
            Event::Rule => self.rule(),
            Event::TaskListMarker(done) => self.push(if done { "[x] " } else { "[ ] " }, self.theme.accent()),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.begin_block(),
            Tag::Heading { level, .. } => self.heading(level),
            Tag::BlockQuote(_) => self.quote(),
            Tag::CodeBlock(kind) => self.begin_code(&kind),
            Tag::List(first) => self.list(first),
            Tag::Item => self.item(),
            Tag::Emphasis => self.style(Modifier::ITALIC),
            Tag::Strong => self.style(Modifier::BOLD),
            Tag::Strikethrough => self.style(Modifier::CROSSED_OUT),
            Tag::Link { dest_url, .. } => self.link(&dest_url),
            Tag::Image { dest_url, .. } => {
                self.push("[image] ", self.theme.faint());
                self.link(&dest_url);
            }
            Tag::Table(alignments) => self.begin_table(&alignments),
            Tag::TableHead | Tag::TableCell => {}
            Tag::TableRow => self.table.iter_mut().for_each(|table| table.rows.push(Vec::new())),
            _ => self.begin_block(),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {
                self.styles.pop();
            }
            TagEnd::Link | TagEnd::Image => self.end_link(),
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::Heading(_) => {
                self.end_block();
                self.styles.pop();
            }
            TagEnd::BlockQuote(_) => {
                self.end_block();
                self.indents.pop();
            }
            TagEnd::List(_) => {
                self.flush(Wrap::Words);
                self.lists.pop();
                self.gap = true;
            }
            TagEnd::Item => self.end_item(),
            TagEnd::TableCell => self.end_cell(),
            TagEnd::Table => self.end_table(),
            TagEnd::TableHead | TagEnd::TableRow => {}
            _ => self.end_block(),
        }
    }

    fn finish(mut self) -> Vec<Row> {
        self.flush(Wrap::Words);
        self.rows
    }

    // Inline text.

    fn current(&self) -> Style {
        *self.styles.last().expect("the base style is never popped")
    }

    fn push(&mut self, text: &str, style: Style) {
        self.inline.push(Span::styled(clean::one_line(text), self.current().patch(style)));
    }

    fn text(&mut self, text: &str) {
        match &mut self.code {
            Some((_, code)) => code.push_str(text),
            None => self.push(text, Style::new()),
        }
    }

    fn html(&mut self, html: &str) {
        for (at, line) in html.split('\n').enumerate() {
            if at > 0 {
                self.flush(Wrap::Words);
            }
            if !line.is_empty() {
                self.push(line, self.theme.faint());
            }
        }
    }

    fn style(&mut self, modifier: Modifier) {
        self.styles.push(self.current().add_modifier(modifier));
    }

    fn link(&mut self, url: &str) {
        self.links.push((clean::one_line(url), self.inline.len()));
        self.style(Modifier::UNDERLINED);
    }

    fn end_link(&mut self) {
        self.styles.pop();
        let Some((url, from)) = self.links.pop() else { return };
        let shown: String = self.inline.iter().skip(from).map(|span| span.content.as_ref()).collect();
        if !url.is_empty() && shown != url && format!("mailto:{shown}") != url {
            self.push(&format!(" ({url})"), self.theme.faint());
        }
    }

    // Blocks.

    fn begin_block(&mut self) {
        self.flush(Wrap::Words);
        if self.gap && !self.rows.is_empty() {
            let rest: Vec<Span<'static>> = self.indents.iter().map(|indent| indent.rest.clone()).collect();
            self.rows.push(Row::new(Line::from(trimmed(rest))));
        }
        self.gap = false;
    }

    fn end_block(&mut self) {
        self.flush(Wrap::Words);
        self.gap = true;
    }

    fn heading(&mut self, level: HeadingLevel) {
        self.begin_block();
        let style = self.theme.strong();
        self.styles.push(if level <= HeadingLevel::H2 { style.patch(self.theme.accent()) } else { style });
    }

    fn quote(&mut self) {
        self.begin_block();
        self.indent(None, "│ ");
    }

    fn rule(&mut self) {
        self.begin_block();
        self.push(&"─".repeat(self.room().min(40)), self.theme.faint());
        self.end_block();
    }

    fn list(&mut self, first: Option<u64>) {
        if self.lists.is_empty() {
            self.begin_block();
        } else {
            self.flush(Wrap::Words);
        }
        self.gap = false;
        self.lists.push(first);
    }

    fn item(&mut self) {
        self.begin_block();
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            _ => "- ".to_owned(),
        };
        let rest = " ".repeat(marker.len());
        self.indent(Some(&marker), &rest);
    }

    fn end_item(&mut self) {
        self.flush(Wrap::Words);
        // An item without text still shows its marker.
        if self.indents.last().is_some_and(|indent| indent.first.is_some()) {
            self.emit(&[], Wrap::Words);
        }
        self.indents.pop();
    }

    /// Deep nesting stops moving to the right when half of the width is gone.
    fn indent(&mut self, first: Option<&str>, rest: &str) {
        let wide = self.width - self.room() + width_of(rest) > self.width / 2;
        let style = self.theme.faint();
        let rest = if wide { "" } else { rest };
        let first = first.filter(|_| !wide).map(|text| Span::styled(text.to_owned(), style));
        self.indents.push(Indent { first, rest: Span::styled(rest.to_owned(), style) });
    }

    fn room(&self) -> usize {
        let taken: usize = self.indents.iter().map(|indent| width_of(&indent.rest.content)).sum();
        self.width.saturating_sub(taken).max(1)
    }

    fn flush(&mut self, how: Wrap) {
        if !self.inline.is_empty() {
            let inline = std::mem::take(&mut self.inline);
            self.emit(&inline, how);
        }
    }

    fn emit(&mut self, inline: &[Span<'static>], how: Wrap) {
        let rest: Vec<Span<'static>> = self.indents.iter().map(|indent| indent.rest.clone()).collect();
        let first: Vec<Span<'static>> =
            self.indents.iter_mut().map(|indent| indent.first.take().unwrap_or_else(|| indent.rest.clone())).collect();
        let line = Line::from(inline.to_vec());
        self.rows.extend(wrap_indented(&line, self.width, how, &first, &rest));
    }

    fn begin_code(&mut self, kind: &CodeBlockKind<'_>) {
        self.begin_block();
        let tag = match kind {
            CodeBlockKind::Fenced(tag) => tag.to_string(),
            CodeBlockKind::Indented => String::new(),
        };
        self.code = Some((tag, String::new()));
    }

    fn end_code(&mut self) {
        let Some((tag, code)) = self.code.take() else { return };
        if let Some(label) = code_label(&tag, self.theme) {
            self.emit(&label.line.spans, Wrap::Words);
        }
        let mut state = State::Code;
        for line in code.lines() {
            let (line, next) = highlight::colour(line, languages::by_tag(&tag), state, &self.theme);
            self.emit(&line.spans, Wrap::Anywhere);
            state = next;
        }
        self.gap = true;
    }

    fn begin_table(&mut self, alignments: &[pulldown_cmark::Alignment]) {
        self.begin_block();
        let right = alignments.iter().map(|a| *a == pulldown_cmark::Alignment::Right).collect();
        self.table = Some(Table { right, ..Table::default() });
    }

    fn end_cell(&mut self) {
        let cell = std::mem::take(&mut self.inline);
        if let Some(table) = &mut self.table {
            table.rows.last_mut().unwrap_or(&mut table.head).push(cell);
        }
    }

    fn end_table(&mut self) {
        let Some(table) = self.table.take() else { return };
        for row in table.layout(self.room(), self.theme) {
            self.emit(&row.line.spans, Wrap::Words);
        }
        self.gap = true;
    }
}

/// Without blanks at the end: they would be copied.
fn trimmed(mut spans: Vec<Span<'static>>) -> Vec<Span<'static>> {
    while spans.last().is_some_and(|span| span.content.trim().is_empty()) {
        spans.pop();
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(source: &str, width: usize) -> Vec<String> {
        render(source, width, Theme::PLAIN).iter().map(Row::text).collect()
    }

    #[test]
    fn blocks_are_set_off_and_lists_are_tight() {
        let text = "# Title\n\nOne *two*\nthree.\n\n- a\n- b\n  1. c\n\n> q\n";
        assert_eq!(rows(text, 40), ["Title", "", "One two three.", "", "- a", "- b", "  1. c", "", "│ q"]);
    }

    #[test]
    fn code_keeps_its_lines_and_has_no_frame() {
        assert_eq!(rows("```python\ndef f():\n    pass\n```", 40), ["python:", "def f():", "    pass"]);
    }

    #[test]
    fn addresses_are_shown_and_cannot_hide() {
        assert_eq!(rows("[bank](http://evil)", 40), ["bank (http://evil)"]);
        assert_eq!(rows("<http://a.b>", 40), ["http://a.b"]);
    }

    #[test]
    fn deep_nesting_stays_within_the_width() {
        let text = format!("{} x", ">".repeat(300));
        assert!(rows(&text, 20).iter().all(|row| width_of(row) <= 20));
    }
}
