//! Every named state, drawn message by message through the emulator at three sizes, held by snapshots.

use std::fmt::Write;

use z1::tui::app::Effect;
use z1::tui::states::{NamedState, STATES};
use z1::tui::{TuiOptions, view};

use super::emulator::{Emulator, STAND_IN};

/// A usual terminal, a large one, a small one.
const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 12)];

fn played(state: &NamedState, columns: u16, rows: u16, regions: bool, options: &TuiOptions) -> Emulator {
    let mut emulator = Emulator::new(columns, rows, regions);
    let app = state.play(columns, rows, options, |app, effects| emulator.show(app, effects));
    assert_eq!(emulator.leaks(), [""; 0], "{}", state.name);
    agrees_with_the_view(state.name, &emulator, &app);
    emulator
}

/// The live area that the emulator shows, patched together from hundreds of differences, is the one that
/// the view makes from the state alone.
fn agrees_with_the_view(name: &str, emulator: &Emulator, app: &z1::tui::app::App) {
    let frame = if app.fullscreen { view::full(app) } else { view::live(app) };
    let screen = emulator.screen();
    let top = emulator.live_top();
    for y in 0..frame.buffer.area.height {
        let mut wide = false;
        for x in 0..frame.buffer.area.width {
            let wanted = frame.buffer[(x, y)].symbol().replace(char::REPLACEMENT_CHARACTER, STAND_IN);
            let shown = screen.cell(top + y, x).expect("the live area is on the screen");
            if std::mem::replace(&mut wide, shown.is_wide()) {
                continue;
            }
            let text = if shown.has_contents() { shown.contents() } else { " " };
            assert_eq!(text, wanted, "{name} at {x},{y} of {}×{}", app.columns, app.rows);
        }
    }
    match frame.cursor {
        Some((x, y)) => {
            assert_eq!(screen.cursor_position(), (top + y, x), "{name}: the cursor");
            assert!(!screen.hide_cursor(), "{name}: the cursor is hidden");
        }
        None => assert!(screen.hide_cursor(), "{name}: the cursor is shown"),
    }
}

#[test]
fn named_states_look_as_they_did() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots");
    settings.set_omit_expression(true);
    for state in STATES {
        let mut text = String::new();
        for (columns, rows) in SIZES {
            let emulator = played(state, columns, rows, true, &TuiOptions::default());
            let (row, column) = emulator.screen().cursor_position();
            let _ = writeln!(text, "== {columns}×{rows}, cursor {column},{row}");
            for row in emulator.rows() {
                let _ = writeln!(text, "{row}");
            }
        }
        settings.set_description(state.about);
        settings.bind(|| insta::assert_snapshot!(state.name, text));
    }
}

#[test]
fn both_ways_into_the_scrollback_show_the_same_screen() {
    for state in STATES {
        for (columns, rows) in [(80, 24), (40, 12), (20, 6)] {
            let with = played(state, columns, rows, true, &TuiOptions::default());
            let without = played(state, columns, rows, false, &TuiOptions::default());
            assert_eq!(with.rows(), without.rows(), "{} at {columns}×{rows}", state.name);
        }
    }
}

/// What becomes of a text in the emulator: it draws no U+FFFD, and of joined emoji only the first is left, because
/// it gives them more cells than other terminals do. What stands after them is in its place all the same.
fn as_emulated(text: &str) -> String {
    text.replace(char::REPLACEMENT_CHARACTER, STAND_IN).replace("\u{200d}💻", "\u{200d}")
}

#[test]
fn scrollback_and_screen_hold_the_whole_conversation_once() {
    for state in STATES {
        for (columns, rows) in SIZES {
            let mut emulator = Emulator::new(columns, rows, false);
            let mut repainted = false;
            let app = state.play(columns, rows, &TuiOptions::default(), |app, effects| {
                // A repaint shows the last rows again; the scrollback then holds them twice.
                repainted |= effects.contains(&Effect::Repaint);
                emulator.show(app, effects);
            });
            if repainted {
                continue;
            }
            let above = emulator.everything().len() - usize::from(rows - emulator.live_top());
            let kept: Vec<String> = emulator.everything().into_iter().take(above).collect();
            let (all, _) = app.transcript.last_rows(&app.look(), usize::MAX / 2, 0);
            let said: Vec<String> = all.iter().map(|row| as_emulated(row.text().trim_end())).collect();
            assert_eq!(kept, said, "{} at {columns}×{rows}", state.name);
        }
    }
}

#[test]
fn every_size_is_drawn() {
    let sizes = [(1, 1), (2, 2), (5, 3), (10, 1), (20, 6), (33, 7), (200, 3), (400, 120)];
    for state in STATES {
        for (columns, rows) in sizes {
            for fullscreen in [false, true] {
                let options = TuiOptions { fullscreen, ..TuiOptions::default() };
                let app = state.build(columns, rows, &options);
                let frame = if fullscreen { view::full(&app) } else { view::live(&app) };
                assert!(frame.buffer.area.height <= rows && frame.buffer.area.width == columns, "{}", state.name);
            }
        }
    }
}

#[test]
fn without_colours_nothing_is_coloured() {
    let options = TuiOptions { no_color: true, ..TuiOptions::default() };
    for state in STATES {
        let emulator = played(state, 80, 24, true, &options);
        for y in 0..24 {
            for x in 0..80 {
                let cell = emulator.screen().cell(y, x).expect("inside the screen");
                let plain = (vt100::Color::Default, vt100::Color::Default);
                assert_eq!((cell.fgcolor(), cell.bgcolor()), plain, "{} at {x},{y}", state.name);
            }
        }
    }
}

#[test]
fn only_the_sixteen_colours_are_used() {
    for theme in [z1::tui::ThemeChoice::Dark, z1::tui::ThemeChoice::Light] {
        let options = TuiOptions { theme, ..TuiOptions::default() };
        for state in STATES {
            let emulator = played(state, 80, 24, true, &options);
            let cells = (0..24).flat_map(|y| (0..80).map(move |x| (x, y)));
            for (x, y) in cells {
                let cell = emulator.screen().cell(y, x).expect("inside the screen");
                for colour in [cell.fgcolor(), cell.bgcolor()] {
                    let named = matches!(colour, vt100::Color::Default | vt100::Color::Idx(0..16));
                    assert!(named, "{} at {x},{y}: {colour:?}", state.name);
                }
            }
        }
    }
}
