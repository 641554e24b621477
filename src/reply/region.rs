//! A block that shows a stretch of a file as it is to be: some of the lines around what it changes, then the change. Pure.
//!
//! Not for: definitions and keys (`splice`), whole files, blocks with markers (`search_replace.rs`).

use std::ops::Range;

use super::{elision, joined, paths, words};

/// Files and blocks longer than this are not aligned.
const LINES_MAX: usize = 4_000;
const BLOCK_LINES_MAX: usize = 200;
/// Two lines that share this part of their words can be one line before and after a change.
const ALIKE_MIN: f64 = 0.5;
/// What speaks against a place: a line of the block that the file has not, and a line of the file that the block leaves out.
const NEW_LINE: f64 = 0.2;
const LEFT_OUT: f64 = 0.6;
/// The best place is better than any other by this.
const LEAD_MIN: f64 = 0.5;

/// The file with the stretch in the place that it shows; `None` where no place, or more than one, can be meant. Lines that
/// stand for left-out code (`// ... existing code ...`) at the ends are dropped, in the middle they part two stretches.
pub(super) fn placed(path: &str, text: &str, block: &str) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let stretches = stretches(block);
    if stretches.is_empty() || lines.len() > LINES_MAX {
        return None;
    }
    let mut from = 0;
    for stretch in &stretches {
        let old: Vec<&str> = lines.iter().map(String::as_str).collect();
        let place = place(&old[from..], stretch, Kind::of(path))?;
        let range = from + place.range.start..from + place.range.end;
        let mut new = reindented(stretch, stretch[place.first], old[range.start]);
        if old[range.end - 1].trim().is_empty() {
            // What was apart from what follows stays so.
            new.push(String::new());
        }
        from = range.start + new.len();
        lines.splice(range, new);
    }
    let changed = joined(&lines);
    (changed.trim_end() != text.trim_end()).then_some(changed)
}

/// The parts of a block between lines that stand for left-out code, without blank lines at their ends.
fn stretches(block: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = block.lines().collect();
    if lines.len() > BLOCK_LINES_MAX {
        return Vec::new();
    }
    let is_solid = |line: &&str| !line.trim().is_empty();
    let inner = |part: &[&'_ str]| Some(part.iter().position(is_solid)?..part.iter().rposition(is_solid)? + 1);
    let parts = lines.split(|line| elision::is_elision(line));
    parts.filter_map(|part| inner(part).map(|range: Range<usize>| part[range].to_vec())).collect()
}

/// The lines of a file that a stretch stands for, and which of its lines the first of them is.
struct Place {
    range: Range<usize>,
    first: usize,
}

/// What a file's lines are like.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Prose,
    /// What is left out of it stays: keys with values.
    Data,
    /// Its brackets come in pairs.
    Paired,
    /// `case` in a shell.
    Unpaired,
}

impl Kind {
    fn of(path: &str) -> Self {
        match paths::extension(path).as_str() {
            "sh" | "bash" | "zsh" => Self::Unpaired,
            "toml" | "ini" | "cfg" | "yaml" | "yml" | "json" | "env" => Self::Data,
            _ if paths::is_prose(path) => Self::Prose,
            _ => Self::Paired,
        }
    }
}

/// The one place of a stretch.
fn place(file: &[&str], stretch: &[&str], kind: Kind) -> Option<Place> {
    let (score, pairs) = aligned(file, stretch, &(0..0));
    let equal = |pair: &(usize, usize)| stretch[pair.0].trim() == file[pair.1].trim();
    let holds = |pair: &(usize, usize)| equal(pair) || is_same_at_edge(stretch[pair.0], file[pair.1], kind);
    let is_firm = |pair: &(usize, usize)| holds(pair) && weight(stretch[pair.0].trim()) >= 1.0;
    // What is only alike at an end may as well be one more of the kind, and its brackets with it.
    let first = pairs.iter().position(is_firm)?;
    let first = if pairs[..first].iter().all(holds) { 0 } else { first };
    let last = pairs.iter().rposition(is_firm)?;
    let last = if pairs[last..].iter().all(holds) { pairs.len() - 1 } else { last };
    // Whichever leaves the brackets as they were.
    let closes = |pairs: &&[(usize, usize)]| {
        let own = &file[pairs[0].1..=pairs[pairs.len() - 1].1];
        matches!(kind, Kind::Prose | Kind::Unpaired) || balance(own) == balance(stretch)
    };
    let pairs = [&pairs[first..=last], &pairs[..]].into_iter().find(closes)?;
    let range = pairs[0].1..pairs[pairs.len() - 1].1 + 1;
    let stays = |at: usize| pairs.iter().any(|pair| pair.1 == at) || file[at].trim().is_empty();
    if kind == Kind::Data && !range.clone().all(stays) {
        return None;
    }
    let names = |at: usize| {
        let line = file[at].trim();
        weight(line) >= 1.0 && file.iter().filter(|other| other.trim() == line).count() == 1
    };
    let anchored = pairs.iter().any(|pair| equal(pair) && names(pair.1));
    let at_end = pairs[0].0 == 0 || pairs[pairs.len() - 1].0 + 1 == stretch.len();
    let (other, _) = aligned(file, stretch, &range);
    (score > 0.0 && anchored && at_end && score - other >= LEAD_MIN).then_some(Place { range, first: pairs[0].0 })
}

