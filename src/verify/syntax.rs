//! Does a changed file parse: asked of the language's own tool, behind the walls, where a linked grammar stumbles.
//!
//! A grammar that does not know a construct is no proof of anything: it only says which files are worth asking about
//! ([`Suspect`]). Where the tool is not there the suspicion stays what it is. Nothing here outweighs a check that passed.
//!
//! Not for: whole programs without a project (`smoke.rs`, which runs them).

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use crate::cancel::Cancel;
use crate::repo_map::syntax;
use crate::sandbox::{End, Limits, Outcome, Policy, Request, Sandbox, Workspace};
use crate::task::{Failure, FailureKind, Report, Verdict};

use super::toolbox::{self, Toolbox};
use super::{VerifyOptions, feedback, setting};

/// Files of one change that are asked about.
const SUSPECTS_MAX: usize = 8;
/// A tool that takes longer to read one file has no opinion.
const TOOL_WALL: Duration = Duration::from_secs(30);

/// A changed file in which a linked grammar finds more that it does not know than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Relative to the project, with `/`.
    pub path: String,
    pub before: Option<String>,
    pub after: String,
    /// Where the grammar stumbles first.
    pub place: syntax::Place,
}

impl Suspect {
    /// The file as a suspect, where it is one. A template's placeholders are no language's.
    pub fn of(path: &str, before: Option<&str>, after: &str) -> Option<Self> {
        let place = syntax::worsened(path, before, after).filter(|_| !path.contains("{{"))?;
        Some(Self { path: path.to_owned(), before: before.map(str::to_owned), after: after.to_owned(), place })
    }
}

/// What the language's own tool says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// The tool (named) reads it without an error.
    Parses(String),
    Broken {
        /// As a user would type it.
        command: String,
        /// The tool's own words, with the line.
        said: String,
    },
    /// There is no such tool here, or what it says is about something else (a header that is not there, a dialect that
    /// it does not speak, which the file was in before as well).
    None,
}

