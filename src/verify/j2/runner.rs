//! Which runner a command is for, and how it is started so that it gives evidence. Pure.
//!
//! Not for: finding the command that a project is tested with (`detect.rs`).

use super::words::{self, Simple};

/// Where our own reporters lie in the work directory.
pub(crate) const OUR_DIR: &str = ".z1";

/// A test runner whose evidence can be read, or just a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Pytest,
    Unittest,
    Cargo,
    Go,
    Node,
    Jest,
    Vitest,
    Mocha,
    Ctest,
    /// A build tool that leaves JUnit's files.
    Junit,
    /// Only its exit code says anything.
    Shell,
}

impl Kind {
    /// The tests' evidence is what they print; else that may be cut without harm.
    pub(crate) const fn prints_evidence(self) -> bool {
        matches!(self, Self::Cargo | Self::Go | Self::Node)
    }

    /// The report file that the runner writes, by the end of its name.
    pub(crate) const fn report(self) -> Option<&'static str> {
        match self {
            Self::Jest | Self::Vitest | Self::Mocha => Some("report.json"),
            Self::Ctest | Self::Junit => Some("report.xml"),
            _ => None,
        }
    }
}

/// A runner and what the user gave it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Runner {
    pub(crate) kind: Kind,
    /// As a user would type it.
    pub(crate) command: String,
    /// Where it runs, relative to the project; empty for its root.
    pub(crate) folder: String,
    /// Set for the command.
    pub(crate) variables: Vec<(String, String)>,
    /// What starts the runner, for runners that are found by others (`npm test`, `npx jest`); for those in Python the
    /// interpreter, where the user names one by its path.
    pub(crate) via: Vec<String>,
    /// Arguments behind the runner's own.
    pub(crate) args: Vec<String>,
}

impl Runner {
    pub(crate) fn shell(command: &str) -> Self {
        Self {
            kind: Kind::Shell,
            command: command.to_owned(),
            folder: String::new(),
            variables: Vec::new(),
            via: Vec::new(),
            args: Vec::new(),
        }
    }

    /// The way from where it runs to the project's root: `../` for each folder.
    pub(crate) fn to_root(&self) -> String {
        self.folder.split('/').filter(|part| !part.is_empty()).map(|_| "../").collect()
    }
}

/// Reads a command. Known runners are started our way; anything else by the shell. `script` is the text of the
/// `test` script of the `package.json` in a folder of the project.
pub(crate) fn from_command(command: &str, script: &dyn Fn(&str) -> Option<String>) -> Runner {
    let (folder, rest) = words::folder(command).unwrap_or((String::new(), command.trim().to_owned()));
    let shell = Runner::shell(command);
    let Some(Simple { variables, words }) = words::simple(&rest) else { return shell };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words = without_environment_runner(&words);
    let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let (kind, via, used) = match words {
        ["npm" | "yarn" | "pnpm", "test" | "t"] | ["npm" | "yarn" | "pnpm", "run", "test"] => {
            let Some(kind) = script(&folder).as_deref().and_then(script_kind) else { return shell };
            (kind, own(words), words.len())
        }
        ["npx" | "pnpx" | "yarn" | "pnpm", rest @ ..] => {
            let rest = match (words[0], rest) {
                ("yarn" | "pnpm", ["exec" | "run", rest @ ..]) => rest,
                _ => rest,
            };
            let Some((kind, used)) = node_runner(rest) else { return shell };
            let used = words.len() - rest.len() + used;
            (kind, own(&words[..used]), used)
        }
        ["pytest" | "py.test", ..] => (Kind::Pytest, Vec::new(), 1),
        [script, ..] if beside_pytest(script).is_some() => {
            (Kind::Pytest, beside_pytest(script).into_iter().collect(), 1)
        }
        [python, "-m", "pytest", ..] if is_python(python) => (Kind::Pytest, named_python(python), 3),
        [python, "-m", "unittest", ..] if is_python(python) => (Kind::Unittest, named_python(python), 3),
        ["cargo", "test" | "t", ..] => (Kind::Cargo, own(&words[..1]), 2),
        ["cargo", toolchain, "test" | "t", ..] if toolchain.starts_with('+') => (Kind::Cargo, own(&words[..2]), 3),
        ["go", "test", ..] => (Kind::Go, Vec::new(), 2),
        ["node", "--test", ..] => (Kind::Node, Vec::new(), 2),
        ["ctest"] => (Kind::Ctest, Vec::new(), 1),
        ["mvn" | "./mvnw" | "gradle" | "./gradlew", ..] => (Kind::Junit, own(words), words.len()),
        rest => match node_runner(rest) {
            Some((kind, used)) => (kind, own(&rest[..used]), used),
            None => return shell,
        },
    };
    let args = own(&words[used..]);
    Runner { kind, command: command.to_owned(), folder, variables, via, args }
}

