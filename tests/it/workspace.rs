//! Writing to a project and taking it back, on a real disk: what is written, what never is, and that undo
//! brings back every byte.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;
use z1::reply::edits::{self, Reading, RefusalKind};
use z1::reply::paths::Known;
use z1::workspace::journal::Journal;
use z1::workspace::plan::{self, FileState, Plan, Rules};
use z1::workspace::tree::Tree;

struct Project {
    root: TempDir,
    state: TempDir,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Self { root: TempDir::new().unwrap(), state: TempDir::new().unwrap() };
        for (path, text) in files {
            project.put(path, text);
        }
        project
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn get(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    fn tree(&self) -> Tree {
        Tree::open(self.root.path()).unwrap()
    }

    fn plan(&self, reply: &str) -> Plan {
        let tree = self.tree();
        let reading = edits::read(reply, &Known::new(tree.listing().paths));
        plan::plan(&tree.before(&plan::paths_needed(&reading.edits)), &reading, Rules::default())
    }

    fn apply(&self, reply: &str) -> anyhow::Result<()> {
        let tree = self.tree();
        Journal::new(self.state.path(), &tree).apply(&self.plan(reply), "test").map(drop)
    }

    fn undo(&self) -> anyhow::Result<()> {
        let tree = self.tree();
        Journal::new(self.state.path(), &tree).undo().map(drop)
    }
}

fn whole(path: &str, text: &str) -> String {
    format!("{path}\n```\n{text}```\n")
}

#[test]
fn a_change_is_one_step_that_can_be_taken_back() {
    let project = Project::new(&[("a.txt", "one\n"), ("b.txt", "two\n")]);
    project.apply(&format!("{}{}", whole("a.txt", "ONE\n"), whole("new/c.txt", "three\n"))).unwrap();
    assert_eq!(project.get("a.txt").as_deref(), Some("ONE\n"));
    assert_eq!(project.get("new/c.txt").as_deref(), Some("three\n"));
    project.undo().unwrap();
    assert_eq!(project.get("a.txt").as_deref(), Some("one\n"));
    assert_eq!(project.get("new/c.txt"), None);
    assert!(!project.path("new").exists(), "the folder that was made is gone too");
    assert!(project.undo().unwrap_err().to_string().contains("nothing to undo"));
}

#[test]
fn the_mode_of_a_file_is_kept() {
    let project = Project::new(&[("run.sh", "echo 1\n")]);
    fs::set_permissions(project.path("run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    project.apply(&whole("run.sh", "echo 2\n")).unwrap();
    assert_eq!(fs::metadata(project.path("run.sh")).unwrap().permissions().mode() & 0o777, 0o750);
    project.undo().unwrap();
    assert_eq!(fs::metadata(project.path("run.sh")).unwrap().permissions().mode() & 0o777, 0o750);
}

#[test]
fn a_mode_that_a_reply_sets_is_taken_back() {
    let mode = |project: &Project, path: &str| fs::metadata(project.path(path)).unwrap().permissions().mode() & 0o777;
    let project = Project::new(&[("run.sh", "ls\n"), ("old.sh", "x\n")]);
    fs::set_permissions(project.path("run.sh"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(project.path("old.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    let reply = "```diff\ndiff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\ndiff --git a/new.sh b/new.sh\n\
                 new file mode 100755\n--- /dev/null\n+++ b/new.sh\n@@ -0,0 +1 @@\n+ls\n```\n\
                 *** Begin Patch\n*** Delete File: old.sh\n*** End Patch\n";
    let plan = project.plan(reply);
    assert!(plan.diff().contains("new mode 100755"), "{}", plan.diff());
    project.apply(reply).unwrap();
    assert_eq!((mode(&project, "run.sh"), mode(&project, "new.sh")), (0o755, 0o755));
    project.undo().unwrap();
    assert_eq!((mode(&project, "run.sh"), mode(&project, "old.sh")), (0o644, 0o750));
    assert_eq!(project.get("new.sh"), None);
}

#[test]
fn extended_attributes_stay_and_hard_links_are_said() {
    let project = Project::new(&[("a.txt", "a\n")]);
    let file = fs::File::open(project.path("a.txt")).unwrap();
    let has = rustix::fs::fsetxattr(&file, "user.z1", b"kept", rustix::fs::XattrFlags::empty()).is_ok();
    fs::hard_link(project.path("a.txt"), project.path("b.txt")).unwrap();
    assert!(project.tree().remark("a.txt").is_some_and(|remark| remark.contains("hard links")));
    project.apply(&whole("a.txt", "b\n")).unwrap();
    assert_eq!(project.tree().remark("a.txt"), None);
    assert_eq!((project.get("a.txt").as_deref(), project.get("b.txt").as_deref()), (Some("b\n"), Some("a\n")));
    if !has {
        eprintln!("skipped: the file system has no extended attributes");
        return;
    }
    let mut value = [0_u8; 16];
    let size = rustix::fs::getxattr(project.path("a.txt"), "user.z1", &mut value[..]).unwrap();
    assert_eq!(&value[..size], b"kept");
}

#[test]
fn a_step_that_was_cut_off_is_said_and_can_be_taken_back() {
    let project = Project::new(&[("a.txt", "a\n"), ("b.txt", "b\n")]);
    project.apply(&format!("{}\n{}", whole("a.txt", "A\n"), whole("b.txt", "B\n"))).unwrap();
    // As if the program had died after the first file.
    project.put("b.txt", "b\n");
    project.put(".z1-999999999-0.tmp", "B");
    let tree = project.tree();
    let journal = Journal::new(project.state.path(), &tree);
    let folder = fs::read_dir(project.state.path().join("undo")).unwrap().next().unwrap().unwrap().path();
    fs::rename(folder.join("000001.json"), folder.join("000001.unfinished")).unwrap();
    let told = journal.recover().unwrap().unwrap();
    assert!(told.contains("1 of 2 files"), "{told}");
    assert_eq!(project.get(".z1-999999999-0.tmp"), None);
    assert_eq!(journal.recover().unwrap(), None);
    journal.undo().unwrap();
    assert_eq!((project.get("a.txt").as_deref(), project.get("b.txt").as_deref()), (Some("a\n"), Some("b\n")));
}

#[test]
fn programs_that_write_at_once_lose_no_step() {
    const EACH: usize = 10;
    let project = Project::new(&[]);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let project = &project;
            scope.spawn(move || {
                for n in 0..EACH {
                    project.apply(&whole(&format!("f{writer}_{n}.txt"), "x\n")).unwrap();
                }
            });
        }
    });
    let tree = project.tree();
    assert_eq!(Journal::new(project.state.path(), &tree).steps().unwrap().len(), 4 * EACH);
}

#[test]
fn undo_keeps_what_the_user_did_elsewhere_in_the_file_and_refuses_where_it_met_the_change() {
    let before = "a\nb\nc\nd\ne\nf\n";
    let project = Project::new(&[("a.txt", before)]);
    project.apply(&whole("a.txt", &before.replace('b', "B"))).unwrap();
    project.put("a.txt", "a\nB\nc\nd\ne\nmine\n");
    project.undo().unwrap();
    assert_eq!(project.get("a.txt").as_deref(), Some("a\nb\nc\nd\ne\nmine\n"));

    project.apply(&whole("a.txt", "a\nX\nc\nd\ne\nmine\n")).unwrap();
    project.put("a.txt", "a\nmine too\nc\nd\ne\nmine\n");
    let refused = project.undo().unwrap_err().to_string();
    assert!(refused.contains("a.txt"), "{refused}");
    assert_eq!(project.get("a.txt").as_deref(), Some("a\nmine too\nc\nd\ne\nmine\n"));
}

#[test]
fn links_and_odd_files_are_not_followed() {
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("secret.txt"), "secret\n").unwrap();
    let project = Project::new(&[("a.txt", "a\n"), ("bin.dat", "x\0y"), ("real/b.txt", "b\n")]);
    symlink(outside.path(), project.path("out")).unwrap();
    symlink(outside.path().join("secret.txt"), project.path("link.txt")).unwrap();
    symlink(project.path("real"), project.path("inside")).unwrap();
    fs::write(project.path("latin.txt"), b"caf\xe9\n").unwrap();
    for (path, kind) in [
        ("out/secret.txt", RefusalKind::Forbidden),
        ("out/new.txt", RefusalKind::Forbidden),
        ("link.txt", RefusalKind::Forbidden),
        ("inside/b.txt", RefusalKind::Forbidden),
        ("a.txt/b.txt", RefusalKind::Forbidden),
        ("real", RefusalKind::NoEdits),
        ("bin.dat", RefusalKind::Unreadable),
        ("latin.txt", RefusalKind::Unreadable),
        (".git/hooks/x.sh", RefusalKind::Forbidden),
        ("../x.txt", RefusalKind::Forbidden),
    ] {
        let plan = project.plan(&whole(path, "changed\n"));
        assert_eq!(plan.refused.first().map(|r| r.kind), Some(kind), "{path}: {plan:?}");
    }
    assert_eq!(fs::read_to_string(outside.path().join("secret.txt")).unwrap(), "secret\n");
}

#[test]
fn a_link_planted_after_planning_is_not_followed_either() {
    let outside = TempDir::new().unwrap();
    let project = Project::new(&[("dir/a.txt", "a\n")]);
    let plan = project.plan(&whole("dir/a.txt", "changed\n"));
    fs::remove_dir_all(project.path("dir")).unwrap();
    fs::write(outside.path().join("a.txt"), "a\n").unwrap();
    symlink(outside.path(), project.path("dir")).unwrap();
    let tree = project.tree();
    assert!(Journal::new(project.state.path(), &tree).apply(&plan, "test").is_err());
    assert_eq!(fs::read_to_string(outside.path().join("a.txt")).unwrap(), "a\n");
}

#[test]
fn nothing_is_written_where_a_file_changed_meanwhile_or_an_edit_is_refused() {
    let project = Project::new(&[("a.txt", "a\n"), ("b.txt", "b\n")]);
    let plan = project.plan(&whole("a.txt", "A\n"));
    project.put("a.txt", "mine\n");
    let tree = project.tree();
    assert!(Journal::new(project.state.path(), &tree).apply(&plan, "test").is_err());
    assert_eq!(project.get("a.txt").as_deref(), Some("mine\n"));
    let two = format!("{}b.txt\n<<<<<<< SEARCH\nnone\n=======\nx\n>>>>>>> REPLACE\n", whole("a.txt", "A\n"));
    assert!(project.apply(&two).is_err());
    assert_eq!(project.get("a.txt").as_deref(), Some("mine\n"));
    let left: Vec<_> = fs::read_dir(project.root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "no temporary file stays behind: {left:?}");
}

#[test]
fn the_listing_respects_gitignore_and_skips_git() {
    let project = Project::new(&[
        (".gitignore", "target/\n*.log\n"),
        ("target/x.rs", ""),
        ("a.log", ""),
        (".git/config", ""),
        (".github/ci.yml", ""),
        ("src/a.rs", ""),
    ]);
    let listing = project.tree().listing();
    assert_eq!(listing.paths, [".github/ci.yml", ".gitignore", "src/a.rs"]);
    assert!(!listing.cut);
}

#[test]
fn a_damaged_journal_says_so_and_how_to_mend_it() {
    let project = Project::new(&[("a.txt", "a\n")]);
    project.apply(&whole("a.txt", "A\n")).unwrap();
    let mut stack = vec![project.state.path().to_owned()];
    while let Some(path) = stack.pop() {
        if path.is_dir() {
            stack.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else {
            fs::write(&path, "{").unwrap();
        }
    }
    let problem = project.undo().unwrap_err();
    assert!(z1::error::render(&problem).contains("hint:"), "{problem:#}");
    assert!(Path::new(&project.path("a.txt")).exists());
}

/// A few lines, with every ending and without a last one.
fn text() -> impl Strategy<Value = String> {
    let line = prop_oneof!["[a-c ]{0,4}\n", "[a-c ]{0,4}\r\n"];
    (prop::collection::vec(line, 0..12), "[a-c]{0,3}").prop_map(|(lines, last)| lines.concat() + &last)
}

fn replacing(path: &str, search: &str, replace: &str) -> Reading {
    let edit = z1::task::Edit::Replace { path: path.into(), search: search.into(), replace: replace.into() };
    let proposed = edits::Proposed::new(edit, edits::Origin::SearchReplace, 1);
    Reading { edits: vec![proposed], ..Reading::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a reply holds, applying and undoing brings back every byte.
    #[test]
    fn undo_is_the_inverse_of_apply(before in text(), after in text()) {
        let project = Project::new(&[("a.txt", &before)]);
        let plan = project.plan(&whole("a.txt", &format!("{}\n", after.trim_end())));
        let tree = project.tree();
        if plan.holds() && Journal::new(project.state.path(), &tree).apply(&plan, "test").is_ok() {
            project.undo().unwrap();
        }
        prop_assert_eq!(project.get("a.txt"), Some(before));
    }

    /// Replacing a region that stands once changes that region alone, byte for byte.
    #[test]
    fn a_replacement_leaves_the_rest_alone(head in text(), tail in text()) {
        let head = if head.is_empty() || head.ends_with('\n') { head } else { head + "\n" };
        let before = format!("{head}THE REGION\n{tail}");
        let states = [("a.txt".to_owned(), FileState::Text(before))].into();
        let plan = plan::plan(&states, &replacing("a.txt", "THE REGION\n", "NEW\n"), Rules::default());
        prop_assert!(plan.holds(), "{:?}", plan.refused);
        let after = plan.files[0].after.clone().unwrap();
        let middle = after.strip_prefix(head.as_str()).unwrap();
        prop_assert!(middle.starts_with("NEW"), "{middle:?}");
        let rest = middle.trim_start_matches("NEW").trim_start_matches('\r').strip_prefix('\n').unwrap();
        prop_assert_eq!(rest, tail);
    }

    /// No reply makes the reader panic, and no path leaves the project.
    #[test]
    fn any_text_is_read_without_harm(reply in "(?s)([<=>`*+@ -]{3,9}|SEARCH|REPLACE|diff|\\{\"name\"|src/a.py|/etc/x|\\n|[a-z .:/\\\\]{1,9}){0,40}") {
        let reading = edits::read(&reply, &Known::new(["src/a.py".to_owned()]));
        let states = plan::paths_needed(&reading.edits).into_iter().map(|path| (path, FileState::Missing)).collect();
        for file in plan::plan(&states, &reading, Rules::default()).files {
            prop_assert!(!file.path.starts_with('/') && !file.path.split('/').any(|name| name == ".."));
        }
    }
}