/// Asks the language's own tool about a suspect.
pub async fn opinion(
    root: &Path,
    suspect: &Suspect,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Opinion {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let mut tools = toolbox::of(&root);
    if sandbox.tier() != crate::task::Tier::F {
        tools.keep_reachable(&root);
    }
    let Some(asks) = asks(&root, &suspect.path, &tools) else { return Opinion::None };
    let walls = Walls { root: &root, tools: &tools, sandbox, options, cancel };
    let mut broken = Opinion::None;
    for ask in &asks {
        match walls.answer(ask, &suspect.path, &suspect.after).await {
            Opinion::Broken { .. } if walls.was_broken(ask, suspect).await => return Opinion::None,
            found @ Opinion::Broken { .. } => broken = found,
            other => return other,
        }
    }
    broken
}

/// Asks about every suspect of a change and lays what is found upon a verdict. A check that passed stands; one that
/// failed is told why, where it is this; where nothing was checked, a file that does not parse is a failure.
pub(super) async fn judged(
    root: &Path,
    suspects: &[Suspect],
    verdict: Verdict,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Verdict {
    if matches!(verdict, Verdict::Passed(_) | Verdict::SandboxFailed { .. }) || knows_already(&verdict) {
        return verdict;
    }
    let mut found = Vec::new();
    for suspect in suspects.iter().take(SUSPECTS_MAX) {
        if cancel.is_cancelled() {
            return verdict;
        }
        found.push((suspect, opinion(root, suspect, sandbox, options, cancel).await));
    }
    laid(verdict, &found, sandbox.tier())
}

fn knows_already(verdict: &Verdict) -> bool {
    verdict.report().is_some_and(|report| report.failures.iter().any(|failure| failure.kind == FailureKind::Syntax))
}

/// A verdict with what was found about its files. Pure.
fn laid(verdict: Verdict, found: &[(&Suspect, Opinion)], tier: crate::task::Tier) -> Verdict {
    let failures: Vec<Failure> = found
        .iter()
        .filter_map(|(suspect, opinion)| {
            let Opinion::Broken { command, said } = opinion else { return None };
            let name = format!("{} does not parse ({command})", suspect.path);
            Some(Failure { kind: FailureKind::Syntax, name, got: said.clone(), expected: None, frame: None })
        })
        .collect();
    match verdict {
        Verdict::Failed(mut report) if !failures.is_empty() => {
            report.failed += failures.len() as u32;
            report.failures.splice(0..0, failures);
            Verdict::Failed(report)
        }
        Verdict::NothingToCheck { .. } if !failures.is_empty() => {
            let first = found.iter().find_map(|(_, opinion)| match opinion {
                Opinion::Broken { command, .. } => Some(command.clone()),
                _ => None,
            });
            Verdict::Failed(Report {
                command: first.unwrap_or_default(),
                passed: 0,
                failed: failures.len() as u32,
                failures,
                tier,
                wall_ms: 0,
                flags: Vec::new(),
            })
        }
        Verdict::NothingToCheck { why } => {
            let notes: Vec<String> = found.iter().filter_map(|(suspect, opinion)| note(suspect, opinion)).collect();
            Verdict::NothingToCheck { why: if notes.is_empty() { why } else { format!("{why}; {}", notes.join("; ")) } }
        }
        other => other,
    }
}

/// What is to be known of a suspect that is not known to be broken.
fn note(suspect: &Suspect, opinion: &Opinion) -> Option<String> {
    match opinion {
        Opinion::Parses(tool) => Some(format!("{tool} reads {} without an error", suspect.path)),
        Opinion::Broken { .. } => None,
        Opinion::None => Some(format!(
            "{}, line {}, is not known to the linked grammar, and there is no tool here to ask ({})",
            suspect.path, suspect.place.line, suspect.place.what
        )),
    }
}

/// One way to ask a tool.
#[derive(Clone, Debug)]
struct Ask {
    /// As a user would type it, without the file.
    shown: String,
    argv: Vec<String>,
    /// The file lies in the project (which has headers, or the tool); else it lies alone, under this name.
    alone_as: Option<String>,
    env: Vec<(&'static str, &'static str)>,
    broken: fn(&str) -> bool,
}

/// How the tool for a file is asked; where there are several, one that reads it is enough. `None` without a tool.
fn asks(root: &Path, path: &str, tools: &Toolbox) -> Option<Vec<Ask>> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (stem, ending) = name.rsplit_once('.')?;
    let has = |tool: &str| tools.find(tool).is_some();
    let alone = |name: String, shown: &str, argv: &[&str], broken: fn(&str) -> bool| Ask {
        shown: shown.to_owned(),
        argv: argv.iter().map(|word| (*word).to_owned()).chain([name.clone()]).collect(),
        alone_as: Some(name),
        env: Vec::new(),
        broken,
    };
    Some(match ending {
        "py" | "pyi" | "pyw" => {
            let python = ["python3", "python"].into_iter().find(|name| has(name))?;
            let script = "import sys; compile(open(sys.argv[1], 'rb').read(), sys.argv[1], 'exec', 0, True)";
            let shown = format!("{python} -m py_compile");
            vec![alone(name.to_owned(), &shown, &[python, "-I", "-B", "-c", script], python_is_broken)]
        }
        // Which of the two kinds of module a file is, the project decides.
        "js" | "mjs" | "cjs" if has("node") => {
            let kinds: &[&str] = if ending == "js" { &["mjs", "cjs"] } else { &[ending] };
            let ask =
                |kind: &&str| alone(format!("{stem}.{kind}"), "node --check", &["node", "--check"], node_is_broken);
            kinds.iter().map(ask).collect()
        }
        "rs" if has("rustc") => {
            let edition = edition(root, path);
            let argv = ["rustc", "-Zunpretty=normal", "--crate-type", "lib", "--edition", &edition];
            // Nothing but the parser is wanted, which a stable compiler gives on this word alone.
            let ask = alone(name.to_owned(), "rustc", &argv, rustc_is_broken);
            vec![Ask { env: vec![("RUSTC_BOOTSTRAP", "1")], ..ask }]
        }
        "go" if has("gofmt") => vec![alone(name.to_owned(), "gofmt -e", &["gofmt", "-e", "-l"], gofmt_is_broken)],
        "java" if has("javac") => {
            let argv =
                ["javac", "-XDshould-stop.ifError=PARSE", "-XDshould-stop.ifNoError=PARSE", "-proc:none", "-d", "."];
            vec![alone(name.to_owned(), "javac", &argv, javac_is_broken)]
        }
        "sh" | "bash" if has("bash") => vec![alone(name.to_owned(), "bash -n", &["bash", "-n"], bash_is_broken)],
        "c" => vec![c_family(path, tools, &["cc", "gcc", "clang"], "gnu2x")?],
        "cc" | "cpp" | "cxx" => vec![c_family(path, tools, &["c++", "g++", "clang++"], "gnu++23")?],
        "ts" | "mts" | "cts" | "tsx" => vec![typescript(root, path)?],
        _ => return None,
    })
}

/// A compiler of C or C++, in the project: headers beside the file and in the usual folders are found.
fn c_family(path: &str, tools: &Toolbox, names: &[&str], standard: &str) -> Option<Ask> {
    let tool = names.iter().find(|name| tools.find(name).is_some())?;
    let mut argv = vec![(*tool).to_owned(), "-fsyntax-only".to_owned(), "-w".to_owned(), format!("-std={standard}")];
    argv.extend([".", "include", "src"].map(|folder| format!("-I{folder}")));
    argv.push(path.to_owned());
    Some(Ask {
        shown: format!("{tool} -fsyntax-only"),
        argv,
        alone_as: None,
        env: vec![("LC_ALL", "C.UTF-8")],
        broken: compiler_is_broken,
    })
}

/// The project's own TypeScript, where it is installed.
fn typescript(root: &Path, path: &str) -> Option<Ask> {
    let folder = Path::new(path).ancestors().skip(1).find(|above| root.join(above).join(TSC).is_file())?;
    let tsc = folder.join(TSC).to_string_lossy().into_owned();
    let words =
        ["--noEmit", "--noResolve", "--isolatedModules", "--skipLibCheck", "--target", "esnext", "--jsx", "preserve"];
    let argv = std::iter::once(tsc).chain(words.map(str::to_owned)).chain([path.to_owned()]).collect();
    Some(Ask { shown: "tsc --noEmit".to_owned(), argv, alone_as: None, env: Vec::new(), broken: tsc_is_broken })
}

const TSC: &str = "node_modules/.bin/tsc";

/// The edition of the crate that a file is part of; the newest for a file of none.
fn edition(root: &Path, path: &str) -> String {
    static EDITION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(?m)^\s*edition\s*=\s*"(\d{4})""#).expect("invariant: a valid pattern"));
    let manifests = Path::new(path)
        .ancestors()
        .skip(1)
        .filter_map(|folder| std::fs::read_to_string(root.join(folder).join("Cargo.toml")).ok());
    let mut is_of_a_crate = false;
    for text in manifests {
        is_of_a_crate = true;
        if let Some(found) = EDITION.captures(&text) {
            return found[1].to_owned();
        }
    }
    if is_of_a_crate { "2015".to_owned() } else { "2024".to_owned() }
}

fn python_is_broken(said: &str) -> bool {
    ["SyntaxError", "IndentationError", "TabError"].iter().any(|word| said.contains(word))
}

/// What is no JavaScript but markup within it, node cannot judge.
fn node_is_broken(said: &str) -> bool {
    said.contains("SyntaxError") && !said.contains("Unexpected token '<'")
}

fn rustc_is_broken(said: &str) -> bool {
    said.contains("error:") && !said.contains("unknown unstable option") && !said.contains("couldn't read")
}

fn gofmt_is_broken(said: &str) -> bool {
    static PLACE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\.go:\d+:\d+: ").expect("invariant: a valid pattern"));
    PLACE.is_match(said)
}

/// What this version knows and has not switched on is not broken.
fn javac_is_broken(said: &str) -> bool {
    let newer = ["preview feature", "is not supported in -source", "are not supported in -source"];
    said.contains(": error:") && !newer.iter().any(|word| said.contains(word))
}

fn bash_is_broken(said: &str) -> bool {
    said.contains("syntax error") || said.contains("unexpected EOF")
}

fn tsc_is_broken(said: &str) -> bool {
    static SYNTAX: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"error TS1\d{3}:").expect("invariant: a valid pattern"));
    SYNTAX.is_match(said)
}

