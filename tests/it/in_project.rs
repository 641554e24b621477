//! The real binary in a project, with a scripted model and real walls: what a script would do with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::cli::{Home, Ran};
use crate::project::{RIGHT_AT_ONCE, copy};

/// A git repository with the broken example in it.
struct Shop {
    home: Home,
    root: PathBuf,
}

impl Shop {
    fn new() -> Self {
        let home = Home::new();
        let root = home.path().join("shop");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/shop"), &root);
        let shop = Self { home, root };
        shop.git(&["init", "--quiet"]);
        shop.git(&["add", "."]);
        shop.git(&["commit", "--quiet", "-m", "As it was"]);
        shop
    }

    fn git(&self, arguments: &[&str]) -> String {
        let who = ["-c", "user.name=A Person", "-c", "user.email=person@example.org"];
        let output = Command::new("git").args(who).args(arguments).current_dir(&self.root).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn run(&self, more: &[&str]) -> Ran {
        let model = self.home.script(&[json!({"text": RIGHT_AT_ONCE})]);
        let root = self.root.to_string_lossy().into_owned();
        let arguments = ["-p", "--model", &model, "-C", &root].into_iter().chain(more.iter().copied());
        self.home.run(&arguments.collect::<Vec<_>>())
    }

    fn source(&self) -> String {
        std::fs::read_to_string(self.root.join("shop.py")).unwrap()
    }
}

/// Whether the run could judge at all; says so where it could not.
fn judged(ran: &Ran) -> bool {
    let judged = !ran.err.contains("unverified");
    if !judged {
        eprintln!("skipped: no walls or no python3 here");
    }
    judged
}

#[test]
fn a_change_is_committed_alone_and_without_hooks() {
    let shop = Shop::new();
    // A hook would run the project's code outside the walls; what the user has staged is not this change's.
    let hook = shop.root.join(".git/hooks/pre-commit");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\ntouch hooked\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    shop.git(&["config", "user.name", "A Person"]);
    shop.git(&["config", "user.email", "person@example.org"]);
    std::fs::write(shop.root.join("notes.txt"), "mine\n").unwrap();
    shop.git(&["add", "notes.txt"]);
    let ran = shop.run(&["--yes", "--commit", "make the tests pass"]);
    if !judged(&ran) {
        return;
    }
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(shop.source().contains("price - price * percent"));
    assert_eq!(shop.git(&["log", "--format=%s"]), "make the tests pass\nAs it was\n");
    assert_eq!(shop.git(&["show", "--format=", "--name-only", "HEAD"]), "shop.py\n");
    assert_eq!(shop.git(&["status", "--porcelain"]), "A  notes.txt\n");
    assert!(!shop.root.join("hooked").exists());
}

#[test]
fn a_commit_that_cannot_be_made_is_said_and_the_change_stays() {
    let shop = Shop::new();
    std::fs::write(shop.root.join(".git/index.lock"), "").unwrap();
    let ran = shop.run(&["--yes", "--commit", "make the tests pass"]);
    if !judged(&ran) {
        return;
    }
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("not committed: "), "{ran:?}");
    assert!(shop.source().contains("price - price * percent"));
}

#[test]
fn a_dry_run_writes_nothing_and_its_answer_applies() {
    let shop = Shop::new();
    let before = shop.source();
    let ran = shop.run(&["--dry-run", "make the tests pass"]);
    if !judged(&ran) {
        return;
    }
    assert_eq!((ran.code, shop.source()), (Some(0), before), "{ran:?}");
    let diff = shop.home.write("change.diff", &ran.out);
    shop.git(&["apply", "--check", &diff.to_string_lossy()]);
}

#[test]
fn what_was_written_is_taken_back_from_any_folder_below() {
    let shop = Shop::new();
    let before = shop.source();
    let ran = shop.run(&["--yes", "make the tests pass"]);
    if !judged(&ran) {
        return;
    }
    assert_ne!(shop.source(), before);
    let below = shop.root.join("below");
    std::fs::create_dir(&below).unwrap();
    let undo = crate::cli::finish(shop.home.command(&["undo"]).current_dir(&below).spawn().unwrap());
    assert_eq!((undo.code, shop.source()), (Some(0), before), "{undo:?}");
    let again = crate::cli::finish(shop.home.command(&["undo"]).current_dir(&below).spawn().unwrap());
    assert_ne!(again.code, Some(0), "{again:?}");
}

#[test]
fn a_change_that_was_cut_off_is_said_at_the_next_start() {
    let shop = Shop::new();
    let root = shop.root.to_string_lossy().into_owned();
    let reply = shop.home.write("reply.md", "notes.txt\n```\nhalf\n```\n\nmore.txt\n```\nnot yet\n```\n");
    let applied = shop.home.run(&["apply", "--write", "--root", &root, &reply.to_string_lossy()]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    // As if the program had died after its first file.
    std::fs::remove_file(shop.root.join("more.txt")).unwrap();
    let mut folders = vec![shop.home.path().join("z1")];
    let mut step = None;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
            match path.file_name().and_then(|name| name.to_str()) {
                Some("000001.json") => step = Some(path),
                _ if path.is_dir() => folders.push(path),
                _ => {}
            }
        }
    }
    let step = step.unwrap();
    std::fs::rename(&step, step.with_extension("unfinished")).unwrap();
    let told = "was cut off while it was being written (1 of 2 files)";
    let ran = shop.run(&["--dry-run", "make the tests pass"]);
    assert!(ran.err.contains(told), "{ran:?}");
    // Once, and it is a step that can be taken back.
    assert!(!shop.run(&["--dry-run", "make the tests pass"]).err.contains(told));
    let undo = shop.home.run(&["undo", "-C", &root]);
    assert_eq!((undo.code, shop.root.join("notes.txt").exists()), (Some(0), false), "{undo:?}");
}

/// What `examples/broken-project` says of itself, with the model that z1 carries.
#[cfg(feature = "llama")]
#[test]
fn the_example_is_repaired_by_the_model_that_z1_carries() {
    let home = Home::new();
    let root = home.path().join("example");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/broken-project"), &root);
    let source = || std::fs::read_to_string(root.join("shop.py")).unwrap();
    let before = source();
    let place = root.to_string_lossy().into_owned();
    let shown = home.run(&["-p", "-C", &place, "make the tests pass"]);
    if !judged(&shown) {
        return;
    }
    assert_eq!((shown.code, source()), (Some(0), before.clone()), "{shown:?}");
    let ran = home.run(&["-p", "-C", &place, "--yes", "make the tests pass"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("z1: verified (2 passed"), "{ran:?}");
    assert!(source().contains("max(prices)"), "{ran:?}");
    assert_eq!(home.run(&["undo", "-C", &place]).code, Some(0));
    assert_eq!(source(), before);
}
