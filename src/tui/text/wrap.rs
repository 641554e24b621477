//! Measures and wraps styled lines. Widths are those of graphemes (an emoji with joiners is one thing).
//!
//! Not for: cleaning (see [`super::clean`]); what arrives here is harmless or is dropped.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::clean;

/// One row of the screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub line: Line<'static>,
    /// The row goes on where the row above ended: written without a line break, so that the terminal's own
    /// selection copies the line in one piece.
    pub soft: bool,
}

impl Row {
    pub fn new(line: impl Into<Line<'static>>) -> Self {
        Self { line: line.into(), soft: false }
    }

    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self::new(Line::from(Span::styled(text.into(), style)))
    }

    /// The row's text without styles.
    pub fn text(&self) -> String {
        self.line.spans.iter().map(|span| span.content.as_ref()).collect()
    }
}

/// Where a line may be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// Between words; prose.
    Words,
    /// Anywhere; code and program output. Continuations are [`Row::soft`].
    Anywhere,
}

/// Longer graphemes are heaps of combining marks, not writing.
const GRAPHEME_CHARS_MAX: usize = 12;
const TAB_STOP: usize = 4;
const BLANKS: &str = "    ";

/// The cells that a text takes.
pub fn width_of(text: &str) -> usize {
    text.graphemes(true).map(grapheme_width).sum()
}

/// The cells that one grapheme takes; 0 where it is not drawn.
pub fn grapheme_width(grapheme: &str) -> usize {
    if grapheme.chars().all(clean::is_harmless) { grapheme.width() } else { 0 }
}

/// The longest beginning of `text` that fits into `width` cells.
pub fn cut(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        used += grapheme_width(grapheme);
        if used > width {
            return &text[..at];
        }
    }
    text
}

/// `text`, or its beginning and `…` where it does not fit.
pub fn fit(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    format!("{}…", cut(text, width.saturating_sub(1)))
}

struct Piece<'a> {
    text: &'a str,
    width: usize,
    style: Style,
}

/// Wraps one line (no line ends inside) to rows of at most `width` cells, at least one row.
pub fn wrap(line: &Line<'_>, width: usize, how: Wrap) -> Vec<Row> {
    let width = width.max(1);
    let pieces = pieces(line, width);
    let mut rows = Vec::new();
    let mut start = 0;
    while start < pieces.len() {
        let end = row_end(&pieces[start..], width, how) + start;
        let soft = how == Wrap::Anywhere && !rows.is_empty();
        let shown = if how == Wrap::Words { trim_end(&pieces[start..end]) } else { &pieces[start..end] };
        rows.push(Row { line: Line::from(spans(shown)), soft });
        start = end;
        if how == Wrap::Words {
            // Blanks at a break belong to neither row.
            while start < pieces.len() && pieces[start].text == " " {
                start += 1;
            }
        }
    }
    if rows.is_empty() {
        rows.push(Row::default());
    }
    rows
}

/// Cuts into graphemes; expands tabs; leaves out what has no width, and what is wider than a whole row.
fn pieces<'a>(line: &'a Line<'_>, width: usize) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let mut column = 0;
    for span in &line.spans {
        let style = line.style.patch(span.style);
        for grapheme in span.content.graphemes(true) {
            if grapheme == "\t" {
                let blanks = TAB_STOP - column % TAB_STOP;
                pieces.extend((0..blanks).map(|at| Piece { text: &BLANKS[at..=at], width: 1, style }));
                column += blanks;
                continue;
            }
            let text = bounded(grapheme);
            let cells = grapheme_width(text);
            if cells > 0 && cells <= width {
                pieces.push(Piece { text, width: cells, style });
                column += cells;
            }
        }
    }
    pieces
}

fn bounded(grapheme: &str) -> &str {
    grapheme.char_indices().nth(GRAPHEME_CHARS_MAX).map_or(grapheme, |(at, _)| &grapheme[..at])
}

