//! The state as rows: a pure function of [`App`]. Everything is a list of rows; the live area is their
//! stack, fullscreen puts the conversation above it.
//!
//! Not for: changing anything, or knowing what the terminal showed before.

mod candidates;
mod compose;
mod gauge;
mod help;
mod picker;
mod review;
mod status;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::app::turn::Turn;
use super::app::{App, Panel};
use super::term::Cursor;
use super::text::wrap::{self, Wrap};
use super::text::{Row, clean};

/// What is to stand on the screen.
#[derive(Debug)]
pub struct Frame {
    pub buffer: Buffer,
    pub cursor: Cursor,
}

/// Rows with the cursor's place among them.
#[derive(Debug, Default)]
struct Stack {
    rows: Vec<Row>,
    cursor: Cursor,
}

impl Stack {
    fn add(&mut self, part: Self) {
        if let Some((x, y)) = part.cursor {
            self.cursor = Some((x, y + self.rows.len() as u16));
        }
        self.rows.extend(part.rows);
    }

    fn add_rows(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }
}

/// Rows of thinking that are shown while it is folded.
const PEEK_ROWS: usize = 3;
/// Stands before thinking that is under way.
const PEEK_MARK: &str = "┊ ";

/// The live area for the inline mode, in its natural height.
pub fn live(app: &App) -> Frame {
    let height = inline_height_max(app.rows);
    let stack = live_stack(app, height, false);
    to_frame(&stack, app.columns, (stack.rows.len().min(height)) as u16)
}

/// The conversation with the live area right below it, in its natural height: a picture of the interface.
pub fn page(app: &App) -> Frame {
    let live = live_stack(app, usize::from(app.rows), false);
    let room = usize::from(app.rows).saturating_sub(live.rows.len());
    let mut stack = Stack { rows: app.transcript.last_rows(&app.look(), room, 0).0, cursor: None };
    stack.add(live);
    to_frame(&stack, app.columns, stack.rows.len() as u16)
}

/// The whole screen for fullscreen: the conversation, then the live area.
pub fn full(app: &App) -> Frame {
    let height = usize::from(app.rows);
    let live = live_stack(app, height.saturating_sub(1).max(1), true);
    let room = height.saturating_sub(live.rows.len());
    let (mut rows, more) = app.transcript.last_rows(&app.look(), room, app.scroll);
    if !more && rows.len() < room && app.scroll > 0 {
        // Scrolled beyond the beginning: show the beginning.
        rows = first_rows(app, room);
    }
    rows.resize(room, Row::default());
    let mut stack = Stack { rows, cursor: None };
    stack.add(live);
    to_frame(&stack, app.columns, app.rows)
}

fn first_rows(app: &App, room: usize) -> Vec<Row> {
    let (mut rows, _) = app.transcript.last_rows(&app.look(), usize::MAX / 2, 0);
    rows.truncate(room);
    rows
}

/// At least two rows stay for the scrollback's end, where there is room.
fn inline_height_max(rows: u16) -> usize {
    let rows = usize::from(rows);
    if rows >= 10 { rows - 2 } else { rows }
}

/// Too low for the composer's border.
const fn is_low(height: usize) -> bool {
    height < 8
}

fn live_stack(app: &App, height: usize, full: bool) -> Stack {
    match &app.panel {
        Panel::Help { scroll } => help::stack(app, *scroll, height),
        Panel::Review(review) => review::stack(app, review, height),
        Panel::Picker(picker) => picker::stack(app, picker, height),
        Panel::None => main_stack(app, height, full),
    }
}

fn main_stack(app: &App, height: usize, full: bool) -> Stack {
    let mut bottom = Stack::default();
    if let Some(turn) = &app.turn {
        bottom.add_rows(vec![gauge::row(app, turn, is_low(height))]);
    } else if let Some((what, since)) = &app.errand {
        bottom.add_rows(vec![gauge::errand(app, what, *since)]);
    } else if let Some(fraction) = app.status.loading {
        bottom.add_rows(vec![gauge::loading(app, fraction, is_low(height))]);
    }
    if let Some(pull) = &app.pull {
        bottom.add_rows(vec![gauge::pull(app, pull)]);
    } else if let Some(offered) = app.offered.as_ref().filter(|offered| offered.open) {
        bottom.add_rows(vec![gauge::offer(app, offered)]);
    }
    bottom.add_rows(queue(app, height));
    if let Some((text, _)) = &app.flash {
        bottom.add_rows(vec![Row::styled(wrap::fit(&clean::one_line(text), app.columns.into()), app.theme.faint())]);
    }
    bottom.add(compose::stack(app, height));
    bottom.add_rows(vec![status::row(app, is_low(height))]);
    let room = height.saturating_sub(bottom.rows.len());
    let mut above = match &app.turn {
        Some(turn) if app.scroll == 0 || !full => live_content(app, turn, room),
        _ => Vec::new(),
    };
    // Air between what was said and what is going on.
    if above.is_empty() && !is_low(height) {
        above.push(Row::default());
    }
    above.drain(..above.len().saturating_sub(room));
    let mut stack = Stack { rows: above, cursor: None };
    stack.add(bottom);
    // A terminal that is too low shows the end: the line being typed.
    let over = stack.rows.len().saturating_sub(height);
    stack.rows.drain(..over);
    stack.cursor = stack.cursor.map(|(x, y)| (x, y.saturating_sub(over as u16)));
    stack
}

