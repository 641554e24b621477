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

/// The words behind everything that only starts them.
pub(crate) fn without_wrappers<'a>(words: &'a [&'a str]) -> &'a [&'a str] {
    const WRAPPERS: [&str; 22] = [
        "if",
        "then",
        "else",
        "elif",
        "while",
        "until",
        "do",
        "!",
        "{",
        "time",
        "exec",
        "command",
        "nohup",
        "sudo",
        "env",
        "nice",
        "timeout",
        "npx",
        "cross-env",
        "nyc",
        "c8",
        "xvfb-run",
    ];
    let mut words = words;
    let mut is_behind_one = false;
    loop {
        words = match words {
            ["poetry" | "uv" | "pipenv" | "pdm" | "hatch" | "rye" | "coverage", "run", rest @ ..]
            | ["bundle", "exec", rest @ ..]
            | ["yarn" | "pnpm" | "npm", "exec" | "dlx", rest @ ..] => rest,
            [word, rest @ ..] if WRAPPERS.contains(word) => rest,
            // An option or a number of its own: `nice -n 5`, `timeout 60`.
            [word, rest @ ..] if is_behind_one && word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => rest,
            [word, rest @ ..] if word.split_once('=').is_some_and(|(name, _)| is_name(name)) => rest,
            all => return all,
        };
        is_behind_one = true;
    }
}

/// One command among several, as far as it can be told without running them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) words: Vec<String>,
    /// What it prints goes to the next one.
    pub(crate) is_piped: bool,
    /// It stands within another one's words, which get what it prints: `$(…)`, `` `…` ``, `<(…)`.
    pub(crate) is_inner: bool,
    /// The file that it prints to.
    pub(crate) output: Option<String>,
}

/// The commands in any text of a shell, one after the other, by their look: nothing is expanded, and what depends on more
/// than words stays as it is written.
pub(crate) fn parts(text: &str) -> Vec<Part> {
    let mut reader = Reader::of(text);
    reader.read();
    reader.parts
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    parts: Vec<Part>,
    part: Part,
    word: Option<String>,
    /// The next word is where it prints to; where it reads from.
    to: bool,
    from: bool,
}

impl<'a> Reader<'a> {
    fn of(text: &'a str) -> Self {
        let (parts, part) = (Vec::new(), Part::default());
        Self { rest: text.chars().peekable(), parts, part, word: None, to: false, from: false }
    }

    fn read(&mut self) {
        while let Some(letter) = self.rest.next() {
            match letter {
                ' ' | '\t' | '\r' => self.end_word(),
                '\n' | ';' | '&' | '(' | ')' => self.end_part(false),
                '|' => {
                    let is_or = self.rest.next_if_eq(&'|').is_some();
                    self.end_part(!is_or);
                }
                '#' if self.word.is_none() => while self.rest.next_if(|c| *c != '\n').is_some() {},
                '\'' => {
                    let quoted = self.until('\'');
                    self.put(&quoted);
                }
                '"' => self.double_quoted(),
                '`' | '$' if self.substitution(letter) => {}
                '\\' => {
                    if let Some(next) = self.rest.next().filter(|next| *next != '\n') {
                        self.put(&next.to_string());
                    }
                }
                '<' | '>' => self.redirect(letter),
                other => self.put(&other.to_string()),
            }
        }
        self.end_part(false);
    }

    fn put(&mut self, text: &str) {
        self.word.get_or_insert_default().push_str(text);
    }

    fn until(&mut self, end: char) -> String {
        self.rest.by_ref().take_while(|letter| *letter != end).collect()
    }

    fn within_parentheses(&mut self) -> String {
        let mut depth = 1;
        let ends = |letter: &char| {
            depth += i32::from(*letter == '(') - i32::from(*letter == ')');
            depth > 0
        };
        self.rest.by_ref().take_while(ends).collect()
    }

    /// Reads on where a letter begins another command within the words: `` `…` ``, `$(…)`.
    fn substitution(&mut self, letter: char) -> bool {
        let inner = match letter {
            '`' => self.until('`'),
            _ if self.rest.next_if_eq(&'(').is_some() => self.within_parentheses(),
            _ => return false,
        };
        self.inner(&inner);
        true
    }

    /// What stands within another command; the word that it stands in is no name.
    fn inner(&mut self, text: &str) {
        self.parts.extend(parts(text).into_iter().map(|part| Part { is_inner: true, ..part }));
        self.put("\0");
    }

    fn double_quoted(&mut self) {
        self.put("");
        while let Some(letter) = self.rest.next() {
            match letter {
                '"' => break,
                '\\' => {
                    if let Some(next) = self.rest.next() {
                        self.put(&next.to_string());
                    }
                }
                '`' | '$' if self.substitution(letter) => {}
                other => self.put(&other.to_string()),
            }
        }
    }

    fn redirect(&mut self, sign: char) {
        if self.rest.next_if_eq(&'(').is_some() {
            let inner = self.within_parentheses();
            self.inner(&inner);
            return;
        }
        // The number of a descriptor belongs to the sign.
        if self.word.as_ref().is_some_and(|word| word.chars().all(|c| c.is_ascii_digit())) {
            self.word = None;
        }
        self.end_word();
        while self.rest.next_if(|c| matches!(c, '<' | '>' | '&' | '|')).is_some() {}
        (self.to, self.from) = (sign == '>', sign == '<');
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        if self.to {
            self.part.output = Some(word).filter(|word| word.len() > 1 && !word.starts_with("/dev/"));
        } else if !self.from {
            self.part.words.push(word);
        }
        (self.to, self.from) = (false, false);
    }

    fn end_part(&mut self, is_piped: bool) {
        self.end_word();
        (self.to, self.from) = (false, false);
        let part = std::mem::take(&mut self.part);
        if !part.words.is_empty() {
            self.parts.push(Part { is_piped, ..part });
        }
    }
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

    #[test]
    fn commands_are_told_apart_by_their_look() {
        let of = |text: &str| -> Vec<String> {
            let shown = |part: &Part| {
                let marks = [(part.is_piped, "|"), (part.is_inner, "$")];
                let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
                format!("{}{marks}", part.words.join(" "))
            };
            parts(text).iter().map(shown).collect()
        };
        assert_eq!(of("cd a && ./b 'c d' 2>&1; e || f # g"), ["cd a", "./b c d", "e", "f"]);
        assert_eq!(of("a \"x y\" | b\\ c |& d"), ["a x y|", "b c|", "d"]);
        assert_eq!(of("[ \"$(a $(b))\" = 3 ]"), ["b$", "a \0$", "[ \0 = 3 ]"]);
        assert_eq!(of("diff <(a) b < c"), ["a$", "diff \0 b"]);
        assert_eq!(of("a `b` $C \"open"), ["b$", "a \0 $C open"]);
        assert_eq!(parts("a > out.txt")[0].output.as_deref(), Some("out.txt"));
        assert_eq!(parts("a > /dev/null 2>&1")[0].output, None);
        assert!(of("").is_empty() && of(" # x").is_empty());
    }
}
