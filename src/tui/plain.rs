//! Append-only lines: for screen readers, dumb terminals and logs. No cursor movement, no colour, no
//! spinner; a task per line of input, the same commands.
//!
//! It drives the same [`App`], so that both interfaces cannot disagree about what happened.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::app::turn::Phase;
use super::app::{App, Effect, Msg, Panel};
use super::backend::{Backend, Request, SendFailed};
use super::cell::{Look, Tone};
use super::options::TuiOptions;
use super::term::signals;
use super::theme::Theme;
use super::transcript::Emitted;
use crate::error::Exit;
use crate::event::{Command, Decision};

const POLL: Duration = Duration::from_millis(20);
const WIDTH: usize = 1_000;
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Reads tasks from stdin line by line and prints what happens to stdout.
///
/// # Errors
/// Where stdout cannot be written.
pub fn run(options: &TuiOptions, mut backend: Box<dyn Backend>) -> anyhow::Result<Exit> {
    signals::watch()?;
    let mut out = io::stdout();
    let result = Lines::new(options).turn_until_left(backend.as_mut(), &read_lines(), &mut out);
    backend.close(CLOSE_WITHIN);
    result
}

fn read_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::sync_channel(16);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The state of the line mode.
#[derive(Debug)]
pub struct Lines {
    app: App,
    emitted: Emitted,
    started: Instant,
    first: Vec<Effect>,
    phase: Option<&'static str>,
    /// Tenths of the pull that were said.
    tenths: Option<u32>,
    asked: Option<u64>,
    ended: bool,
    left: Option<Exit>,
    project: PathBuf,
}

impl Lines {
    pub fn new(options: &TuiOptions) -> Self {
        let options = TuiOptions { no_color: true, ..options.clone() };
        let (app, first) = App::new(&options, 80, 24, Vec::new());
        Self {
            app,
            emitted: Emitted::default(),
            started: Instant::now(),
            first,
            phase: None,
            tenths: None,
            asked: None,
            ended: false,
            left: None,
            project: options.project,
        }
    }

    fn turn_until_left(
        mut self,
        backend: &mut dyn Backend,
        lines: &mpsc::Receiver<String>,
        out: &mut dyn Write,
    ) -> anyhow::Result<Exit> {
        let first = std::mem::take(&mut self.first);
        self.execute(first, backend);
        loop {
            self.read_line(lines, backend);
            if signals::take().end.is_some() {
                self.update(Msg::Terminate, backend);
            }
            while let Some(message) = next(backend, self.app.status.gone) {
                self.update(message, backend);
                self.print(out)?;
            }
            self.update(Msg::Tick(self.started.elapsed()), backend);
            self.print(out)?;
            if let Some(exit) = self.left {
                return Ok(exit);
            }
            // Nobody is left who could answer.
            if self.ended && self.app.question.is_some() {
                let effects = self.app.answer_question();
                self.execute(effects, backend);
            }
            // Piped input that ended: finish what runs, then leave.
            let idle = self.app.turn.is_none() && self.app.errand.is_none() && self.app.pull.is_none();
            if self.ended && (idle || self.asked.is_some() || self.app.status.gone) {
                self.left = Some(self.app.exit());
            }
            std::thread::sleep(POLL);
        }
    }

    fn read_line(&mut self, lines: &mpsc::Receiver<String>, backend: &mut dyn Backend) {
        match lines.try_recv() {
            Ok(line) if self.asked.is_some() => self.decide(line.trim(), backend),
            Ok(line) => {
                let effects = self.app.type_line(&line);
                self.execute(effects, backend);
            }
            Err(mpsc::TryRecvError::Disconnected) => self.ended = true,
            Err(mpsc::TryRecvError::Empty) => {}
        }
    }

    /// `y` accepts, `n` rejects, anything else is what should be different.
    fn decide(&mut self, line: &str, backend: &mut dyn Backend) {
        let Some(patch_id) = self.asked.take() else { return };
        self.app.panel = Panel::None;
        let decision = match line {
            "y" | "yes" => Decision::Accept,
            "n" | "no" | "" => Decision::Reject,
            remark => Decision::AskAgain(remark.to_owned()),
        };
        self.execute(vec![Effect::Send(Request::Command(Command::Decide { patch_id, decision }))], backend);
    }

    fn update(&mut self, message: Msg, backend: &mut dyn Backend) {
        let effects = self.app.update(message);
        self.execute(effects, backend);
    }

    fn execute(&mut self, effects: Vec<Effect>, backend: &mut dyn Backend) {
        for effect in effects {
            match effect {
                Effect::Send(request) => {
                    let sent = backend.send(request);
                    if sent == Err(SendFailed::Gone) {
                        self.app.update(Msg::Gone);
                    }
                }
                Effect::Leave(exit) => self.left = Some(exit),
                Effect::Export { path, text } => {
                    let said = super::edge::export(&self.project, path.as_deref(), &text);
                    let text = said.map_or_else(|problem| format!("{problem:#}"), |path| path.display().to_string());
                    self.app.update(Msg::Say { tone: Tone::Plain, text });
                }
                _ => {}
            }
        }
    }

    fn print(&mut self, out: &mut dyn Write) -> anyhow::Result<()> {
        let look = Look { width: WIDTH, theme: Theme::PLAIN, thinking_open: false };
        for row in self.app.transcript.fresh(&mut self.emitted, &look) {
            writeln!(out, "{}", row.text().trim_end())?;
        }
        self.print_phase(out)?;
        self.print_pull(out)?;
        match &self.app.panel {
            Panel::Review(review) if self.asked.is_none() => {
                self.asked = Some(review.patch_id);
                for line in review.plain() {
                    writeln!(out, "{line}")?;
                }
                writeln!(out, "accept? y, n, or say what should be different")?;
            }
            Panel::Picker(picker) => {
                for choice in picker.shown() {
                    writeln!(out, "{}  {}  {}", choice.value, choice.label, choice.detail)?;
                }
                self.app.panel = Panel::None;
            }
            Panel::Help { .. } => {
                for (name, argument, about) in super::app::slash::COMMANDS {
                    writeln!(out, "{name} {argument}  {about}")?;
                }
                self.app.panel = Panel::None;
            }
            _ => {}
        }
        out.flush()?;
        Ok(())
    }

    fn print_phase(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let word = self.app.turn.as_ref().map(|turn| match turn.phase {
            Phase::Waiting | Phase::Prefill { .. } => "reading",
            Phase::Thinking => "thinking",
            Phase::Shifted | Phase::Answering => "answering",
            Phase::Verifying { .. } => "running the code",
            Phase::Deciding => "waiting for your decision",
            Phase::Stopping => "stopping",
        });
        if word != self.phase {
            self.phase = word;
            if let Some(word) = word {
                writeln!(out, "[{word}]")?;
            }
        }
        Ok(())
    }

    /// How far a pull is, ten times on its way.
    fn print_pull(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let Some(pull) = &self.app.pull else {
            self.tenths = None;
            return Ok(());
        };
        let tenths = pull.fraction().map_or(0, |fraction| (fraction * 10.0) as u32);
        if self.tenths.is_none_or(|said| tenths > said) {
            self.tenths = Some(tenths);
            writeln!(out, "[fetching {}: {} %]", pull.name, tenths * 10)?;
        }
        Ok(())
    }
}

fn next(backend: &mut dyn Backend, gone: bool) -> Option<Msg> {
    match backend.try_next() {
        Ok(incoming) => incoming.map(Msg::Incoming),
        Err(_) if gone => None,
        Err(_) => Some(Msg::Gone),
    }
}
