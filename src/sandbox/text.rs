//! Making a program's output safe and readable: escape sequences, control and invisible characters out.
//!
//! For every text that came from untrusted code or from a model and that a terminal or a prompt will
//! show. Not for shortening or interpreting it.

/// Where the scanner stands inside an escape sequence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scan {
    Text,
    /// After ESC.
    Escape,
    /// After ESC and intermediate bytes (`ESC ( B`).
    Intermediate,
    /// Inside `ESC [ … final`.
    Csi,
    /// Inside OSC, DCS, SOS, PM or APC, which end at BEL or ST.
    Text7,
    /// The same, after an ESC that may begin ST.
    Text7Escape,
}

/// Removes ANSI, OSC and other escape sequences (7-bit and 8-bit forms), control characters other than
/// line feed and tab, and the Unicode characters that reorder or hide text. A carriage return is a line
/// feed where none follows it (progress bars become lines). An unfinished sequence is dropped up to the
/// end of its line, so that a lone ESC cannot swallow the rest of the output.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut scan = Scan::Text;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c == '\r' && characters.peek() == Some(&'\n') {
            continue;
        }
        let c = if c == '\r' { '\n' } else { c };
        if c == '\n' {
            scan = Scan::Text;
            out.push(c);
            continue;
        }
        scan = step(scan, c, &mut out);
    }
    out
}

fn step(scan: Scan, c: char, out: &mut String) -> Scan {
    match (scan, c) {
        (Scan::Text | Scan::Escape | Scan::Intermediate | Scan::Csi, '\u{1b}') => Scan::Escape,
        (Scan::Text, '\u{9b}') => Scan::Csi,
        (Scan::Text, '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}') => Scan::Text7,
        (Scan::Text, _) => {
            if is_shown(c) {
                out.push(c);
            }
            Scan::Text
        }
        (Scan::Escape, '[') => Scan::Csi,
        (Scan::Escape, ']' | 'P' | 'X' | '^' | '_') => Scan::Text7,
        (Scan::Escape | Scan::Intermediate, ' '..='/') => Scan::Intermediate,
        (Scan::Escape | Scan::Intermediate, '0'..='~') | (Scan::Csi, '@'..='~') => Scan::Text,
        (Scan::Csi, ' '..='?') => Scan::Csi,
        (Scan::Text7, '\u{7}' | '\u{9c}') | (Scan::Text7Escape, '\\') => Scan::Text,
        (Scan::Text7, '\u{1b}') => Scan::Text7Escape,
        (Scan::Text7, _) => Scan::Text7,
        // A broken string sequence: what followed the ESC begins a new one.
        (Scan::Text7Escape, _) => step(Scan::Escape, c, out),
        // A broken escape or CSI sequence: its character is ordinary text again.
        (Scan::Escape | Scan::Intermediate | Scan::Csi, _) => step(Scan::Text, c, out),
    }
}

/// Whether a character may reach a terminal: no control characters (tab and line feed excepted), no
/// bidirectional overrides and isolates, no zero-width and tag characters that hide text from a reader.
fn is_shown(c: char) -> bool {
    match c {
        '\t' | '\n' => true,
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => false,
        c => !c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_titles_and_clipboard_writes_disappear() {
        assert_eq!(clean("\u{1b}[1;31mred\u{1b}[0m"), "red");
        assert_eq!(clean("a\u{1b}]0;title\u{7}b"), "ab");
        assert_eq!(clean("a\u{1b}]52;c;cm0gLXJm\u{1b}\\b"), "ab");
        assert_eq!(clean("a\u{9b}2Jb\u{9d}0;t\u{9c}c"), "abc");
        assert_eq!(clean("a\u{1b}(Bb\u{1b}cc"), "abc");
        assert_eq!(clean("a\u{1b}P1$r\u{1b}\\b"), "ab");
    }

    #[test]
    fn unfinished_sequences_end_with_their_line() {
        assert_eq!(clean("a\u{1b}]0;never closed\nnext"), "a\nnext");
        assert_eq!(clean("a\u{1b}"), "a");
    }

    #[test]
    fn progress_bars_become_lines_and_tabs_stay() {
        assert_eq!(clean("10%\r20%\r\ndone\tok\0\u{8}"), "10%\n20%\ndone\tok");
    }

    #[test]
    fn characters_that_hide_or_reorder_text_are_dropped() {
        assert_eq!(clean("a\u{202e}b\u{200b}c\u{2066}d\u{feff}"), "abcd");
    }

    proptest! {
        #[test]
        fn what_is_left_is_stable_and_free_of_controls(text in "\\PC*|[\u{0}-\u{9f}a-z\\[\\];?]*") {
            let once = clean(&text);
            prop_assert!(once.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
            prop_assert_eq!(clean(&once), once);
        }
    }
}
