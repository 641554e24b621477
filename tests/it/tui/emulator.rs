//! A terminal in memory: the bytes of the interface go into a vt100 emulator, and everything that must never
//! reach a terminal (a title, a bell, the clipboard, an unknown sequence) is noted.

use std::num::NonZeroU16;

use z1::tui::TuiOptions;
use z1::tui::app::{App, Effect, Msg};
use z1::tui::host::Host;

/// Rows of scrollback that the emulator keeps.
const SCROLLBACK_ROWS: usize = 10_000;

/// Stands for U+FFFD, which the emulator does not draw.
pub(super) const STAND_IN: &str = "¿";

/// What reached the terminal besides text, colours and cursor movement.
#[derive(Debug, Default)]
pub(super) struct Leaks(pub(super) Vec<String>);

impl vt100::Callbacks for Leaks {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.0.push("bell".to_owned());
    }
    fn visual_bell(&mut self, _: &mut vt100::Screen) {
        self.0.push("visual bell".to_owned());
    }
    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.0.push(format!("title {}", String::from_utf8_lossy(title)));
    }
    fn set_window_icon_name(&mut self, _: &mut vt100::Screen, name: &[u8]) {
        self.0.push(format!("icon {}", String::from_utf8_lossy(name)));
    }
    fn copy_to_clipboard(&mut self, _: &mut vt100::Screen, _: &[u8], data: &[u8]) {
        self.0.push(format!("clipboard {}", String::from_utf8_lossy(data)));
    }
    fn paste_from_clipboard(&mut self, _: &mut vt100::Screen, _: &[u8]) {
        self.0.push("clipboard is read".to_owned());
    }
    fn resize(&mut self, _: &mut vt100::Screen, _: (u16, u16)) {
        self.0.push("resize".to_owned());
    }
    fn unhandled_control(&mut self, _: &mut vt100::Screen, byte: u8) {
        self.0.push(format!("control {byte:#x}"));
    }
    fn unhandled_char(&mut self, _: &mut vt100::Screen, c: char) {
        // The stand-in for what must not be written is ours.
        if c != char::REPLACEMENT_CHARACTER {
            self.0.push(format!("character {c:?}"));
        }
    }
    fn unhandled_escape(&mut self, _: &mut vt100::Screen, _: Option<u8>, _: Option<u8>, byte: u8) {
        self.0.push(format!("escape {byte:#x}"));
    }
    fn unhandled_csi(&mut self, _: &mut vt100::Screen, i: Option<u8>, _: Option<u8>, params: &[&[u16]], c: char) {
        // Synchronized updates and struck-out text are ours; the emulator does not know them.
        let update = i == Some(b'?') && params == [[2026]] && matches!(c, 'h' | 'l');
        let struck = i.is_none() && c == 'm' && params.contains(&&[9_u16][..]);
        if !update && !struck {
            self.0.push(format!("sequence {i:?} {params:?} {c}"));
        }
    }
    fn unhandled_osc(&mut self, _: &mut vt100::Screen, params: &[&[u8]]) {
        self.0.push(format!("osc {params:?}"));
    }
}

/// An emulator that keeps what scrolls away.
pub(super) fn parser(columns: u16, rows: u16) -> vt100::Parser<Leaks> {
    vt100::Parser::new_with_callbacks(side(rows), side(columns), SCROLLBACK_ROWS, Leaks::default())
}

/// A terminal has a row and a column at least.
pub(super) fn side(length: u16) -> NonZeroU16 {
    NonZeroU16::new(length).expect("a terminal of no size")
}

/// The interface's output in an emulator.
pub(super) struct Emulator {
    parser: vt100::Parser<Leaks>,
    host: Host,
    begun: bool,
}

impl Emulator {
    /// `regions`: whether finished rows are pushed through a scroll region. The emulator keeps no scrollback
    /// for regions; without them it keeps everything.
    pub(super) fn new(columns: u16, rows: u16, regions: bool) -> Self {
        let parser = parser(columns, rows);
        Self { parser, host: Host::new(columns, rows, regions), begun: false }
    }

    fn process(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("the interface writes UTF-8");
        self.parser.process(text.replace(char::REPLACEMENT_CHARACTER, STAND_IN).as_bytes());
    }

    /// Draws the application as it is after `effects`, the way the runner does.
    pub(super) fn show(&mut self, app: &App, effects: &[Effect]) {
        if !std::mem::replace(&mut self.begun, true) {
            let bytes = self.host.first_frame(app);
            self.process(&bytes);
            let row = self.parser.screen().cursor_position().0;
            let bytes = self.host.place(app, Some(row));
            self.process(&bytes);
            if app.fullscreen {
                let bytes = self.host.set_full(true, app);
                self.process(&bytes);
            }
        }
        let size = (side(app.rows), side(app.columns));
        if self.parser.screen().size() != size {
            self.parser.screen_mut().set_size(size.0, size.1);
        }
        let mut repaint = false;
        for effect in effects {
            match effect {
                Effect::Repaint => repaint = true,
                Effect::Fullscreen(full) => {
                    let bytes = self.host.set_full(*full, app);
                    self.process(&bytes);
                }
                _ => {}
            }
        }
        let bytes = if repaint { self.host.repaint(app) } else { self.host.frame(app) };
        self.process(&bytes);
    }

    /// Leaves as the runner does.
    pub(super) fn leave(&mut self, app: &App) {
        let bytes = self.host.leave(app);
        self.process(&bytes);
    }

    pub(super) fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    pub(super) fn leaks(&self) -> &[String] {
        &self.parser.callbacks().0
    }

    /// The row in which the live area begins.
    pub(super) fn live_top(&self) -> u16 {
        self.host.screen().top()
    }

    /// The screen's rows without blanks at their ends.
    pub(super) fn rows(&self) -> Vec<String> {
        let screen = self.screen();
        screen.rows(0, screen.size().1.get()).map(|row| row.trim_end().to_owned()).collect()
    }

    /// Scrollback and screen, oldest first.
    pub(super) fn everything(&mut self) -> Vec<String> {
        let screen = self.parser.screen_mut();
        screen.set_scrollback(usize::MAX);
        let above = screen.scrollback();
        let width = screen.size().1.get();
        let mut rows = Vec::new();
        for back in (1..=above).rev() {
            screen.set_scrollback(back);
            rows.extend(screen.rows(0, width).next().map(|row| row.trim_end().to_owned()));
        }
        screen.set_scrollback(0);
        rows.extend(self.rows());
        rows
    }
}

/// An application in an emulator, driven by messages.
pub(super) struct Stage {
    pub(super) app: App,
    pub(super) emulator: Emulator,
}

impl Stage {
    pub(super) fn new(columns: u16, rows: u16, regions: bool, options: &TuiOptions) -> Self {
        let (app, effects) = App::new(options, columns, rows, Vec::new());
        let mut emulator = Emulator::new(columns, rows, regions);
        emulator.show(&app, &effects);
        Self { app, emulator }
    }

    /// Updates and draws.
    pub(super) fn send(&mut self, message: Msg) -> Vec<Effect> {
        let effects = self.app.update(message);
        self.emulator.show(&self.app, &effects);
        effects
    }
}