fn is_python(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    let named = name.strip_prefix("python").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'));
    named && (word == name || !word.starts_with('/'))
}

/// The interpreter that the user names by its path.
fn named_python(word: &str) -> Vec<String> {
    word.contains('/').then(|| word.to_owned()).into_iter().collect()
}

/// The interpreter beside an environment's own script, `.venv/bin/pytest`.
fn beside_pytest(word: &str) -> Option<String> {
    let (folder, name) = word.rsplit_once('/')?;
    (matches!(name, "pytest" | "py.test") && folder.ends_with("bin") && !word.starts_with('/'))
        .then(|| format!("{folder}/python"))
}

/// `poetry run pytest` and its like: which environment that is, is known, and nothing must be fetched or locked for it.
fn without_environment_runner<'a>(words: &'a [&'a str]) -> &'a [&'a str] {
    match words {
        ["poetry" | "uv" | "pipenv" | "pdm" | "hatch" | "rye", "run", rest @ ..] => match rest {
            ["pytest" | "py.test", ..] => rest,
            [python, "-m", "pytest" | "unittest", ..] if is_python(python) => rest,
            _ => words,
        },
        _ => words,
    }
}

fn node_runner(words: &[&str]) -> Option<(Kind, usize)> {
    match words {
        ["jest", ..] => Some((Kind::Jest, 1)),
        ["vitest", "run", ..] => Some((Kind::Vitest, 2)),
        ["vitest"] => Some((Kind::Vitest, 1)),
        ["vitest", first, ..] if first.starts_with('-') => Some((Kind::Vitest, 1)),
        ["mocha", ..] => Some((Kind::Mocha, 1)),
        _ => None,
    }
}

/// The runner that a script starts, where the script is that one command and arguments may be added to it.
fn script_kind(script: &str) -> Option<Kind> {
    let Simple { words, .. } = words::simple(script)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words = match words.as_slice() {
        ["npx", rest @ ..] => rest,
        ["cross-env", rest @ ..] => {
            let variables = rest.iter().take_while(|word| word.contains('=')).count();
            &rest[variables..]
        }
        all => all,
    };
    match words {
        // Behind a file an option of node's is an argument of the test's.
        ["node", "--test"] => Some(Kind::Node),
        words => node_runner(words).map(|(kind, _)| kind),
    }
}

/// How a runner's tool is called, and what is known of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tool {
    /// The interpreter, for runners in Python.
    pub(crate) program: String,
    pub(crate) has_xdist: bool,
    pub(crate) bash: bool,
}