/// How well a stretch stands somewhere in a file, and which of its lines are which of the file's; lines of `but` are none.
fn aligned(file: &[&str], stretch: &[&str], but: &Range<usize>) -> (f64, Vec<(usize, usize)>) {
    #[derive(Clone, Copy, PartialEq)]
    enum Step {
        Start,
        Pair,
        New,
        LeftOut,
    }
    let width = file.len() + 1;
    let own_words: Vec<Vec<&str>> = file.iter().map(|line| words(line).collect()).collect();
    let mut best = vec![(0.0, Step::Start); width];
    let mut steps = vec![Step::Start; width];
    for line in stretch {
        let (above, new_words) = (best, words(line).collect::<Vec<_>>());
        best = vec![(above[0].0 - NEW_LINE, Step::New); width];
        for at in 1..width {
            let free = !but.contains(&(at - 1));
            let pair = free.then(|| likeness((line, &new_words), (file[at - 1], &own_words[at - 1]))).flatten();
            let choices = [
                (above[at].0 - NEW_LINE, Step::New),
                (best[at - 1].0 - LEFT_OUT * weight(file[at - 1].trim()), Step::LeftOut),
                pair.map_or((f64::MIN, Step::Pair), |worth| (above[at - 1].0 + worth, Step::Pair)),
            ];
            best[at] = choices.into_iter().fold((f64::MIN, Step::New), |a, b| if b.0 >= a.0 { b } else { a });
        }
        steps.extend(best.iter().map(|(_, step)| *step));
    }
    let (mut at, score) =
        best.iter().enumerate().fold((0, f64::MIN), |a, (at, (score, _))| if *score > a.1 { (at, *score) } else { a });
    let (mut row, mut pairs) = (stretch.len(), Vec::new());
    while row > 0 {
        match steps[row * width + at] {
            Step::Pair => {
                (row, at) = (row - 1, at - 1);
                pairs.push((row, at));
            }
            Step::LeftOut => at -= 1,
            Step::New | Step::Start => row -= 1,
        }
    }
    pairs.reverse();
    (score, pairs)
}

/// How many brackets are opened and not closed, of each kind.
fn balance(lines: &[&str]) -> [i32; 3] {
    let count = |open: char, close: char| {
        let step = |c| i32::from(c == open) - i32::from(c == close);
        lines.iter().flat_map(|line| line.chars()).map(step).sum()
    };
    [count('(', ')'), count('[', ']'), count('{', '}')]
}

/// What a line says: a bracket alone next to nothing.
fn weight(line: &str) -> f64 {
    match line.chars().filter(|c| c.is_alphanumeric()).count() {
        0 if line.is_empty() => 0.05,
        1 if line.ends_with('{') => 1.0,
        0 | 1 => 0.3,
        _ => 1.0,
    }
}

/// What it is worth that two lines are one; `None` where they cannot be.
fn likeness((new, own): (&str, &[&str]), (old, words): (&str, &[&str])) -> Option<f64> {
    let (new, old) = (new.trim(), old.trim());
    if new == old {
        return Some(weight(new));
    }
    let share = share_of(own, words);
    (share >= ALIKE_MIN || key(new).is_some_and(|own| key(old) == Some(own))).then_some(share.max(ALIKE_MIN) * 0.8)
}

/// The share of two lines' words that both have.
fn share_of(a: &[&str], b: &[&str]) -> f64 {
    let all = a.len() + b.len();
    if all == 0 {
        return 0.0;
    }
    let count = |words: &[&str], word: &str| words.iter().filter(|other| **other == word).count();
    // A word counts as often as both have it.
    let shared: usize = (0..a.len()).filter(|at| count(&a[..=*at], a[*at]) <= count(b, a[*at])).count();
    (2 * shared) as f64 / all as f64
}

/// What a line gives a value to.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(['=', ':'])?;
    let key = key.trim();
    (!key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-. \"'".contains(c))).then_some(key)
}

/// Whether two lines are one before and after a change though nothing beyond them says so.
fn is_same_at_edge(new: &str, old: &str, kind: Kind) -> bool {
    let (new, old) = (new.trim(), old.trim());
    let same_key = key(new).is_some_and(|own| key(old) == Some(own));
    let share = share_of(&words(new).collect::<Vec<_>>(), &words(old).collect::<Vec<_>>());
    same_key || share >= 1.0 || (kind == Kind::Prose && share > ALIKE_MIN)
}

