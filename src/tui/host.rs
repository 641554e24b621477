//! From states to bytes: keeps the screen in step with the application. Pure; the runner writes the bytes.
//!
//! Not for: waiting, reading keys, executing effects.

use super::app::App;
use super::term::Screen;
use super::transcript::Emitted;
use super::view;

/// The screen and how much of the conversation it has.
#[derive(Debug)]
pub struct Host {
    screen: Screen,
    emitted: Emitted,
}

impl Host {
    /// `regions`: see [`Screen::new`].
    pub fn new(columns: u16, rows: u16, regions: bool) -> Self {
        Self { screen: Screen::new(columns, rows, regions), emitted: Emitted::default() }
    }

    pub const fn screen(&self) -> &Screen {
        &self.screen
    }

    /// The first frame, relative to the cursor; the greeting above the live area comes with the second.
    pub fn first_frame(&mut self, app: &App) -> Vec<u8> {
        let frame = view::live(app);
        self.screen.first_frame(&frame.buffer, frame.cursor)
    }

    /// After the first frame: where the terminal says the cursor is.
    pub fn place(&mut self, app: &App, cursor_row: Option<u16>) -> Vec<u8> {
        let cursor = view::live(app).cursor;
        match cursor_row {
            Some(row) => {
                self.screen.place(row, cursor);
                Vec::new()
            }
            None => self.screen.place_at_bottom(cursor),
        }
    }

    /// The next frame.
    pub fn frame(&mut self, app: &App) -> Vec<u8> {
        if self.screen.is_full() {
            let frame = view::full(app);
            return self.screen.frame(&[], &frame.buffer, frame.cursor);
        }
        let above = app.transcript.fresh(&mut self.emitted, &app.look());
        let frame = view::live(app);
        self.screen.frame(&above, &frame.buffer, frame.cursor)
    }

    /// Everything again: after a resize, a fold, an editor.
    pub fn repaint(&mut self, app: &App) -> Vec<u8> {
        let size = (app.columns, app.rows);
        if self.screen.is_full() {
            let frame = view::full(app);
            return self.screen.repaint(size, &[], &frame.buffer, frame.cursor);
        }
        let frame = view::live(app);
        let room = usize::from(app.rows.saturating_sub(frame.buffer.area.height));
        let (above, _) = app.transcript.last_rows(&app.look(), room, 0);
        self.emitted = app.transcript.all_emitted(&app.look());
        self.screen.repaint(size, &above, &frame.buffer, frame.cursor)
    }

    /// Goes to fullscreen or back. Back inline, what was said meanwhile is printed into the scrollback.
    pub fn set_full(&mut self, full: bool, app: &App) -> Vec<u8> {
        let mut bytes = self.screen.set_full(full).as_bytes().to_vec();
        if full {
            bytes.extend(self.repaint(app));
        } else {
            let fresh = app.transcript.fresh(&mut self.emitted, &app.look());
            let frame = view::live(app);
            bytes.extend(self.screen.resume_inline((app.columns, app.rows), &fresh, &frame.buffer, frame.cursor));
        }
        bytes
    }

    /// The last bytes: the live area goes, the conversation stays. From fullscreen, what the scrollback
    /// does not have is printed.
    pub fn leave(&mut self, app: &App) -> Vec<u8> {
        if self.screen.is_full() {
            let mut bytes = self.set_full(false, app);
            bytes.extend(self.screen.leave());
            return bytes;
        }
        let mut bytes = self.frame(app);
        bytes.extend(self.screen.leave());
        bytes
    }
}