/// How many pieces the first row takes; at least one.
fn row_end(pieces: &[Piece<'_>], width: usize, how: Wrap) -> usize {
    let mut used = 0;
    let mut break_at = None;
    for (at, piece) in pieces.iter().enumerate() {
        if used + piece.width > width {
            if how == Wrap::Words && piece.text == " " {
                return at;
            }
            return match (how, break_at) {
                (Wrap::Words, Some(at)) => at,
                _ => at.max(1),
            };
        }
        used += piece.width;
        // After a blank, and between wide characters (scripts without blanks).
        if piece.text == " " || piece.width > 1 {
            break_at = Some(at + 1);
        }
    }
    pieces.len()
}

fn trim_end<'a, 'b>(pieces: &'a [Piece<'b>]) -> &'a [Piece<'b>] {
    let kept = pieces.iter().rposition(|piece| piece.text != " ").map_or(0, |at| at + 1);
    &pieces[..kept]
}

/// Joins pieces of one style.
fn spans(pieces: &[Piece<'_>]) -> Vec<Span<'static>> {
    let mut spans: Vec<(String, Style)> = Vec::new();
    for piece in pieces {
        match spans.last_mut() {
            Some((text, style)) if *style == piece.style => text.push_str(piece.text),
            _ => spans.push((piece.text.to_owned(), piece.style)),
        }
    }
    spans.into_iter().map(|(text, style)| Span::styled(text, style)).collect()
}

/// Wraps `line` with `first` before the first row and `rest` before the others.
pub fn wrap_indented(
    line: &Line<'_>,
    width: usize,
    how: Wrap,
    first: &[Span<'static>],
    rest: &[Span<'static>],
) -> Vec<Row> {
    let taken = first.iter().map(|span| width_of(&span.content)).sum::<usize>();
    let bare = first.is_empty() && rest.is_empty();
    wrap(line, width.saturating_sub(taken).max(1), how)
        .into_iter()
        .enumerate()
        .map(|(at, row)| {
            let mut spans = if at == 0 { first.to_vec() } else { rest.to_vec() };
            spans.extend(row.line.spans);
            Row { line: Line::from(spans), soft: row.soft && bare }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, width: usize, how: Wrap) -> Vec<String> {
        wrap(&Line::from(text.to_owned()), width, how).iter().map(Row::text).collect()
    }

    #[test]
    fn prose_breaks_between_words() {
        assert_eq!(rows("one two three", 8, Wrap::Words), ["one two", "three"]);
        assert_eq!(rows("exactly  eight", 8, Wrap::Words), ["exactly", "eight"]);
        assert_eq!(rows("incomprehensible", 6, Wrap::Words), ["incomp", "rehens", "ible"]);
        assert_eq!(rows("", 6, Wrap::Words), [""]);
    }

    #[test]
    fn wide_characters_never_hang_over_the_edge() {
        assert_eq!(rows("漢字漢字", 5, Wrap::Words), ["漢字", "漢字"]);
        assert_eq!(rows("a漢字", 2, Wrap::Anywhere), ["a", "漢", "字"]);
        assert_eq!(rows("漢", 1, Wrap::Anywhere), [""]);
    }

    #[test]
    fn code_keeps_its_blanks_and_tabs() {
        assert_eq!(rows("\tx = 1  ", 20, Wrap::Anywhere), ["    x = 1  "]);
        assert_eq!(rows("abcdef", 4, Wrap::Anywhere), ["abcd", "ef"]);
        assert!(wrap(&Line::from("abcdef"), 4, Wrap::Anywhere)[1].soft);
    }

    #[test]
    fn a_heap_of_marks_is_cut() {
        let heap = format!("a{}", "\u{0301}".repeat(500));
        assert!(rows(&heap, 10, Wrap::Words)[0].chars().count() <= GRAPHEME_CHARS_MAX);
    }
}