/// The arguments that start the runner.
pub(crate) fn argv(runner: &Runner, tool: &Tool) -> Vec<String> {
    let ours = |name: &str| format!("{}{OUR_DIR}/{name}", runner.to_root());
    let mut argv: Vec<String> = Vec::new();
    let add = |argv: &mut Vec<String>, words: &[&str]| argv.extend(words.iter().map(|word| (*word).to_owned()));
    match runner.kind {
        Kind::Pytest => {
            add(&mut argv, &[&tool.program, "-B", &ours("z1_pytest.py"), "-q"]);
            argv.extend(runner.args.iter().cloned());
            if !runner.args.iter().any(|word| word == "--continue-on-collection-errors") {
                // A file that cannot be loaded says nothing of the others.
                add(&mut argv, &["--continue-on-collection-errors"]);
            }
            let off = |words: &[String]| words.windows(2).any(|pair| pair[0] == "-p" && pair[1] == "no:xdist");
            if tool.has_xdist && !off(&runner.args) && !runner.args.iter().any(|word| word == "-pno:xdist") {
                // The reporter is in this process and would not be in the workers.
                add(&mut argv, &["-n", "0"]);
            }
        }
        Kind::Unittest => {
            add(&mut argv, &[&tool.program, "-B", &ours("z1_unittest.py")]);
            argv.extend(runner.args.iter().cloned());
        }
        Kind::Cargo => {
            argv.clone_from(&runner.via);
            argv.push("test".to_owned());
            argv.extend(cargo_args(&runner.args));
        }
        Kind::Go => {
            add(&mut argv, &["go", "test"]);
            let has = |name: &str| runner.args.iter().any(|word| word == name || word.starts_with(&format!("{name}=")));
            argv.extend(["-json", "-count"].into_iter().filter(|name| !has(name)).map(|name| match name {
                "-count" => "-count=1".to_owned(),
                other => other.to_owned(),
            }));
            argv.extend(runner.args.iter().cloned());
            if runner.args.is_empty() {
                argv.push("./...".to_owned());
            }
        }
        Kind::Node if runner.via.is_empty() => {
            add(&mut argv, &["node", "--test", "--test-reporter=tap"]);
            argv.extend(runner.args.iter().cloned());
        }
        Kind::Node => {
            argv.clone_from(&runner.via);
            add(&mut argv, dashes(runner));
            argv.push("--test-reporter=tap".to_owned());
        }
        Kind::Jest | Kind::Vitest | Kind::Mocha => argv = with_report(runner, &ours("report.json")),
        Kind::Ctest => {
            let script = "cmake -S . -B .z1/build >/dev/null && cmake --build .z1/build >/dev/null \
                          && ctest --test-dir .z1/build --output-junit ../report.xml";
            add(&mut argv, &["sh", "-c", script]);
        }
        Kind::Junit => {
            // What the tool wrote anew is its report; what lay there before is not.
            let script = format!(
                "\"$@\"; code=$?; find . -name 'TEST-*.xml' -newer {0} -exec cat {{}} + > {1}; exit $code",
                ours(".keep"),
                ours("report.xml")
            );
            add(&mut argv, &["sh", "-c", &script, "sh"]);
            argv.extend(runner.via.iter().cloned());
        }
        Kind::Shell => add(&mut argv, &[if tool.bash { "bash" } else { "sh" }, "-c", &runner.command]),
    }
    argv
}

/// The arguments of a runner of node's that writes its report to a file.
fn with_report(runner: &Runner, report: &str) -> Vec<String> {
    let mut argv = runner.via.clone();
    if runner.kind == Kind::Vitest && runner.via == ["vitest"] {
        argv.push("run".to_owned());
    }
    argv.extend(dashes(runner).iter().map(|word| (*word).to_owned()));
    argv.extend(runner.args.iter().cloned());
    let (output, more): (String, &[&str]) = match runner.kind {
        Kind::Jest => (format!("--outputFile={report}"), &["--json", "--watchman=false", "--runInBand"]),
        Kind::Vitest => (format!("--outputFile={report}"), &["--reporter=json"]),
        _ => (format!("output={report}"), &["--reporter", "json", "--reporter-option"]),
    };
    argv.extend(more.iter().map(|word| (*word).to_owned()));
    argv.push(output);
    argv
}

/// npm takes what stands behind two dashes for the script's; the others take everything.
fn dashes(runner: &Runner) -> &'static [&'static str] {
    if runner.via.first().is_some_and(|word| word == "npm") { &["--"] } else { &[] }
}

