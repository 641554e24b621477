//! Which files decide because the check itself runs them: the script that a command names, what the recipe of a Makefile
//! or a script of npm's runs, the file that an output is compared with. A change of such a file is none of the code. Pure:
//! files are read by a function that is handed in.
//!
//! A program whose output is looked at by another one (`./calc 1 2 | grep 3`, `[ "$(./calc)" = 3 ]`) is what is tested.

use std::collections::BTreeSet;

use super::recipes;
use super::words::{Part, parts, without_wrappers};

/// The project, as far as commands are followed into it.
pub(crate) struct Files<'a> {
    /// The text of a file, by its relative path.
    pub(crate) read: &'a dyn Fn(&str) -> Option<String>,
    /// The folders in a folder.
    pub(crate) folders: &'a dyn Fn(&str) -> Vec<String>,
}

/// Commands followed from one to the next.
const STEPS_MAX: usize = 200;

const INTERPRETERS: [&str; 19] = [
    "sh", "bash", "dash", "zsh", "ksh", "ash", "node", "nodejs", "deno", "bun", "ruby", "perl", "php", "lua", "tsx",
    "ts-node", "Rscript", "tclsh", "expect",
];

/// Runners that are given files of tests.
const RUNNERS: [&str; 17] = [
    "pytest",
    "py.test",
    "unittest",
    "nose2",
    "mocha",
    "jest",
    "vitest",
    "ava",
    "tap",
    "tape",
    "uvu",
    "jasmine",
    "bats",
    "rspec",
    "phpunit",
    "shellspec",
    "prove",
];

/// Options of interpreters and runners whose value is loaded before anything else.
const LOADING: [&str; 10] = [
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "--config",
    "-c",
    "--setup-file",
    "--file",
    "--rcfile",
];

/// The files that the command runs or compares with, relative to the project.
pub(crate) fn by_check(command: &str, files: &Files<'_>) -> BTreeSet<String> {
    let mut walk = Walk { files, found: BTreeSet::new(), seen: BTreeSet::new() };
    walk.text("", command);
    walk.found
}

pub(super) struct Walk<'a> {
    pub(super) files: &'a Files<'a>,
    found: BTreeSet<String>,
    seen: BTreeSet<(String, String)>,
}