/// Lines with a file's indentation; `own` is the one of them that stands where `like` does.
pub(super) fn reindented<S: AsRef<str>>(lines: &[S], own: &str, like: &str) -> Vec<String> {
    fn blank(line: &str) -> &str {
        &line[..line.len() - line.trim_start().len()]
    }
    let (own, wanted) = (blank(own), blank(like));
    let moved = |line: &str| match line.strip_prefix(own) {
        _ if line.trim().is_empty() => String::new(),
        Some(rest) => format!("{wanted}{rest}"),
        None => line.to_owned(),
    };
    lines.iter().map(|line| moved(line.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSS: &str = "body {\n  margin: 0;\n  font-family: sans-serif;\n}\n\n#list li {\n  padding: 4px;\n}\n";
    const HTML: &str = "<html>\n<body>\n  <h1>Tasks</h1>\n  <ul id=\"list\"></ul>\n  <script src=\"a.js\"></script>\n</body>\n</html>\n";

    #[track_caller]
    fn check(path: &str, text: &str, block: &str, old: &str, new: &str) {
        assert_eq!(text.matches(old).count(), 1, "the test's own text");
        assert_eq!(placed(path, text, block).as_deref(), Some(text.replace(old, new).as_str()));
    }

    #[test]
    fn lines_around_a_change_say_where_it_is() {
        check("a.css", CSS, "#list li {\n  padding: 8px;\n}\n", "4px", "8px");
        check("a.css", CSS, "#list li {\n  padding: 4px;\n  margin: 0;\n}\n", "4px;", "4px;\n  margin: 0;");
        let added = "  <ul id=\"list\"></ul>\n  <button id=\"clear\">Clear</button>";
        check(
            "a.html",
            HTML,
            "<ul id=\"list\"></ul>\n<button id=\"clear\">Clear</button>\n",
            "  <ul id=\"list\"></ul>",
            added,
        );
        let elided = format!("<!-- ... existing code ... -->\n{added}\n<!-- ... existing code ... -->\n");
        check("a.html", HTML, &elided, "  <ul id=\"list\"></ul>", added);
        let readme = "# demo\n\n## Start\n\nRun `npm start`.\n\n## Settings\n\nSee `config/`.\n";
        check(
            "README.md",
            readme,
            "## Start\n\nRun `npm start` or `npm test`.\n",
            "npm start`",
            "npm start` or `npm test`",
        );
    }

    #[test]
    fn statements_are_changed_and_added_where_their_neighbours_stand() {
        let app = "const app = make();\n\napp.get('/users', (req, res) => {\n  res.json(users);\n});\n\nmodule.exports = app;\n";
        let health = "app.get('/health', (req, res) => {\n  res.json({ ok });\n});\n\n";
        let users = "app.get('/users', (req, res) => {\n  res.json(users);\n});\n\n";
        check("app.js", app, &format!("{users}{health}"), "module.exports", &format!("{health}module.exports"));
        check(
            "app.js",
            app,
            &format!("// ... existing code ...\n\n{health}module.exports = app;\n"),
            "module.exports",
            &format!("{health}module.exports"),
        );
        let script =
            "usage() {\n  echo use\n}\n\ncase \"$1\" in\n  add) add \"$2\" ;;\n  list) list ;;\n  *) usage ;;\nesac\n";
        check(
            "notes.sh",
            script,
            "case \"$1\" in\n  add) add \"$2\" ;;\n  list) list ;;\n  search) search \"$2\" ;;\n  *) usage ;;\nesac\n",
            "  *) usage",
            "  search) search \"$2\" ;;\n  *) usage",
        );
        let sql = "CREATE TABLE users (\n    id INTEGER,\n    name TEXT\n);\n\nCREATE TABLE orders (\n    id INTEGER,\n    total REAL\n);\n";
        let users = "CREATE TABLE users (\n    id INTEGER,\n    name TEXT,\n    email TEXT\n);\n";
        check("a.sql", sql, users, "    name TEXT\n", "    name TEXT,\n    email TEXT\n");
        check("a.py", "import x\n\nRATE = 1\nx.run(RATE)\n", "RATE = 2\nx.run(RATE)\n", "RATE = 1", "RATE = 2");
    }

    #[test]
    fn a_block_with_no_place_or_two_is_put_nowhere() {
        let twice = "a {\n  top: 0;\n}\n\nb {\n  top: 0;\n}\n";
        for (text, block) in [
            (twice, "  top: 0;\n  left: 0;\n"),
            (CSS, "p {\n  color: red;\n}\n"),
            (CSS, "}\n"),
            (CSS, CSS),
            (CSS, ""),
            (HTML, "<p>other</p>\n"),
        ] {
            assert_eq!(placed("a.css", text, block), None, "{block}");
        }
        // What is not said of data stays.
        let toml = "[app]\nname = \"demo\"\nversion = \"1.0\"\n";
        assert_eq!(placed("a.toml", toml, "[app]\nversion = \"1.1\"\n"), None);
    }
}