/// What the running task says just now.
fn live_content(app: &App, turn: &Turn, room: usize) -> Vec<Row> {
    if turn.is_side_by_side() {
        return candidates::rows(app, turn, room);
    }
    let mut rows = app.transcript.tail(&app.look());
    let lane = &turn.lanes[0];
    if !lane.shown && !lane.thinking.is_empty() {
        let wanted = if app.thinking_open { room } else { PEEK_ROWS.min(room / 2) };
        let width = usize::from(app.columns).saturating_sub(PEEK_MARK.chars().count()).max(1);
        for mut row in last_rows_of(&lane.thinking, width, wanted, app.theme.faint()) {
            row.line.spans.insert(0, Span::styled(PEEK_MARK, app.theme.faint()));
            rows.push(row);
        }
    }
    if !rows.is_empty() {
        rows.insert(0, Row::default());
    }
    rows
}

/// The last rows of a text, without wrapping all of it.
fn last_rows_of(text: &str, width: usize, wanted: usize, style: Style) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in text.trim_end().rsplit('\n') {
        if rows.len() >= wanted {
            break;
        }
        let line = Line::from(Span::styled(line.to_owned(), style));
        rows.extend(wrap::wrap(&line, width, Wrap::Words).into_iter().rev());
    }
    rows.truncate(wanted);
    rows.reverse();
    rows
}

fn queue(app: &App, height: usize) -> Vec<Row> {
    let shown = app.queue.len().min((height / 4).max(1));
    let mut rows: Vec<Row> = app
        .queue
        .iter()
        .take(shown)
        .map(|text| {
            let text = format!("⏎ queued: {}", clean::one_line(text));
            Row::styled(wrap::fit(&text, app.columns.into()), app.theme.accent())
        })
        .collect();
    if app.queue.len() > shown {
        rows.push(Row::styled(format!("⏎ and {} more", app.queue.len() - shown), app.theme.faint()));
    }
    rows
}

fn to_frame(stack: &Stack, columns: u16, height: u16) -> Frame {
    let area = Rect::new(0, 0, columns, height);
    let mut buffer = Buffer::empty(area);
    for (y, row) in stack.rows.iter().take(height.into()).enumerate() {
        buffer.set_line(0, y as u16, &row.line, columns);
    }
    let cursor = stack.cursor.filter(|(_, y)| *y < height).map(|(x, y)| (x.min(columns.saturating_sub(1)), y));
    Frame { buffer, cursor }
}

/// A part of a row of facts; `rank` says how soon it is left out where the row is narrow: high numbers first.
struct Field {
    rank: u8,
    span: Span<'static>,
}

fn field(rank: u8, text: impl Into<String>, style: Style) -> Field {
    Field { rank, span: Span::styled(text.into(), style) }
}

const BETWEEN: &str = " · ";

/// Fields at the left and at the right of one row; the least important are left out until it fits.
fn fields(mut left: Vec<Field>, mut right: Vec<Field>, width: usize, faint: Style) -> Row {
    let side = |fields: &[Field]| {
        let text: usize = fields.iter().map(|field| wrap::width_of(&field.span.content)).sum();
        text + wrap::width_of(BETWEEN) * fields.len().saturating_sub(1)
    };
    let gap = |left: &[Field], right: &[Field]| if left.is_empty() || right.is_empty() { 0 } else { 2 };
    while left.len() + right.len() > 1 && side(&left) + side(&right) + gap(&left, &right) > width {
        let worst = |fields: &[Field]| (0..fields.len()).max_by_key(|at| fields[*at].rank);
        match (worst(&left), worst(&right)) {
            (Some(l), Some(r)) if left[l].rank < right[r].rank => right.remove(r),
            (Some(l), _) => left.remove(l),
            (None, Some(r)) => right.remove(r),
            (None, None) => break,
        };
    }
    let pad = width.saturating_sub(side(&left) + side(&right));
    let mut spans = Vec::new();
    let mut add = |fields: Vec<Field>| {
        for (at, Field { span, .. }) in fields.into_iter().enumerate() {
            if at > 0 {
                spans.push(Span::styled(BETWEEN, faint));
            }
            spans.push(Span::styled(wrap::fit(&span.content, width), span.style));
        }
        spans.push(Span::raw(""));
    };
    add(left);
    if !right.is_empty() {
        add(vec![Field { rank: 0, span: Span::raw(" ".repeat(pad)) }]);
        add(right);
    }
    spans.retain(|span| !span.content.is_empty());
    Row::new(Line::from(spans))
}

/// `950`, `5.2k`, `131k`.
fn short_count(n: u32) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..10_000 => format!("{:.1}k", f64::from(n) / 1000.0),
        _ => format!("{}k", n / 1000),
    }
}