impl Walk<'_> {
    /// Follows a shell's text that runs in a folder.
    pub(super) fn text(&mut self, folder: &str, text: &str) {
        if self.seen.len() >= STEPS_MAX || !self.seen.insert((folder.to_owned(), text.to_owned())) {
            return;
        }
        let mut folder = folder.to_owned();
        let parts = parts(text);
        for (number, part) in parts.iter().enumerate() {
            let words: Vec<&str> = part.words.iter().map(String::as_str).collect();
            if let ["cd", to] = words[..] {
                folder = join(&folder, to).unwrap_or(folder);
            } else if !is_looked_at(&parts, number, text) {
                self.command(&folder, &words, number + 1 == parts.len());
            }
        }
    }

    fn command(&mut self, folder: &str, words: &[&str], is_last: bool) {
        let words = without_wrappers(words);
        let Some((first, rest)) = words.split_first() else { return };
        let name = first.rsplit('/').next().unwrap_or(first);
        match name {
            "." | "source" if is_last => self.first_file(folder, rest),
            "make" | "gmake" | "just" => self.recipe(folder, name == "just", rest),
            "npm" | "yarn" | "pnpm" => self.package_manager(folder, name, rest),
            "run-s" | "run-p" | "npm-run-all" => {
                rest.iter().filter(|word| !word.starts_with('-')).for_each(|script| self.script(folder, script));
            }
            "concurrently" => {
                for word in rest.iter().filter(|word| !word.starts_with('-')) {
                    match word.strip_prefix("npm:") {
                        Some(script) => self.script(folder, script),
                        None => self.text(folder, word),
                    }
                }
            }
            "diff" | "cmp" => {
                let there = rest.iter().filter_map(|word| join(folder, word)).filter(|path| self.is_there(path));
                if let [only] = &there.collect::<Vec<_>>()[..] {
                    self.found.insert(only.clone());
                }
            }
            _ if name.starts_with("python") || name.starts_with("pypy") => self.python(folder, rest),
            _ if RUNNERS.contains(&name) => self.runner(folder, rest),
            _ if INTERPRETERS.contains(&name) => self.interpreter(folder, name, rest),
            "go" if rest.first() == Some(&"run") => self.first_file(folder, &rest[1..]),
            _ if first.contains('/') => self.name(folder, first),
            _ => {}
        }
    }

    /// What a word names is part of the check, whether it is there yet or not.
    fn name(&mut self, folder: &str, word: &str) {
        if let Some(path) = join(folder, word) {
            self.found.insert(path);
        }
    }

    fn is_there(&self, path: &str) -> bool {
        (self.files.read)(path).is_some()
    }

    fn first_file(&mut self, folder: &str, words: &[&str]) {
        if let Some(word) = words.iter().find(|word| !word.starts_with('-')) {
            self.name(folder, word);
        }
    }

    fn python(&mut self, folder: &str, words: &[&str]) {
        match words {
            ["-m", "coverage", "run", rest @ ..] => self.python(folder, rest),
            ["-m", module, rest @ ..] if RUNNERS.contains(module) => self.runner(folder, rest),
            ["-m", "doctest", ..] | ["-c", ..] => {}
            ["-m", module, ..] => {
                let path = module.replace('.', "/");
                self.name(folder, &format!("{path}.py"));
                self.name(folder, &format!("{path}/__main__.py"));
            }
            ["-W" | "-X", _, rest @ ..] => self.python(folder, rest),
            [option, rest @ ..] if option.starts_with('-') => self.python(folder, rest),
            [file, ..] => self.name(folder, file),
            [] => {}
        }
    }

    /// Files that a runner is given are tests, however they are called; with doctests they are the code.
    fn runner(&mut self, folder: &str, words: &[&str]) {
        let is_of_code = words.iter().any(|word| word.contains("doctest"));
        for (number, word) in words.iter().enumerate() {
            let loads = |word: &str| LOADING.contains(&word);
            let value = word.split_once('=').filter(|(name, _)| loads(name)).map(|(_, value)| value);
            let is_loaded = value.is_some() || (number > 0 && loads(words[number - 1]));
            let file = value.unwrap_or(word).split("::").next().unwrap_or(word);
            if file.starts_with('-') || (is_of_code && !is_loaded) {
                continue;
            }
            let module = file.replace('.', "/");
            for file in [file.to_owned(), format!("{file}.js"), format!("{module}.py")] {
                if let Some(path) = join(folder, &file).filter(|path| self.is_there(path)) {
                    self.found.insert(path);
                }
            }
        }
    }

    fn interpreter(&mut self, folder: &str, name: &str, words: &[&str]) {
        let is_shell = name.ends_with("sh");
        let is_testing = words.contains(&"--test");
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "-c" if is_shell => {
                    if let Some(text) = words.next() {
                        self.text(folder, text);
                    }
                    return;
                }
                "-e" | "-p" | "--eval" | "--print" if !is_shell => return,
                "-o" if is_shell => drop(words.next()),
                "run" | "test" if matches!(name, "deno" | "bun") => {}
                option if LOADING.contains(&option) => {
                    if let Some(file) = words.next() {
                        self.module(folder, file);
                    }
                }
                option if option.starts_with('-') => {
                    let value = option.split_once('=').filter(|(option, _)| LOADING.contains(option));
                    if let Some((_, file)) = value {
                        self.module(folder, file);
                    }
                }
                file => {
                    self.module(folder, file);
                    if !is_testing {
                        return;
                    }
                }
            }
        }
    }

    /// A file as node names it, with its ending or without; what is not here is a package.
    fn module(&mut self, folder: &str, word: &str) {
        let ends = [".js", ".cjs", ".mjs", ".ts", "/index.js"];
        let whole = ends
            .iter()
            .map(|end| format!("{word}{end}"))
            .find(|file| join(folder, file).is_some_and(|path| self.is_there(&path)));
        self.name(folder, &whole.unwrap_or_else(|| word.to_owned()));
    }

    fn recipe(&mut self, folder: &str, is_just: bool, words: &[&str]) {
        let mut folder = folder.to_owned();
        let mut file = None;
        let mut targets: Vec<&str> = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "-C" => folder = words.next().and_then(|to| join(&folder, to)).unwrap_or(folder),
                "-f" | "--file" | "--justfile" => file = words.next().copied(),
                word if word.starts_with('-') || word.contains('=') => {}
                word => targets.push(word),
            }
        }
        if let Some(file) = file {
            self.name(&folder, file);
        }
        let names: &[&str] =
            if is_just { &["Justfile", "justfile", ".justfile"] } else { &["GNUmakefile", "makefile", "Makefile"] };
        let read = |name: &str| join(&folder, name).and_then(|path| (self.files.read)(&path));
        let text = file.map_or_else(|| names.iter().find_map(|name| read(name)), read);
        for line in text.map(|text| recipes::lines(&text, &targets, is_just)).unwrap_or_default() {
            self.text(&folder, &line);
        }
    }
}

/// Whether another program looks at what this one prints: then its own exit code decides nothing.
fn is_looked_at(parts: &[Part], number: usize, text: &str) -> bool {
    let part = &parts[number];
    let passes_on = parts.get(number + 1).and_then(|next| next.words.first()).is_some_and(|w| w == "tee" || w == "cat");
    let kept = part.output.as_ref().is_some_and(|file| text.matches(file.as_str()).count() > 1);
    part.is_inner || kept || (part.is_piped && !passes_on)
}