/// An error of the parser's in a file whose headers were all found.
fn compiler_is_broken(said: &str) -> bool {
    const PARSER: [&str; 7] =
        ["expected ", "stray ", "unterminated ", "missing terminating", "unbalanced ", "#endif without", "extraneous "];
    let lost = ["No such file", "file not found", "unrecognized command", "invalid value"];
    let first = said.lines().find_map(|line| line.split_once("error: ").map(|(_, error)| error));
    !lost.iter().any(|word| said.contains(word))
        && first.is_some_and(|error| PARSER.iter().any(|word| error.starts_with(word)))
}

struct Walls<'a> {
    root: &'a Path,
    tools: &'a Toolbox,
    sandbox: &'a Sandbox,
    options: &'a VerifyOptions,
    cancel: &'a Cancel,
}

impl Walls<'_> {
    async fn answer(&self, ask: &Ask, path: &str, text: &str) -> Opinion {
        let outcome = self.run(ask, path, text).await;
        let said = format!("{}\n{}", outcome.stderr.text(), outcome.stdout.text());
        match outcome.end {
            End::Exit(0) => Opinion::Parses(ask.shown.clone()),
            End::Exit(_) if (ask.broken)(&said) => {
                let file = ask.alone_as.as_deref().unwrap_or(path);
                let work_dir = format!("{}/", outcome.work_dir.display());
                let said = first_error(&said.replace(&work_dir, "")).replace(file, path);
                Opinion::Broken { command: format!("{} {path}", ask.shown), said }
            }
            _ => Opinion::None,
        }
    }

    /// Whether the file was none of the tool's language before the change either.
    async fn was_broken(&self, ask: &Ask, suspect: &Suspect) -> bool {
        let Some(before) = &suspect.before else { return false };
        matches!(self.answer(ask, &suspect.path, before).await, Opinion::Broken { .. })
    }

    async fn run(&self, ask: &Ask, path: &str, text: &str) -> Outcome {
        let workspace = match &ask.alone_as {
            Some(name) => Workspace::Files(vec![setting::file(name, text.as_bytes())]),
            None => {
                let extra = vec![setting::file(PathBuf::from(path), text.as_bytes())];
                Workspace::Overlay { lower: self.root.to_owned(), extra }
            }
        };
        let project = &self.options.project_limits;
        let mut policy = Policy::strict(workspace, Limits { wall: project.wall.min(TOOL_WALL), ..project.clone() });
        policy.min_tier = self.options.min_tier;
        self.tools.open(&mut policy);
        policy.env.extend(ask.env.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        self.sandbox.run(&policy, Request::new(ask.argv.iter()), self.cancel).await
    }
}

