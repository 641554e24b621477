//! Measures the interface without a terminal: frame times and bytes while an answer streams into a long
//! conversation. Run by `z1 debug-render --bench`; the figures are in `docs/bench/tui.md`.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::app::{App, Msg};
use super::backend::Incoming;
use super::cell::{Cell, Tone};
use super::host::Host;
use super::options::TuiOptions;
use crate::event::Event;
use crate::task::Part;

const COLUMNS: u16 = 120;
const ROWS: u16 = 40;
const TOKENS_PER_SECOND: u32 = 200;
const FRAMES_PER_SECOND: u32 = 60;
const SECONDS: u32 = 60;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub mode: &'static str,
    pub conversation_lines: usize,
    pub frames: usize,
    pub frame_us_p50: u64,
    pub frame_us_p99: u64,
    pub frame_us_max: u64,
    pub bytes_per_token: f64,
    pub update_us_p99: u64,
    pub repaint_us: u64,
}

/// Streams a minute of tokens into a conversation of `lines` lines.
pub fn stream(lines: usize, full: bool) -> Figures {
    let (mut app, _) = App::new(&TuiOptions::default(), COLUMNS, ROWS, Vec::new());
    let ready = Event::Ready { model: "bench".to_owned(), context_tokens_max: 32_768, offload: "cpu".to_owned() };
    app.update(Msg::Incoming(Incoming::Event(ready)));
    for n in 0..lines / 2 {
        app.transcript.push(Cell::note(Tone::Plain, &format!("line {n} of an earlier conversation")));
    }
    let mut host = Host::new(COLUMNS, ROWS, true);
    host.first_frame(&app);
    host.place(&app, Some(ROWS - 1));
    if full {
        host.set_full(true, &app);
    }
    host.frame(&app);
    app.type_line("a task");
    app.update(Msg::Incoming(Incoming::Event(Event::Round { round: 0, candidates: 1 })));
    measure(&mut app, &mut host, lines, full)
}

fn measure(app: &mut App, host: &mut Host, lines: usize, full: bool) -> Figures {
    let text: Vec<char> = TEXT.chars().collect();
    let (mut frames, mut updates, mut bytes, mut at) = (Vec::new(), Vec::new(), 0, 0);
    let mut tokens_sent = 0;
    for frame in 1..=FRAMES_PER_SECOND * SECONDS {
        let due = frame * TOKENS_PER_SECOND / FRAMES_PER_SECOND;
        while tokens_sent < due {
            let text: String = (0..4).map(|n| text[(at + n) % text.len()]).collect();
            at += 4;
            let piece = Event::Piece { candidate: 0, part: Part::Answer, text, forced: false, tokens: 1 };
            let start = Instant::now();
            app.update(Msg::Incoming(Incoming::Event(piece)));
            updates.push(start.elapsed());
            tokens_sent += 1;
        }
        app.update(Msg::Tick(Duration::from_secs(1) * frame / FRAMES_PER_SECOND));
        let start = Instant::now();
        bytes += host.frame(app).len();
        frames.push(start.elapsed());
    }
    let start = Instant::now();
    host.repaint(app);
    let repaint_us = start.elapsed().as_micros() as u64;
    Figures {
        mode: if full { "fullscreen" } else { "inline" },
        conversation_lines: lines,
        frames: frames.len(),
        frame_us_p50: percentile(&mut frames, 50),
        frame_us_p99: percentile(&mut frames, 99),
        frame_us_max: percentile(&mut frames, 100),
        bytes_per_token: bytes as f64 / f64::from(tokens_sent),
        update_us_p99: percentile(&mut updates, 99),
        repaint_us,
    }
}

fn percentile(times: &mut [Duration], percent: usize) -> u64 {
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len() - 1);
    times[at].as_micros() as u64
}

const TEXT: &str = "A paragraph of some length that is wrapped by the interface, with *emphasis* and `code` in it, as a model writes.\n\n- a list\n- with entries\n\n```python\ndef function(argument):\n    return [argument * n for n in range(10)]\n```\n\n| a | table |\n|---|---|\n| with | cells |\n\n";