/// A path from a folder of the project, without `.` and `..`; none where it leads out of it or is no path.
pub(super) fn join(folder: &str, word: &str) -> Option<String> {
    let mut steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    if word.starts_with('/') || word.contains(['$', '*', '?', '\0', '\n']) {
        return None;
    }
    for step in word.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()?),
            step => steps.push(step),
        }
    }
    Some(steps.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: [(&str, &str); 12] = [
        ("check.sh", "x"),
        ("lib.sh", "x"),
        ("calc.py", "x"),
        ("runtests.py", "x"),
        ("expected.out", "x"),
        ("checks/sums.js", "x"),
        (
            "Makefile",
            "RUN = ./scripts/check\nall: app\napp: app.c gen.py\n\tpython3 gen.py\n\tcc app.c -o app\ntest: app check-lib\n\t@$(RUN) -v\ncheck-lib:\n\t-cd sub && bash ./lib-check.sh\n",
        ),
        ("Justfile", "test:\n    bash ./just-check.sh\n"),
        (
            "package.json",
            "{\"workspaces\":[\"packages/*\"],\"scripts\":{\"test\":\"npm run unit && run-s lint:*\",\"unit\":\"node -r ./hook checks/sums.js\",\"lint:a\":\"sh lint.sh\",\"pretest\":\"./prepare\",\"start\":\"node app.js\"}}",
        ),
        ("hook.js", "x"),
        ("packages/web/package.json", "{\"scripts\":{\"test\":\"node check.js\"}}"),
        ("packages/web/check.js", "x"),
    ];

    fn named(command: &str) -> Vec<String> {
        let read = |path: &str| PROJECT.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        let folders = |path: &str| if path == "packages" { vec!["web".to_owned()] } else { Vec::new() };
        by_check(command, &Files { read: &read, folders: &folders }).into_iter().collect()
    }

    #[test]
    fn what_the_command_runs_decides() {
        for (command, files) in [
            ("./check.sh", &["check.sh"][..]),
            ("bash check.sh", &["check.sh"]),
            ("bash -e ./check.sh -v", &["check.sh"]),
            ("A=1 timeout 5 sh check.sh", &["check.sh"]),
            ("sh -c 'cd sub && ./inner'", &["sub/inner"]),
            ("python3 runtests.py --fast", &["runtests.py"]),
            ("uv run python -m tools.check", &["tools/check.py", "tools/check/__main__.py"]),
            ("cc app.c -o /tmp/app && /tmp/app", &[]),
            ("cargo test", &[]),
            ("pytest", &[]),
            ("pytest calc.py::test", &["calc.py"]),
            ("pytest --doctest-modules calc.py", &[]),
            ("mocha --require ./hook.js checks/sums.js", &["checks/sums.js", "hook.js"]),
            ("./not-there-yet", &["not-there-yet"]),
            ("set -o pipefail; ./check.sh 2>&1 | tee log", &["check.sh"]),
            ("test -f new.txt", &[]),
            ("grep -q word README.md", &[]),
        ] {
            assert_eq!(named(command), files, "{command}");
        }
    }

    #[test]
    fn a_program_whose_output_is_looked_at_is_what_is_tested() {
        for (command, files) in [
            ("python3 calc.py | grep -qx 3", &[][..]),
            ("[ \"$(python3 calc.py 1 2)\" = 3 ]", &[]),
            ("test `./calc.py` = 3", &[]),
            ("python3 calc.py > out.txt && diff out.txt expected.out", &["expected.out"]),
            ("diff <(python3 calc.py) expected.out", &["expected.out"]),
            ("diff calc.py lib.sh", &[]),
            (". ./lib.sh && [ \"$(add 1 2)\" = 3 ]", &[]),
        ] {
            assert_eq!(named(command), files, "{command}");
        }
    }

    #[test]
    fn recipes_and_scripts_are_followed() {
        for (command, files) in [
            ("make test", &["scripts/check", "sub/lib-check.sh"][..]),
            ("make", &["gen.py"][..0]),
            ("just test", &["just-check.sh"]),
            ("npm test", &["checks/sums.js", "hook.js", "lint.sh", "prepare"]),
            ("npm run unit", &["checks/sums.js", "hook.js"]),
            (
                "npm test --workspaces --if-present",
                &["checks/sums.js", "hook.js", "lint.sh", "packages/web/check.js", "prepare"],
            ),
            ("cd packages/web && npm test", &["packages/web/check.js"]),
        ] {
            assert_eq!(named(command), files, "{command}");
        }
    }
}
