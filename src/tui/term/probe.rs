//! Asks the terminal three things at once (where is the cursor, what is your background, do you know
//! unambiguous keys) and waits at most 100 ms. The question that every terminal answers comes last and
//! ends the waiting.
//!
//! Whatever was typed meanwhile is not lost: it is returned as text.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// CPR, OSC 11, kitty keyboard, DA1.
const QUESTION: &str = "\x1b[6n\x1b]11;?\x1b\\\x1b[?u\x1b[c";
/// The longest wait for answers.
pub const PATIENCE: Duration = Duration::from_millis(100);
const ANSWER_BYTES_MAX: usize = 4096;
const PASTE_PATIENCE: Duration = Duration::from_secs(2);
const PASTE_BYTES_MAX: usize = 4 << 20;
const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// What the terminal said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// The cursor's row, from 0.
    pub cursor_row: Option<u16>,
    pub light: Option<bool>,
    pub kitty_keys: bool,
    /// What was typed and pasted meanwhile, in order.
    pub typed: Vec<Typed>,
    /// Every answer is in; nothing will come late.
    pub complete: bool,
    /// A paste has begun and its end is not in yet.
    pub pasting: bool,
}

/// Input that came among the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    Keys(String),
    /// Between the marks of a bracketed paste.
    Pasted(String),
}

/// Asks, and waits for the answers.
pub fn ask() -> io::Result<Answers> {
    let mut out = io::stdout().lock();
    out.write_all(QUESTION.as_bytes())?;
    out.flush()?;
    let deadline = Instant::now() + PATIENCE;
    let mut bytes = Vec::new();
    loop {
        let answers = parse(&bytes);
        let left = deadline.saturating_duration_since(Instant::now());
        // Half a paste would be taken for typing, its line ends for Enter: its end is waited for.
        if answers.pasting && bytes.len() < PASTE_BYTES_MAX && Instant::now() < deadline + PASTE_PATIENCE {
            read_some(&mut bytes, PATIENCE)?;
            continue;
        }
        if answers.complete || left.is_zero() || bytes.len() > ANSWER_BYTES_MAX {
            return Ok(answers);
        }
        read_some(&mut bytes, left)?;
    }
}

fn read_some(bytes: &mut Vec<u8>, left: Duration) -> io::Result<()> {
    let stdin = io::stdin();
    let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
    let timeout = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
    match poll(&mut waiting, Some(&timeout)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(()),
        Ok(_) => {}
        Err(problem) => return Err(problem.into()),
    }
    let mut chunk = [0_u8; 4096];
    match rustix::io::read(stdin.as_fd(), &mut chunk) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(n) => {
            bytes.extend_from_slice(&chunk[..n]);
            Ok(())
        }
        Err(rustix::io::Errno::INTR) => Ok(()),
        Err(problem) => Err(problem.into()),
    }
}

/// Sorts what arrived into answers and typing.
pub fn parse(bytes: &[u8]) -> Answers {
    let mut answers = Answers::default();
    let mut keys = Vec::new();
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        if let Some(paste) = rest.strip_prefix(PASTE_BEGINS) {
            answers.keys(&mut keys);
            let end = paste.windows(PASTE_ENDS.len()).position(|bytes| bytes == PASTE_ENDS);
            answers.pasting = end.is_none();
            let (text, after) = end.map_or((paste, &[][..]), |end| (&paste[..end], &paste[end + PASTE_ENDS.len()..]));
            answers.typed.push(Typed::Pasted(String::from_utf8_lossy(text).into_owned()));
            rest = after;
        } else if first == 0x1b {
            let length = sequence_length(rest);
            answers.take(&rest[..length]);
            rest = &rest[length..];
        } else {
            keys.push(first);
            rest = after;
        }
    }
    answers.keys(&mut keys);
    answers
}

/// How many bytes the escape sequence at the beginning has.
fn sequence_length(bytes: &[u8]) -> usize {
    match bytes.get(1) {
        Some(b'[') => bytes[2..].iter().position(|b| (0x40..=0x7e).contains(b)).map_or(bytes.len(), |end| end + 3),
        Some(b']') => {
            let end = bytes.iter().position(|b| *b == 7).map(|at| at + 1);
            let st = bytes.windows(2).position(|two| two == b"\x1b\\").map(|at| at + 2);
            end.into_iter().chain(st).min().unwrap_or(bytes.len())
        }
        Some(_) => 2,
        None => 1,
    }
}

impl Answers {
    fn keys(&mut self, keys: &mut Vec<u8>) {
        if !keys.is_empty() {
            self.typed.push(Typed::Keys(String::from_utf8_lossy(keys).into_owned()));
            keys.clear();
        }
    }

    fn take(&mut self, sequence: &[u8]) {
        let Ok(text) = std::str::from_utf8(sequence) else { return };
        if let Some(body) = text.strip_prefix("\x1b[?") {
            self.kitty_keys |= body.ends_with('u');
            self.complete |= body.ends_with('c');
        } else if let Some(row) = text.strip_prefix("\x1b[").and_then(|body| body.strip_suffix('R')) {
            let row = row.split(';').next().and_then(|row| row.parse::<u16>().ok());
            self.cursor_row = row.map(|row| row.saturating_sub(1)).or(self.cursor_row);
        } else if let Some(colour) = text.strip_prefix("\x1b]11;") {
            self.light = is_light(colour).or(self.light);
        }
    }
}

/// Reads `rgb:RRRR/GGGG/BBBB` and weighs the channels (Rec. 709 luma).
fn is_light(colour: &str) -> Option<bool> {
    let body = colour.strip_prefix("rgb:")?;
    let channels: Vec<f32> = body
        .split(['/', '\x07', '\x1b'])
        .take(3)
        .map(|channel| {
            let max = 16_f32.powi(channel.len() as i32) - 1.0;
            u32::from_str_radix(channel, 16).ok().map(|value| value as f32 / max)
        })
        .collect::<Option<_>>()?;
    let [red, green, blue] = channels[..] else { return None };
    Some(0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_typing_are_told_apart() {
        let bytes = b"h\x1b[12;1Ri\x1b]11;rgb:ffff/ffff/f0f0\x1b\\\xc3\xa4\x1b[?1u\x1b[?62;22c!";
        let answers = parse(bytes);
        assert_eq!(answers.cursor_row, Some(11));
        assert_eq!(answers.light, Some(true));
        assert!(answers.kitty_keys && answers.complete);
        assert_eq!(answers.typed, [Typed::Keys("hiä!".to_owned())]);
    }

    #[test]
    fn a_paste_among_the_answers_is_a_paste() {
        let answers = parse(b"a\x1b[200~two\rlines\x1b[201~b\x1b[?62c");
        let typed = [Typed::Keys("a".into()), Typed::Pasted("two\rlines".into()), Typed::Keys("b".into())];
        assert_eq!(answers.typed, typed);
        assert!(answers.complete && !answers.pasting);
        assert!(parse(b"\x1b[?62c\x1b[200~half").pasting);
    }

    #[test]
    fn half_an_answer_waits_for_the_rest() {
        assert!(!parse(b"\x1b[?62;2").complete);
        assert!(!parse(b"\x1b]11;rgb:0000/").complete);
        assert_eq!(parse(b"\x1b]11;rgb:00/00/00\x07").light, Some(false));
        assert_eq!(parse(b"\x1b]11;nonsense\x07").light, None);
        assert_eq!(parse(b"\x1b"), Answers::default());
    }
}
