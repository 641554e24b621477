//! Files that a block of commands writes: `cat > PATH <<'EOF'`. Pure.
//!
//! Not for: any other command. A block that does more than write files is one to be run, not a change.

use std::sync::LazyLock;

use regex::Regex;

use super::compile;

/// The files that these commands write, with their whole texts; nothing where a command does something else, where the
/// shell would change the text (`$` without a quoted end word), or where the end is missing.
pub(super) fn files(commands: &str) -> Option<Vec<(String, String)>> {
    static OPENING: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"^\s*(?:\$ )?(?:cat\s*>\s*(?P<a>[^\s<>|&;]+)\s*<<(?P<da>-?)\s*(?P<ea>\S+)|cat\s*<<(?P<db>-?)\s*(?P<eb>\S+?)\s*>\s*(?P<b>[^\s<>|&;]+)|tee\s+(?P<c>[^\s<>|&;-][^\s<>|&;]*)\s*<<(?P<dc>-?)\s*(?P<ec>\S+?)(?:\s*>\s*/dev/null)?)\s*$",
        )
    });
    static HARMLESS: LazyLock<Regex> =
        LazyLock::new(|| compile(r"^\s*(?:\$ )?(?:#.*|mkdir(?: -p)? [\w./ -]+|touch [\w./ -]+)?\s*$"));
    let mut found = Vec::new();
    let mut lines = commands.lines();
    while let Some(line) = lines.next() {
        let Some(opening) = OPENING.captures(line) else {
            if HARMLESS.is_match(line) {
                continue;
            }
            return None;
        };
        let part = |names: [&str; 3]| names.iter().find_map(|name| opening.name(name)).map(|found| found.as_str());
        let (path, word, dash) = (part(["a", "b", "c"])?, part(["ea", "eb", "ec"])?, part(["da", "db", "dc"])?);
        let end = word.trim_matches(['\'', '"', '\\']);
        let quoted = end.len() < word.len();
        let mut text = String::new();
        loop {
            let line = lines.next()?;
            let line = if dash.is_empty() { line } else { line.trim_start_matches('\t') };
            if line.trim_end() == end {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        if end.is_empty() || path.contains(['$', '*', '`', '?']) || (!quoted && text.contains(['$', '`', '\\'])) {
            return None;
        }
        found.push((path.trim_matches(['\'', '"']).to_owned(), text));
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_that_write_whole_files_are_read() {
        let one = |path: &str, text: &str| Some(vec![(path.to_owned(), text.to_owned())]);
        assert_eq!(files("cat > a.py <<'EOF'\nx = $1\nEOF\n"), one("a.py", "x = $1\n"));
        assert_eq!(files("# new\nmkdir -p src\n$ cat <<EOF > src/a.py\nx = 1\n\nEOF\n"), one("src/a.py", "x = 1\n\n"));
        assert_eq!(files("tee 'a b' << \"END\" > /dev/null\nEND\n"), None, "a path with a blank");
        assert_eq!(files("tee a.txt <<-END > /dev/null\n\tone\n\tEND\n"), one("a.txt", "one\n"));
        for other in [
            "ls -l\n",
            "cat > a.py <<EOF\nx = $1\nEOF\n",
            "cat > a.py <<'EOF'\nx = 1\n",
            "cat >> a.py <<'EOF'\nx = 1\nEOF\n",
            "cat > a.py <<'EOF'\nx = 1\nEOF\npython3 a.py\n",
            "cat a.py\n",
            "cat a.py <<EOF\nx\nEOF\n",
            "cat > $HOME/a.py <<'EOF'\nx = 1\nEOF\n",
            "cat > \"$FILE\" <<'EOF'\nx = 1\nEOF\n",
            "mkdir -p src\n",
        ] {
            assert_eq!(files(other), None, "{other}");
        }
    }
}
