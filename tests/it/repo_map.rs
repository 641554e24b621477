//! The repository map on trees that are large, broken or hostile, and on this repository's own sources.

use std::fs;
use std::path::Path;
use std::time::Duration;

use z1::repo_map::{Bounds, Focus, RepoMap, build, estimate};

fn bounds(tokens_max: usize) -> Bounds {
    Bounds::new(tokens_max, Duration::from_hours(1), None)
}

fn map(root: &Path, words: &str, bounds: &Bounds) -> RepoMap {
    let words = words.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let focus = Focus { words: words.map(str::to_owned).collect(), ..Focus::default() };
    build(root, &focus, bounds, &estimate)
}

/// The files that a map shows, in its order.
fn files(map: &RepoMap) -> Vec<&str> {
    let heads = map.text.lines().filter(|line| !line.starts_with(' '));
    heads.filter_map(|line| line.strip_suffix(':')).collect()
}

/// A tree of many small modules, each of which calls the one before it.
fn many(root: &Path, count: usize) {
    for at in 0..count {
        let folder = root.join(format!("part{}", at / 500));
        fs::create_dir_all(&folder).unwrap();
        let before = at.saturating_sub(1);
        let text = format!("def job_{at}(x):\n    return job_{before}(x)\n");
        fs::write(folder.join(format!("file_{at}.py")), text).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_and_loops_end() {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("secret.py"), "def secret():\n    pass\n").unwrap();
    fs::create_dir(root.path().join("a")).unwrap();
    fs::write(root.path().join("a/own.py"), "def own():\n    pass\n").unwrap();
    for (target, link) in [(root.path(), "a/up"), (Path::new("."), "a/here"), (outside.path(), "out")] {
        std::os::unix::fs::symlink(target, root.path().join(link)).unwrap();
    }
    std::os::unix::fs::symlink(outside.path().join("secret.py"), root.path().join("a/secret.py")).unwrap();
    std::os::unix::fs::symlink("two", root.path().join("one")).unwrap();
    std::os::unix::fs::symlink("one", root.path().join("two")).unwrap();
    let map = map(root.path(), "", &bounds(1000));
    assert_eq!((files(&map), map.files_read), (vec!["a/own.py"], 1), "{}", map.text);
}

#[test]
fn of_very_many_files_the_first_are_looked_at_and_that_is_said() {
    let root = tempfile::tempdir().unwrap();
    many(root.path(), 2_000);
    let cut = Bounds { files_max: 1_500, ..bounds(400) };
    let first = map(root.path(), "job_7", &cut);
    assert_eq!(first.files_read, 1_500);
    assert!(first.notes.iter().any(|note| note == "only the first 1500 files were looked at"), "{:?}", first.notes);
    assert!(first.tokens <= 400 && first.text.contains("def job_7(x)"), "{}", first.text);
    assert_eq!(map(root.path(), "job_7", &cut), first, "the same map twice");
    let all = map(root.path(), "job_7", &bounds(400));
    assert!(all.files_read == 2_000 && all.notes.is_empty(), "{:?}", all.notes);
}

#[test]
fn beyond_the_bytes_that_grammars_may_read_files_are_skimmed_and_the_next_map_goes_on() {
    let (root, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    many(root.path(), 200);
    let whole = map(root.path(), "file_150", &bounds(600));
    // A constant is a definition to the grammar and none to the patterns.
    fs::write(root.path().join("late.py"), format!("LATE = 1\n{}", "# filler\n".repeat(400))).unwrap();
    let cut = Bounds { parsed_bytes_max: 1_000, cache: Some(cache.path().to_owned()), ..bounds(600) };
    let first = map(root.path(), "file_150", &cut);
    assert!(
        first.notes.iter().any(|note| note.contains("were only skimmed; the next map goes on")),
        "{:?}",
        first.notes
    );
    assert_eq!(first.files_read, 201);
    assert_eq!(files(&first)[0], files(&whole)[0], "what the task names is read first");
    assert!(!first.text.contains("LATE"));
    let rest = Bounds { cache: Some(cache.path().to_owned()), ..bounds(100_000) };
    let second = map(root.path(), "file_150", &rest);
    assert!(second.notes.is_empty() && second.text.contains("LATE = 1"), "{:?}", second.notes);
    assert_eq!(second, map(root.path(), "file_150", &bounds(100_000)), "warm and cold maps are the same");
    let third = Bounds { parsed_bytes_max: 0, ..rest };
    assert_eq!(map(root.path(), "file_150", &third).text, second.text, "what is known is not read again");
}

#[test]
fn no_time_at_all_is_a_map_of_nothing_that_says_so() {
    let root = tempfile::tempdir().unwrap();
    many(root.path(), 10);
    let none = Bounds { time_max: Duration::ZERO, ..bounds(100) };
    let map = map(root.path(), "", &none);
    assert_eq!((map.text.as_str(), map.files_read), ("", 0));
    assert!(map.notes.iter().any(|note| note.contains("cut short")), "{:?}", map.notes);
}

#[test]
fn broken_binary_huge_and_odd_files_do_no_harm() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(root.path().join(name), bytes).unwrap();
    write("broken.py", b"def half(:\n\nclass Whole:\n    def method(self):\n        return (((\n");
    write("broken.rs", b"fn good() {}\nfn bad( { let x = ;\nstruct Later;\n");
    write("binary.py", b"def never():\0\n");
    write("latin.py", b"def caf\xe9():\n    pass\n\ndef plain():\n    pass\n");
    write("huge.py", &[b"#".as_slice(), &vec![b'x'; (1 << 20) + 1]].concat());
    write("one_line.js", format!("function f(){{}};{}", "var a=[1,2,3];".repeat(20_000)).as_bytes());
    write("deep.py", format!("x = {}1{}\n", "(".repeat(20_000), ")".repeat(20_000)).as_bytes());
    write("empty.rs", b"");
    let map = map(root.path(), "", &bounds(1000));
    for name in ["class Whole", "def method", "fn good", "struct Later", "def plain", "function f()"] {
        assert!(map.text.contains(name), "{name}: {}", map.text);
    }
    assert!(!map.text.contains("never"), "{}", map.text);
    assert!(map.text.lines().all(|line| line.chars().count() <= 110), "long lines are cut");
    assert!(map.notes.iter().any(|note| note == "1 file larger than 1 MiB was skipped"), "{:?}", map.notes);
}

/// Tasks in a user's words over this repository; `scripts/bench-map-tasks` prints the figures, also for other trees.
#[test]
fn the_file_that_a_task_is_about_is_in_the_map() {
    const MISSES_MAX: usize = 1;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tasks = fs::read_to_string(root.join("tests/data/map_tasks.tsv")).unwrap();
    let tasks: Vec<(&str, &str)> =
        tasks.lines().filter_map(|line| line.strip_prefix("self\tsrc/")?.split_once('\t')).collect();
    assert!(tasks.len() >= 20, "the tasks are there");
    let cache = tempfile::tempdir().unwrap();
    let bounds = Bounds { cache: Some(cache.path().to_owned()), ..bounds(1024) };
    let found = |(wanted, task): &(&str, &str)| files(&map(&root.join("src"), task, &bounds)).contains(wanted);
    let missed: Vec<&(&str, &str)> = tasks.iter().filter(|task| !found(task)).collect();
    assert!(missed.len() <= MISSES_MAX, "{missed:#?}");
}

/// The table of constructs and what the linked grammars make of them. A grammar that is brought up to date changes it,
/// and this test says where (`Z1_BLESS=1` writes the table anew); no entry of it is ever a reason to refuse a change.
#[test]
fn the_table_of_constructs_says_what_the_grammars_know() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/syntax.tsv");
    let table = fs::read_to_string(&path).unwrap();
    let (mut other, mut anew) = (Vec::new(), String::new());
    for line in table.lines() {
        let mut fields = line.splitn(3, '\t');
        let (Some(path), Some(state), Some(code)) = (fields.next(), fields.next(), fields.next()) else {
            anew.push_str(&format!("{line}\n"));
            continue;
        };
        let text = code.replace("\\n", "\n");
        let report = z1::repo_map::syntax::check(path, &text).expect("a grammar for it is linked");
        let is = if report.errors == 0 { "known" } else { "unknown" };
        if is != state {
            other.push(format!("{path}: {is}, the table says {state}: {code}"));
        }
        anew.push_str(&format!("{path}\t{is}\t{code}\n"));
    }
    if std::env::var_os("Z1_BLESS").is_some() {
        fs::write(&path, anew).unwrap();
        return;
    }
    assert!(table.lines().count() > 60, "the table is there");
    assert!(other.is_empty(), "{}", other.join("\n"));
}

/// Whatever a grammar does not know, a plan of it holds.
#[test]
fn no_construct_of_the_table_is_refused() {
    let table = include_str!("../data/syntax.tsv");
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.splitn(3, '\t');
        let (path, _, code) = (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
        let reply = format!("{path}\n```\n{}\n```\n", code.replace("\\n", "\n"));
        let reading = z1::reply::edits::read(&reply, &z1::reply::paths::Known::new([path.to_owned()]));
        let before = z1::workspace::plan::Before::from([(
            path.to_owned(),
            z1::workspace::plan::FileState::Text("\n".to_owned()),
        )]);
        let plan = z1::workspace::plan::plan(&before, &reading, z1::workspace::plan::Rules::default());
        assert!(plan.holds() && plan.files.len() == 1, "{line}: {:?}", plan.refused);
    }
}
