//! The loop: read keys, ask the backend, update, draw, execute effects. The only file that waits.
//!
//! Frames are coalesced: however many events arrived, at most one frame is drawn per [`FRAME_EVERY`].
//! Not for: deciding (`app/`), or what a frame looks like (`view/`).

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event as TerminalEvent, KeyCode, KeyEvent, KeyModifiers, MouseEventKind};

use super::app::{App, EditPurpose, Effect, Msg};
use super::backend::{Backend, Request, SendFailed};
use super::cell::Tone;
use super::edge::{self, Surroundings};
use super::host::Host;
use super::options::{ThemeChoice, TuiOptions};
use super::term::signals::Input;
use super::term::{Guard, guard, probe, signals};
use crate::error::{Exit, UserError};

/// The shortest time between two frames.
const FRAME_EVERY: Duration = Duration::from_millis(16);
/// How long the loop sleeps while something runs, and while nothing does.
const POLL_BUSY: Duration = Duration::from_millis(15);
const POLL_IDLE: Duration = Duration::from_millis(100);
/// While the spinner moves and nothing else happens, a frame this often is enough.
const SPIN_EVERY: Duration = Duration::from_millis(120);
/// A resize is drawn when the size has stayed for this long.
const RESIZE_SETTLES: Duration = Duration::from_millis(60);
/// Events taken from the backend between two looks at the keyboard.
const EVENTS_PER_TURN_MAX: usize = 512;
/// Requests that wait for room in the backend's channel.
const OUTBOX_MAX: usize = 64;
/// Late answers of the terminal are swallowed for this long.
const LATE_ANSWERS: Duration = Duration::from_secs(3);
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Starts whoever does the work; called once, when the first frame stands.
pub type Start = Box<dyn FnOnce() -> anyhow::Result<Box<dyn Backend>>>;

/// Shows the terminal interface until the user leaves; returns the last task's exit code.
///
/// # Errors
/// Where stdin or stdout is no terminal, the terminal went away, or there is nobody to do the work.
pub fn run(options: &TuiOptions, start: Start) -> anyhow::Result<Exit> {
    if options.plain || std::env::var("TERM").is_ok_and(|term| term == "dumb") {
        return super::plain::run(options, start()?);
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(UserError::usage("the interface needs a terminal on stdin and stdout")
            .hint("use `z1 -p \"task\"` in scripts and pipes, or --plain")
            .into());
    }
    let (mut session, effects) = Session::begin(options)?;
    let mut backend = match start() {
        Ok(backend) => backend,
        Err(problem) => return session.end(Err(problem)),
    };
    let result = session.greet(effects, backend.as_mut()).and_then(|()| session.turn_until_left(backend.as_mut()));
    let result = session.end(result);
    backend.close(CLOSE_WITHIN);
    result
}

struct Session<'a> {
    options: &'a TuiOptions,
    app: App,
    host: Host,
    guard: Guard,
    _stderr: Option<guard::StderrDiverted>,
    started: Instant,
    last_frame: Instant,
    last_resize: Option<Instant>,
    dirty: bool,
    repaint: bool,
    outbox: VecDeque<Request>,
    surroundings: Option<mpsc::Receiver<Surroundings>>,
    late: LateAnswers,
    left: Option<Exit>,
}

impl<'a> Session<'a> {
    /// First the frame, then everything else.
    fn begin(options: &'a TuiOptions) -> anyhow::Result<(Self, Vec<Effect>)> {
        let started = Instant::now();
        let (columns, rows) = crossterm::terminal::size()?;
        let history = edge::read_history(options.history_file.as_deref());
        let (app, effects) = App::new(options, columns.max(1), rows.max(1), history);
        let mut host = Host::new(columns.max(1), rows.max(1), scrolled_regions_are_kept());
        let guard = Guard::take(options.mouse)?;
        write(&host.first_frame(&app))?;
        signals::watch()?;
        signals::end_with_terminal();
        let stderr = guard::divert_stderr(options.log_file.as_deref()).ok();
        let session = Self {
            options,
            app,
            host,
            guard,
            _stderr: stderr,
            started,
            last_frame: started,
            last_resize: None,
            dirty: true,
            repaint: false,
            outbox: VecDeque::new(),
            surroundings: Some(edge::look_around(options.project.clone())),
            late: LateAnswers::expect(false),
            left: None,
        };
        Ok((session, effects))
    }

