//! Small projects of the shapes that real ones have, each with a right change (must be verified), a wrong one and a
//! cheating one (must not): `tests/data/projects/*.project`, in every tier that this machine can build. What needs a
//! tool that is not here is skipped visibly; what a tier does not have must be told by the wall's name.
//!
//! A `.project` file: `about:`, `check:`, `needs:`, `setup:` (a shell command, before any change; several) and `root:` (the
//! project is this folder of the files), then files (`--- path`) and the files of changes (`+++ change path`); `@ROOT@` is
//! the folder that they are laid out in. `scripts/bench-verify` reads the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use z1::cancel::Cancel;
use z1::sandbox::Sandbox;
use z1::task::{Edit, Tier, Verdict};
use z1::verify::{VerifyOptions, project};

use crate::project_file::{self, Part, ProjectFile};
use crate::sandbox::{run_async, sandbox};

type Files = BTreeMap<String, String>;

/// One project and its three changes.
#[derive(Default)]
struct Case {
    name: String,
    check: String,
    needs: Vec<String>,
    /// Shell commands that make of the files what cannot be written down, before any change.
    setup: Vec<String>,
    /// The folder within the files that is the project.
    root: String,
    files: Files,
    changes: BTreeMap<String, Files>,
}

fn case(file: ProjectFile) -> Case {
    let mut case = Case { name: file.name, ..Case::default() };
    for (key, value) in file.keys {
        match key.as_str() {
            "check" => case.check = value,
            "setup" => case.setup.push(value),
            "root" => case.root = value,
            "needs" => case.needs = value.split_whitespace().map(str::to_owned).collect(),
            _ => {}
        }
    }
    for Part { change, path, text } in file.parts {
        let files = if change.is_empty() { &mut case.files } else { case.changes.entry(change).or_default() };
        files.insert(path, text);
    }
    assert!(!case.check.is_empty() && case.changes.len() == 3, "{}", case.name);
    case
}

fn cases() -> Vec<Case> {
    project_file::all("projects").into_iter().map(case).collect()
}

/// How a tier and this machine fit what a project needs.
enum Fit {
    Whole,
    /// Something is not in this tier: a right change comes to no verdict, and the wall is named.
    Walled,
    /// Something is not on this machine.
    Lacking(String),
}

fn fit(case: &Case, tier: Tier) -> Fit {
    let lacking = case.needs.iter().find_map(|need| {
        let there = match need.as_str() {
            "loopback" | "accounts" | "own-path" => true,
            "root" => rustix::process::geteuid().is_root(),
            "asan" => compiles_with_sanitizer(),
            "xdist" => python_has("xdist"),
            "asyncio" => python_has("pytest_asyncio"),
            "venv" => python_has("venv") && (tier == Tier::F || python_can_be_reached()),
            tool => found(tool, tier),
        };
        (!there).then(|| need.clone())
    });
    match lacking {
        Some(need) => Fit::Lacking(need),
        None if tier == Tier::L && case.needs.iter().any(|need| WALLED_IN_L.contains(&need.as_str())) => Fit::Walled,
        None => Fit::Whole,
    }
}

/// What tier L has not (SECURITY.md: right work that the walls stop).
const WALLED_IN_L: [&str; 4] = ["loopback", "accounts", "own-path", "asan"];

/// Whether a tool is in PATH where the trial's user can get at it: root's own cannot be used in tiers B and L.
fn found(tool: &str, tier: Tier) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).filter(|folder| folder.join(tool).is_file());
    folders.any(|folder| tier == Tier::F || z1::sandbox::can_be_reached(&folder))
}

/// Whether the interpreter that an environment links to is where the trial's user can get at it.
fn python_can_be_reached() -> bool {
    let asked = Command::new("python3").args(["-c", "import sys; print(sys.base_prefix)"]).output();
    asked.is_ok_and(|said| z1::sandbox::can_be_reached(Path::new(String::from_utf8_lossy(&said.stdout).trim())))
}

fn python_has(module: &str) -> bool {
    succeeds(Command::new("python3").args(["-c", &format!("import {module}")]))
}

