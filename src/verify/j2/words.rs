//! A command as a shell would read it, where it is one simple command; anything else is left to the shell. Pure.

/// One simple command: variables set for it, and its words without their quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Simple {
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) words: Vec<String>,
}

/// Reads a simple command; `None` where only a shell can (pipes, lists, expansions, globs that match files, comments).
pub(crate) fn simple(command: &str) -> Option<Simple> {
    let mut parsed = Simple::default();
    for (word, quoted) in split(command)? {
        match word.split_once('=') {
            Some((name, value)) if parsed.words.is_empty() && !quoted && is_name(name) => {
                parsed.variables.push((name.to_owned(), value.to_owned()));
            }
            _ => parsed.words.push(word),
        }
    }
    (!parsed.words.is_empty()).then_some(parsed)
}

/// `cd FOLDER && REST` apart: where the rest runs, relative, and the rest.
pub(crate) fn folder(command: &str) -> Option<(String, String)> {
    let (first, rest) = command.split_once("&&")?;
    let parsed = simple(first)?;
    let [cd, folder] = parsed.words.as_slice() else { return None };
    let inside = !folder.starts_with('/') && folder.split('/').all(|part| part != "..");
    (cd == "cd" && parsed.variables.is_empty() && inside)
        .then(|| (folder.trim_start_matches("./").trim_end_matches('/').to_owned(), rest.trim().to_owned()))
}

/// A word as a shell reads it back: quoted where it has to be.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./+@%,:=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The words, and whether a word's beginning was quoted.
fn split(command: &str) -> Option<Vec<(String, bool)>> {
    let mut words = Vec::new();
    let mut word: Option<(String, bool)> = None;
    let mut letters = command.trim().chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let (text, _) = word.get_or_insert((String::new(), true));
                loop {
                    match letters.next()? {
                        '\'' => break,
                        other => text.push(other),
                    }
                }
            }
            '"' => {
                let (text, _) = word.get_or_insert((String::new(), true));
                loop {
                    match letters.next()? {
                        '"' => break,
                        '$' | '`' => return None,
                        '\\' if matches!(letters.peek(), Some('"' | '\\' | '$' | '`')) => text.extend(letters.next()),
                        other => text.push(other),
                    }
                }
            }
            '\\' => {
                let next = letters.next().filter(|next| *next != '\n')?;
                word.get_or_insert((String::new(), true)).0.push(next);
            }
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '\n' | '*' | '{' | '}' => return None,
            '#' | '~' | '!' if word.is_none() => return None,
            other => word.get_or_insert((String::new(), false)).0.push(other),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_variables_are_read_as_a_shell_reads_them() {
        let of = |text: &str| simple(text).map(|parsed| (parsed.variables.len(), parsed.words));
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(of("pytest -k 'a or b'"), Some((0, words(&["pytest", "-k", "a or b"]))));
        assert_eq!(of("PYTHONPATH=. X='1 2' pytest --maxfail=1"), Some((2, words(&["pytest", "--maxfail=1"]))));
        assert_eq!(of(r#"a "b \" c" d\ e ''"#), Some((0, words(&["a", "b \" c", "d e", ""]))));
        assert_eq!(of("pytest a.py::test[x-1]"), Some((0, words(&["pytest", "a.py::test[x-1]"]))));
        for text in ["a | b", "a && b", "a; b", "echo $X", "a > b", "echo \"$X\"", "ls *.py", "'open", "# x", "", "A=1"]
        {
            assert_eq!(simple(text), None, "{text}");
        }
    }

    #[test]
    fn a_folder_in_front_is_told_apart() {
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(folder("cd web && npm test"), pair("web", "npm test"));
        assert_eq!(folder("cd 'my app'/ && a && b"), pair("my app", "a && b"));
        for text in ["cd .. && x", "cd /etc && x", "ls && x", "npm test", "cd a/../../b && x"] {
            assert_eq!(folder(text), None, "{text}");
        }
    }
}