/// The tool's first error with what it says around it.
fn first_error(said: &str) -> String {
    const LINES_MAX: usize = 6;
    let cleaned = feedback::clean(said);
    let lines: Vec<&str> = cleaned.lines().filter(|line| !line.trim().is_empty()).collect();
    let is_place = |line: &&str| line.contains("error") || line.contains("line ") || line.contains("Error");
    // Python says the place first and the error last; the others begin with both.
    let from = lines.iter().position(is_place).unwrap_or(0);
    lines[from..].iter().take(LINES_MAX).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Tier;

    fn suspect() -> Suspect {
        Suspect::of("a.py", Some("x = 1\n"), "x = (\n").expect("the grammar stumbles")
    }

    fn broken() -> Opinion {
        Opinion::Broken { command: "python3 -m py_compile a.py".to_owned(), said: "SyntaxError".to_owned() }
    }

    fn report() -> Report {
        Report { command: "c".into(), passed: 1, failed: 0, failures: vec![], tier: Tier::F, wall_ms: 1, flags: vec![] }
    }

    fn nothing() -> Verdict {
        Verdict::NothingToCheck { why: "no test command".to_owned() }
    }

    #[test]
    fn only_what_got_worse_is_suspected() {
        assert!(Suspect::of("a.py", None, "def f(:\n").is_some());
        assert!(Suspect::of("a.py", Some("def f(:\n"), "def f(:\n    pass\n").is_none());
        assert!(Suspect::of("a.py", None, "x = 1\n").is_none() && Suspect::of("a.txt", None, "(((").is_none());
        assert!(Suspect::of("{{cookiecutter.name}}/a.py", None, "{{ x }} = (\n").is_none());
    }

    #[test]
    fn a_tool_s_word_fails_what_nothing_checked_and_never_what_passed() {
        let suspect = suspect();
        let of = |verdict, opinion| laid(verdict, &[(&suspect, opinion)], Tier::F);
        let failed = of(nothing(), broken());
        assert_eq!(failed.report().unwrap().failures[0].kind, FailureKind::Syntax);
        assert!(of(Verdict::Passed(report()), broken()).passed());
        let told = of(nothing(), Opinion::Parses("python3".to_owned()));
        assert!(matches!(&told, Verdict::NothingToCheck { why } if why.contains("python3 reads a.py")), "{told:?}");
        let told = of(nothing(), Opinion::None);
        assert!(
            matches!(&told, Verdict::NothingToCheck { why } if why.contains("not known to the linked")),
            "{told:?}"
        );
        let Verdict::Failed(both) = of(Verdict::Failed(Report { failed: 1, ..report() }), broken()) else { panic!() };
        assert_eq!((both.failed, both.failures.len()), (2, 1));
    }

    #[test]
    fn words_of_tools_are_told_apart() {
        assert!(
            python_is_broken("  File \"a.py\", line 1\nSyntaxError: invalid syntax")
                && !python_is_broken("MemoryError")
        );
        assert!(node_is_broken("SyntaxError: missing )") && !node_is_broken("SyntaxError: Unexpected token '<'"));
        assert!(rustc_is_broken("error: expected one of") && !rustc_is_broken("error: unknown unstable option: `x`"));
        assert!(gofmt_is_broken("a.go:3:1: expected declaration") && !gofmt_is_broken("open a.go: permission denied"));
        assert!(javac_is_broken("A.java:1: error: ';' expected"));
        assert!(!javac_is_broken("A.java:1: error: unnamed classes are a preview feature"));
        assert!(compiler_is_broken("a.c:1:8: error: expected ';' before 'x'"));
        for said in ["a.c:1:10: fatal error: x.h: No such file or directory", "a.c:1:1: error: unknown type name 'X'"] {
            assert!(!compiler_is_broken(said), "{said}");
        }
        assert!(tsc_is_broken("a.ts(1,2): error TS1005: ';' expected.") && !tsc_is_broken("error TS2304: no name"));
    }

    #[test]
    fn a_file_s_edition_is_its_crate_s() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(edition(dir.path(), "src/a.rs"), "2024");
        std::fs::create_dir_all(dir.path().join("part")).unwrap();
        std::fs::write(dir.path().join("Cargo.toml"), "[workspace.package]\nedition = \"2021\"\n").unwrap();
        std::fs::write(dir.path().join("part/Cargo.toml"), "[package]\nedition.workspace = true\n").unwrap();
        assert_eq!(edition(dir.path(), "part/src/a.rs"), "2021");
    }
}