    /// Asks the terminal what it is, and does what was to be done first.
    fn greet(&mut self, effects: Vec<Effect>, backend: &mut dyn Backend) -> anyhow::Result<()> {
        let answers = probe::ask()?;
        write(&self.host.place(&self.app, answers.cursor_row))?;
        if answers.kitty_keys {
            Guard::use_kitty_keys()?;
        }
        self.late = LateAnswers::expect(!answers.complete);
        if self.options.fullscreen {
            self.fullscreen(true)?;
        }
        self.execute(effects, backend)?;
        self.take_answers(&answers, backend)
    }

    fn take_answers(&mut self, answers: &probe::Answers, backend: &mut dyn Backend) -> anyhow::Result<()> {
        if let (ThemeChoice::Auto, Some(light)) = (self.options.theme, answers.light) {
            self.update(Msg::Light(light), backend)?;
        }
        for typed in &answers.typed {
            match typed {
                probe::Typed::Keys(keys) => self.take_keys(keys, backend)?,
                probe::Typed::Pasted(text) => self.update(Msg::Paste(text.clone()), backend)?,
            }
        }
        Ok(())
    }

    /// Keys that were pressed before anyone could read them.
    fn take_keys(&mut self, keys: &str, backend: &mut dyn Backend) -> anyhow::Result<()> {
        for c in keys.chars() {
            let code = match c {
                '\r' | '\n' => KeyCode::Enter,
                '\u{7f}' => KeyCode::Backspace,
                '\t' => KeyCode::Tab,
                '\u{3}' => {
                    self.update(Msg::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), backend)?;
                    continue;
                }
                c if c.is_control() => continue,
                c => KeyCode::Char(c),
            };
            self.update(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)), backend)?;
        }
        Ok(())
    }

    fn turn_until_left(&mut self, backend: &mut dyn Backend) -> anyhow::Result<Exit> {
        loop {
            if let Some(exit) = self.left {
                // A terminal that is gone cannot show the last frame.
                let _ = self.draw();
                return Ok(exit);
            }
            self.draw()?;
            let busy = self.dirty || self.app.turn.is_some() || self.app.status.loading.is_some();
            let patience = if busy || self.surroundings.is_some() { POLL_BUSY } else { POLL_IDLE };
            if signals::wait_for_input(patience)? != Input::HungUp && event::poll(Duration::ZERO)? {
                self.read_keys(backend)?;
            }
            self.look_at_signals(backend)?;
            self.look_at_surroundings(backend)?;
            self.flush_outbox(backend)?;
            self.drain(backend)?;
            self.update(Msg::Tick(self.started.elapsed()), backend)?;
        }
    }

    fn read_keys(&mut self, backend: &mut dyn Backend) -> anyhow::Result<()> {
        loop {
            let message = match event::read()? {
                TerminalEvent::Key(key) if self.late.swallows(&key) => None,
                TerminalEvent::Key(key) => Some(Msg::Key(key)),
                TerminalEvent::Paste(text) => Some(Msg::Paste(text)),
                TerminalEvent::Resize(columns, rows) => {
                    self.last_resize = Some(Instant::now());
                    Some(Msg::Resize { columns: columns.max(1), rows: rows.max(1) })
                }
                TerminalEvent::Mouse(mouse) => match mouse.kind {
                    MouseEventKind::ScrollUp => Some(Msg::Wheel { up: true }),
                    MouseEventKind::ScrollDown => Some(Msg::Wheel { up: false }),
                    _ => None,
                },
                TerminalEvent::FocusGained | TerminalEvent::FocusLost => None,
            };
            if let Some(message) = message {
                self.dirty = true;
                self.update(message, backend)?;
            }
            if self.left.is_some() || !event::poll(Duration::ZERO)? {
                return Ok(());
            }
        }
    }

    fn look_at_signals(&mut self, backend: &mut dyn Backend) -> anyhow::Result<()> {
        let seen = signals::take();
        if seen.stop {
            self.suspend()?;
        }
        if seen.end.is_some() {
            self.update(Msg::Terminate, backend)?;
        }
        Ok(())
    }

    fn look_at_surroundings(&mut self, backend: &mut dyn Backend) -> anyhow::Result<()> {
        let Some(receiver) = &self.surroundings else { return Ok(()) };
        match receiver.try_recv() {
            Ok(found) => {
                self.surroundings = None;
                self.app.status.branch = found.branch;
                self.dirty = true;
                self.update(Msg::Files(found.files), backend)
            }
            Err(mpsc::TryRecvError::Disconnected) => {
                self.surroundings = None;
                Ok(())
            }
            Err(mpsc::TryRecvError::Empty) => Ok(()),
        }
    }

    /// Takes what the backend has, up to a limit, so that keys are never starved.
    fn drain(&mut self, backend: &mut dyn Backend) -> anyhow::Result<()> {
        for _ in 0..EVENTS_PER_TURN_MAX {
            let message = match backend.try_next() {
                Ok(Some(incoming)) => Msg::Incoming(incoming),
                Ok(None) => return Ok(()),
                Err(_) if self.app.status.gone => return Ok(()),
                Err(_) => Msg::Gone,
            };
            let gone = message == Msg::Gone;
            self.dirty = true;
            self.update(message, backend)?;
            if gone {
                return Ok(());
            }
        }
        Ok(())
    }

    fn update(&mut self, message: Msg, backend: &mut dyn Backend) -> anyhow::Result<()> {
        let flashing = self.app.flash.is_some();
        let effects = self.app.update(message);
        self.dirty |= !effects.is_empty() || flashing != self.app.flash.is_some();
        self.execute(effects, backend)
    }

    fn execute(&mut self, effects: Vec<Effect>, backend: &mut dyn Backend) -> anyhow::Result<()> {
        for effect in effects {
            match effect {
                Effect::Send(request) => self.send(request, backend)?,
                Effect::OpenEditor { purpose, text, name } => self.open_editor(purpose, &text, &name, backend)?,
                Effect::Suspend => self.suspend()?,
                Effect::Copy(text) => edge::copy(&mut io::stdout().lock(), &text)?,
                Effect::Notify(text) => edge::notify(&mut io::stdout().lock(), self.options.notify, &text)?,
                Effect::Repaint => self.repaint = true,
                Effect::Fullscreen(full) => self.fullscreen(full)?,
                Effect::Remember(text) => self.remember(&text),
                Effect::Export { path, text } => self.export(path.as_deref(), &text, backend)?,
                Effect::Leave(exit) => self.left = Some(exit),
            }
        }
        Ok(())
    }

    fn send(&mut self, request: Request, backend: &mut dyn Backend) -> anyhow::Result<()> {
        if self.outbox.len() < OUTBOX_MAX {
            self.outbox.push_back(request);
        }
        self.flush_outbox(backend)
    }

    fn flush_outbox(&mut self, backend: &mut dyn Backend) -> anyhow::Result<()> {
        while let Some(request) = self.outbox.pop_front() {
            match backend.send(request) {
                Ok(()) => {}
                Err(SendFailed::Full(request)) => {
                    self.outbox.push_front(*request);
                    break;
                }
                Err(SendFailed::Gone) => {
                    self.outbox.clear();
                    return self.update(Msg::Gone, backend);
                }
            }
        }
        Ok(())
    }

    fn remember(&mut self, text: &str) {
        let Some(path) = &self.options.history_file else { return };
        if let Err(problem) = edge::remember(path, text) {
            tracing::warn!("writing {}: {problem}", path.display());
        }
    }

    fn export(&mut self, path: Option<&str>, text: &str, backend: &mut dyn Backend) -> anyhow::Result<()> {
        let (tone, text) = match edge::export(&self.options.project, path, text) {
            Ok(path) => (Tone::Good, format!("the conversation is in {}", path.display())),
            Err(problem) => (Tone::Warn, format!("{problem:#}")),
        };
        self.update(Msg::Say { tone, text }, backend)
    }

    fn open_editor(
        &mut self,
        purpose: EditPurpose,
        text: &str,
        name: &str,
        backend: &mut dyn Backend,
    ) -> anyhow::Result<()> {
        let lent = self.guard.lend();
        let edited = edge::edit(text, name);
        self.guard.retake(&lent)?;
        let (text, problem) = match edited {
            Ok(text) => (text, None),
            Err(problem) => (None, Some(format!("{problem:#}"))),
        };
        self.update(Msg::Edited { purpose, text }, backend)?;
        match problem {
            Some(text) => self.update(Msg::Say { tone: Tone::Warn, text }, backend),
            None => Ok(()),
        }
    }

    fn suspend(&mut self) -> anyhow::Result<()> {
        if !self.host.screen().is_full() {
            write(&self.host.leave(&self.app))?;
        }
        let lent = self.guard.lend();
        signals::stop_self();
        self.guard.retake(&lent)?;
        let (columns, rows) = crossterm::terminal::size()?;
        self.app.update(Msg::Resize { columns: columns.max(1), rows: rows.max(1) });
        (self.repaint, self.dirty) = (true, true);
        Ok(())
    }

    fn fullscreen(&mut self, full: bool) -> anyhow::Result<()> {
        Guard::note_full(full);
        let bytes = self.host.set_full(full, &self.app);
        write(&bytes)
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        if self.last_resize.is_some_and(|at| now - at < RESIZE_SETTLES) {
            return Ok(());
        }
        let since = now - self.last_frame;
        let moving = self.app.is_moving() && since >= SPIN_EVERY;
        if !(self.dirty || self.repaint || moving) || (since < FRAME_EVERY && self.left.is_none()) {
            return Ok(());
        }
        let bytes = if self.repaint || self.last_resize.take().is_some() {
            self.host.repaint(&self.app)
        } else {
            self.host.frame(&self.app)
        };
        (self.dirty, self.repaint, self.last_frame) = (false, false, now);
        write(&bytes)
    }

    /// The conversation stays in the scrollback; the terminal is as it was.
    fn end(mut self, result: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
        let bytes = self.host.leave(&self.app);
        Guard::note_full(false);
        // A terminal that is gone cannot be tidied up.
        let _ = write(&bytes);
        guard::restore();
        result
    }
}

/// Answers of the terminal that come after the waiting would look like keys: `Alt-]`, then text up to
/// the terminator.
struct LateAnswers {
    until: Option<Instant>,
    inside: bool,
}

impl LateAnswers {
    fn expect(late: bool) -> Self {
        Self { until: late.then(|| Instant::now() + LATE_ANSWERS), inside: false }
    }

    fn swallows(&mut self, key: &KeyEvent) -> bool {
        if self.until.is_none_or(|until| Instant::now() > until) {
            return false;
        }
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match (self.inside, key.code) {
            (false, KeyCode::Char(']')) if alt => self.inside = true,
            (true, KeyCode::Char('\\')) if alt => self.inside = false,
            (true, KeyCode::Char('g')) if control => self.inside = false,
            (inside, _) => return inside,
        }
        true
    }
}

/// Whether rows that scroll out of a region at the top of the screen reach the scrollback. Nearly all
/// terminals do that; those known not to get plain line ends.
fn scrolled_regions_are_kept() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some();
    let screen = std::env::var("TERM").is_ok_and(|term| term.starts_with("screen")) && !set("TMUX");
    !set("ZELLIJ") && !screen && std::env::var("Z1_SCROLL").as_deref() != Ok("lines")
}

fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}