/// The user's arguments of `cargo test`: what only changes how results look is left out, what lets them be read is
/// added where it is not there.
fn cargo_args(args: &[String]) -> Vec<String> {
    let at = args.iter().position(|word| word == "--").unwrap_or(args.len());
    let (own, tests) = args.split_at(at);
    let quiet = |word: &&String| !matches!(word.as_str(), "-q" | "--quiet" | "-v" | "--verbose" | "-vv");
    let mut all: Vec<String> = Vec::new();
    let frozen = own.iter().any(|word| word == "--offline" || word == "--frozen");
    if !frozen {
        all.push("--offline".to_owned());
    }
    if !own.iter().any(|word| word == "--no-fail-fast") {
        all.push("--no-fail-fast".to_owned());
    }
    all.extend(own.iter().filter(quiet).cloned());
    let looks = |word: &&String| {
        quiet(word)
            && !matches!(word.as_str(), "--nocapture" | "--no-capture" | "--show-output")
            && !word.starts_with("--format")
    };
    // The two dashes alone are no argument.
    let tests: Vec<String> = tests.iter().skip(1).filter(looks).cloned().collect();
    if !tests.is_empty() {
        all.push("--".to_owned());
        all.extend(tests);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: &str) -> Runner {
        from_command(command, &|_| None)
    }

    #[test]
    fn a_command_is_started_our_way_where_we_know_it() {
        for (command, kind) in [
            ("pytest -k fast tests", Kind::Pytest),
            ("pytest -k 'a or b'", Kind::Pytest),
            ("pytest --maxfail=1", Kind::Pytest),
            ("PYTHONPATH=. pytest", Kind::Pytest),
            ("poetry run pytest -x", Kind::Pytest),
            ("uv run python -m pytest", Kind::Pytest),
            (".venv/bin/python -m pytest", Kind::Pytest),
            ("python3.11 -m unittest tests.test_a", Kind::Unittest),
            ("cargo test --lib", Kind::Cargo),
            ("cargo +nightly test", Kind::Cargo),
            ("cargo test -- --test-threads=1", Kind::Cargo),
            ("npx vitest run", Kind::Vitest),
            ("yarn jest src", Kind::Jest),
            ("npx mocha", Kind::Mocha),
            ("cd web && npx jest", Kind::Jest),
        ] {
            assert_eq!(of(command).kind, kind, "{command}");
        }
        for command in
            ["make check", "pytest; echo ok", "pytest || true", "./run.sh", "uv run --extra x pytest", "npm test"]
        {
            assert_eq!(of(command), Runner::shell(command), "{command}");
        }
        assert_eq!(of("python3 -m unittest tests.test_a").args, ["tests.test_a"]);
        assert_eq!(of(".venv/bin/pytest -q").via, [".venv/bin/python"]);
        assert_eq!(of("./env/bin/python -m pytest").via, ["./env/bin/python"]);
        assert_eq!((of(".venv/bin/pytest -q").kind, of("tools/pytest").kind), (Kind::Pytest, Kind::Shell));
        assert_eq!(of("A=1 pytest x").variables, [("A".to_owned(), "1".to_owned())]);
        assert_eq!(
            (of("cd a/b && pytest").folder.as_str(), of("cd a/b && pytest").to_root().as_str()),
            ("a/b", "../../")
        );
    }

    #[test]
    fn npm_runs_its_own_scripts() {
        let with = |script: &'static str| from_command("npm test", &move |_| Some(script.to_owned()));
        for (script, kind) in [
            ("mocha", Kind::Mocha),
            ("jest --ci", Kind::Jest),
            ("cross-env A=1 jest", Kind::Jest),
            ("node --test", Kind::Node),
        ] {
            assert_eq!(with(script).kind, kind, "{script}");
        }
        for script in ["tsc && mocha", "node check.js", "node --test a.js", "jest | tee log"] {
            assert_eq!(with(script).kind, Kind::Shell, "{script}");
        }
        let argv = argv(&with("mocha"), &Tool::default());
        assert_eq!(argv[..4], ["npm", "test", "--", "--reporter"]);
    }

    #[test]
    fn what_is_added_is_added_once() {
        let cargo = |command: &str| argv(&of(command), &Tool::default()).join(" ");
        assert_eq!(cargo("cargo test"), "cargo test --offline --no-fail-fast");
        assert_eq!(cargo("cargo test --offline -q"), "cargo test --no-fail-fast --offline");
        assert_eq!(
            cargo("cargo test --no-fail-fast a -- -q --test-threads=1 --nocapture"),
            "cargo test --offline --no-fail-fast a -- --test-threads=1"
        );
        let tool = Tool { program: "python3".to_owned(), has_xdist: true, bash: false };
        let pytest = argv(&of("pytest -n 2"), &tool).join(" ");
        assert!(pytest.ends_with("-n 2 --continue-on-collection-errors -n 0"), "{pytest}");
        assert!(!argv(&of("pytest -p no:xdist"), &tool).join(" ").contains("-n 0"));
        assert_eq!(argv(&of("go test ./... -count=2"), &tool)[2], "-json");
        assert_eq!(argv(&of("vitest"), &tool)[..2], ["vitest", "run"]);
    }
}
