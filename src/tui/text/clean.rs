//! Makes text harmless: nothing that passes through here can move the cursor, set the title, ring, write
//! the clipboard, or make text look like other text.
//!
//! Two ways. [`visible`] is for what people must be able to judge (a model's words, code, diffs): every
//! dangerous character is replaced by a visible stand-in, one for one, so that it also works on text that
//! arrives in pieces. [`stripped`] is for what programs print: whole escape sequences are taken out, what
//! is left goes through [`visible`].

use std::borrow::Cow;

/// Stands for a character that has no picture of its own.
const STAND_IN: char = '\u{FFFD}';

/// What becomes of one character.
enum Fate {
    Keep,
    Replace(char),
    Drop,
}

fn fate(c: char) -> Fate {
    match c {
        '\n' | '\t' | ' '..='~' => Fate::Keep,
        // Half of a DOS line end, or a trick to overwrite the line; a piece may end between CR and LF.
        '\r' | '\u{AD}' => Fate::Drop,
        '\u{0}'..='\u{1F}' => Fate::Replace(control_picture(c)),
        '\u{7F}' => Fate::Replace('\u{2421}'),
        '\u{80}'..='\u{9F}' => Fate::Replace(STAND_IN),
        // Line and paragraph separators are line ends to some terminals and editors.
        '\u{2028}' | '\u{2029}' => Fate::Replace('\n'),
        c if is_deceptive(c) => Fate::Replace(STAND_IN),
        _ => Fate::Keep,
    }
}

fn control_picture(c: char) -> char {
    char::from_u32(0x2400 + c as u32).unwrap_or(STAND_IN)
}

/// Characters that reorder text, take no room, or look like a blank without being one. The joiners
/// U+200C/U+200D and variation selectors stay: scripts and emoji need them, and they are bounded where
/// graphemes are cut ([`super::wrap`]).
const fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}'
        | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF9}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Whether the character may stand in a cell.
pub fn is_harmless(c: char) -> bool {
    c != '\n' && c != '\t' && matches!(fate(c), Fate::Keep)
}

/// Replaces every dangerous character by a visible one. Line ends and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| matches!(fate(c), Fate::Keep)) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match fate(c) {
            Fate::Keep => clean.push(c),
            Fate::Replace(other) => clean.push(other),
            Fate::Drop => {}
        }
    }
    Cow::Owned(clean)
}

/// [`visible`], on one line: line ends and tabs become blanks.
pub fn one_line(text: &str) -> String {
    visible(text).chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).collect()
}

/// Takes escape sequences out of a program's output and makes the rest [`visible`]. A progress bar that
/// redraws itself with carriage returns leaves its last state.
pub fn stripped(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1B}' => skip_escape(&mut rest),
            '\u{9B}' => skip_control_sequence(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9D}' | '\u{9E}' | '\u{9F}' => skip_string(&mut rest),
            '\u{8}' => {
                if kept.chars().last().is_some_and(|last| last != '\n') {
                    kept.pop();
                }
            }
            '\u{7}' => {}
            '\r' if rest.peek() != Some(&'\n') => kept.truncate(kept.rfind('\n').map_or(0, |at| at + 1)),
            _ => kept.push(c),
        }
    }
    visible(&kept).into_owned()
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// After ESC: the kind of sequence decides how far it goes (ECMA-48 §5.3–5.6).
fn skip_escape(rest: &mut Chars<'_>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            skip_control_sequence(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            rest.next();
            skip_string(rest);
        }
        _ => {
            while rest.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            rest.next_if(|c| matches!(c, '0'..='~'));
        }
    }
}

fn skip_control_sequence(rest: &mut Chars<'_>) {
    while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    rest.next_if(|c| matches!(c, '@'..='~'));
}

/// A string control ends with ST or BEL. One that never ends is cut at the line's end, so that a stray
/// introducer cannot swallow the rest of the output.
fn skip_string(rest: &mut Chars<'_>) {
    while let Some(&c) = rest.peek() {
        if c == '\n' {
            return;
        }
        rest.next();
        match c {
            '\u{7}' | '\u{9C}' => return,
            '\u{1B}' => {
                rest.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_escapes_become_visible() {
        assert_eq!(visible("\u{1B}]0;pwned\u{7}ok\u{1B}[2J"), "␛]0;pwned␇ok␛[2J");
        assert_eq!(visible("a\u{202E}b\u{9B}c\u{200B}"), "a\u{FFFD}b\u{FFFD}c\u{FFFD}");
        assert_eq!(visible("plain\ttext\nзд 漢字 👩‍💻"), "plain\ttext\nзд 漢字 👩‍💻");
    }

    #[test]
    fn cleaning_in_pieces_equals_cleaning_the_whole() {
        let text = "a\r\nb\u{1B}[31mc\u{202E}";
        let pieces: String = text.chars().map(|c| visible(&c.to_string()).into_owned()).collect();
        assert_eq!(pieces, visible(text));
    }

    #[test]
    fn a_programs_sequences_are_taken_out() {
        assert_eq!(stripped("\u{1B}[31mred\u{1B}[0m \u{1B}]52;c;aGk=\u{7}x\u{1B}Pq\u{1B}\\y"), "red xy");
        assert_eq!(stripped("10%\r50%\r100%\ndone\r\n"), "100%\ndone\n");
        assert_eq!(stripped("ab\u{8}c\u{7}"), "ac");
        assert_eq!(stripped("\u{1B}]never ended\nnext"), "\nnext");
    }
}