fn compiles_with_sanitizer() -> bool {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.c"), "int main(void) { return 0; }\n").unwrap();
    succeeds(Command::new("cc").args(["-fsanitize=address", "a.c", "-o", "a"]).current_dir(folder.path()))
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn lay(root: &Path, files: &Files) {
    use std::os::unix::fs::PermissionsExt;
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text.replace("@ROOT@", &root.to_string_lossy())).unwrap();
        if text.starts_with("#!") {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

/// How many of which changes were judged as they must be.
#[derive(Default)]
struct Tally {
    right: usize,
    wrong: usize,
    cheat: usize,
    told: usize,
    projects: usize,
}

/// Judges the three changes; what is not as it must be is a line.
fn hold(case: &Case, walled: bool, sandbox: &Sandbox, tally: &mut Tally) -> Vec<String> {
    let root = tempfile::Builder::new().prefix("z1 project ").tempdir().unwrap();
    lay(root.path(), &case.files);
    for command in &case.setup {
        let done = succeeds(Command::new("sh").args(["-ec", command]).current_dir(root.path()));
        assert!(done, "{}: `{command}` failed", case.name);
    }
    let folder = root.path().join(&case.root);
    let options = VerifyOptions::default();
    let mut wrong = Vec::new();
    for (change, files) in &case.changes {
        let edits: Vec<Edit> =
            files.iter().map(|(path, content)| Edit::Write { path: path.clone(), content: content.clone() }).collect();
        let verdict = run_async(project(&folder, &edits, Some(&case.check), sandbox, &options, &Cancel::new()));
        let (right, count) = match (change.as_str(), &verdict) {
            ("right", Verdict::NothingToCheck { why }) if walled => (names_a_wall(why), &mut tally.told),
            ("right", verdict) => (verdict.passed() && !walled, &mut tally.right),
            ("wrong", Verdict::NothingToCheck { why }) if walled => (names_a_wall(why), &mut tally.told),
            ("wrong", verdict) => (matches!(verdict, Verdict::Failed(_)), &mut tally.wrong),
            (_, verdict) => (!verdict.passed() && !matches!(verdict, Verdict::SandboxFailed { .. }), &mut tally.cheat),
        };
        *count += usize::from(right);
        if !right {
            wrong.push(format!("{} ({:?}), {change}: {verdict:?}", case.name, sandbox.tier()));
        }
    }
    let _ = Command::new("chmod").args(["-R", "u+rwX", "."]).current_dir(root.path()).status();
    wrong
}

/// Whether a sentence says which wall was in the way.
fn names_a_wall(why: &str) -> bool {
    why.contains("behind the walls") || why.contains("fail as before: ")
}

/// `Z1_PROJECT=name` judges the projects of that name alone, `Z1_TIER=F` that tier.
#[test]
fn right_changes_are_verified_and_wrong_and_cheating_ones_are_not() {
    let only = std::env::var("Z1_PROJECT").ok();
    let tier_only = std::env::var("Z1_TIER").ok();
    let cases = cases();
    assert!(cases.len() >= 30, "{}", cases.len());
    let mut wrong = Vec::new();
    for tier in [Tier::F, Tier::B, Tier::L] {
        if tier_only.as_ref().is_some_and(|only| *only != format!("{tier:?}")) {
            continue;
        }
        let Some(sandbox) = sandbox(tier) else { continue };
        let (mut tally, mut skipped) = (Tally::default(), 0);
        for case in cases.iter().filter(|case| only.as_ref().is_none_or(|only| case.name.contains(only.as_str()))) {
            let walled = match fit(case, tier) {
                Fit::Lacking(need) => {
                    println!("skipped: tier {tier:?}: {}: no {need}", case.name);
                    skipped += 1;
                    continue;
                }
                Fit::Walled => true,
                Fit::Whole => false,
            };
            tally.projects += 1;
            wrong.extend(hold(case, walled, &sandbox, &mut tally));
        }
        println!(
            "tier {tier:?}: {} projects: {} right verified, {} wrong refused, {} cheating refused, {} told by the wall's name; {skipped} projects skipped",
            tally.projects, tally.right, tally.wrong, tally.cheat, tally.told
        );
    }
    assert!(wrong.is_empty(), "{} of the verdicts are not as they must be:\n{}", wrong.len(), wrong.join("\n"));
}
