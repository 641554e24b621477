//! The scanner's tests: pieces and wholes agree, and what is open and closed.

use proptest::prelude::*;
use pulldown_cmark::{CodeBlockKind, Event as Markdown, Parser, Tag, TagEnd};

use super::*;

/// The blocks as (kind, info, body, closed).
fn seen(text: &str) -> Vec<(Kind, String, String, bool)> {
    blocks(text).into_iter().map(|b| (b.kind, b.info.clone(), b.body_of(text), b.closed)).collect()
}

#[track_caller]
fn check(text: &str, expected: &[(Kind, &str, &str, bool)]) {
    let expected: Vec<_> = expected.iter().map(|(k, i, b, c)| (*k, (*i).to_owned(), (*b).to_owned(), *c)).collect();
    assert_eq!(seen(text), expected, "{text:?}");
}

const SR: Kind = Kind::Edit(Format::SearchReplace);
const DIFF: Kind = Kind::Edit(Format::UnifiedDiff);
const PATCH: Kind = Kind::Edit(Format::Patch);
const CALL: Kind = Kind::Edit(Format::ToolCall);

/// The fenced code blocks that CommonMark sees: info and text.
fn by_commonmark(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = None;
    for event in Parser::new(text) {
        match event {
            Markdown::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                open = Some((info.into_string(), String::new()));
            }
            Markdown::Text(part) => open.iter_mut().for_each(|(_, body)| body.push_str(&part)),
            Markdown::End(TagEnd::CodeBlock) => found.extend(open.take()),
            _ => {}
        }
    }
    found
}

fn fences_of(text: &str) -> Vec<(String, String)> {
    blocks(text).into_iter().map(|b| (b.info.clone(), b.body_of(text))).collect()
}

/// Examples that are read otherwise: a block quote's fences show what somebody else wrote.
const QUOTED: &[u64] = &[128];

#[test]
fn the_examples_of_the_commonmark_specification() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/markdown/commonmark_spec.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return;
    };
    let examples: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut tried = 0;
    for example in examples.iter().filter(|e| e["section"] == "Fenced code blocks") {
        if !QUOTED.contains(&example["example"].as_u64().unwrap()) {
            let markdown = example["markdown"].as_str().unwrap();
            assert_eq!(fences_of(markdown), by_commonmark(markdown), "{markdown:?}");
            tried += 1;
        }
    }
    assert!(tried >= 28, "{tried}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn fences_pair_as_commonmark_pairs_them(picks in proptest::collection::vec(0usize..15, 0..12)) {
        const LINES: [&str; 15] = [
            "```", "~~~", "````", "~~~~", "``` ", "  ```", "   ~~~", "    ```", "```text", "a", "", "  b", "x ``` y",
            "~~~ text", "``` `",
        ];
        let text: String = picks.iter().flat_map(|pick| [LINES[*pick], "\n"]).collect();
        prop_assert_eq!(fences_of(&text), by_commonmark(&text));
    }

    #[test]
    fn pieces_do_not_matter(
        picks in proptest::collection::vec(0usize..18, 0..14), cuts in proptest::collection::vec(0usize..200, 0..8)
    ) {
        const LINES: [&str; 18] = [
            "```", "```py", "a.md", "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE", ">>>>>>>", "x", "", "--- a/b", "+++ b/b",
            "@@ -1 +1 @@", "*** Begin Patch", "*** End Patch", "<tool_call>", "</tool_call>", "<think>", "</think>",
        ];
        let text: String = picks.iter().flat_map(|pick| [LINES[*pick], "\n"]).collect();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let (mut whole, mut pieced) = (Scanner::new(), Scanner::new());
        let mut expected = whole.push(&text);
        let mut found = Vec::new();
        for pair in cuts.windows(2) {
            found.extend(pieced.push(&text[pair[0]..pair[1]]));
        }
        prop_assert_eq!(pieced.inside_block(), whole.inside_block());
        prop_assert_eq!(pieced.blocks_closed(), whole.blocks_closed());
        expected.extend(whole.finish());
        found.extend(pieced.finish());
        prop_assert_eq!(&found, &expected);
        let mut last = 0;
        for block in blocks(&text) {
            prop_assert!(last <= block.start && block.start <= block.body.start, "{:?}", block);
            prop_assert!(block.body.end <= block.end && block.end <= text.len(), "{:?}", block);
            last = block.end;
        }
    }

    #[test]
    fn any_text_is_survived(text in "[\\PC\\n`~<>=+-]{0,200}") {
        blocks(&text);
        proper(&text);
    }
}

#[test]
fn fences_of_code_and_commands() {
    check("a\n```python\nx = 1\n```\nb", &[(Kind::Code, "python", "x = 1\n", true)]);
    check("```bash\nls\n```\n", &[(Kind::Shell, "bash", "ls\n", true)]);
    check("1. so:\n   ```py\n   def f():\n       pass\n   ```\n", &[(Kind::Code, "py", "def f():\n    pass\n", true)]);
    check("- ```py\n  x\n  ```\n", &[(Kind::Code, "py", "x\n", true)]);
    check("```py\r\nif x:\r\n    y\r\n```\r\n", &[(Kind::Code, "py", "if x:\n    y\n", true)]);
    check("```python\nx = 1\ny", &[(Kind::Code, "python", "x = 1\ny\n", false)]);
    check("```x``` on one line", &[]);
}

#[test]
fn a_second_opening_leaves_a_forgotten_fence() {
    let text = "```python\na = 1\n```python\nb = 2\n```\n";
    check(text, &[(Kind::Code, "python", "a = 1\n", false), (Kind::Code, "python", "b = 2\n", true)]);
    assert!(blocks(text)[0].interrupted);
}

#[test]
fn a_fence_around_a_whole_reply_is_none() {
    let code = "def f():\n    return 1\n";
    let inner = (Kind::Code, "python", code, true);
    check(&format!("```markdown\n```python\n{code}```\n"), &[inner]);
    check(&format!("```markdown\n\n```python\n{code}```\n```\n\nIt returns one.\n"), &[inner]);
    check(&format!("```md\n```python\n{code}```\nIt prints:\n```\n1\n```\n"), &[inner, (Kind::Code, "", "1\n", true)]);
    let open = blocks(&format!("```markdown\n```python\n{code}"));
    assert_eq!((open.len(), open[0].info.as_str(), open[0].closed), (1, "python", false));
    // A file of that kind may begin with one.
    let file = format!("```python\n{code}```\n");
    check(&format!("README.md\n```markdown\n{file}```\n"), &[(Kind::Code, "markdown", &file, true)]);
}

#[test]
fn a_markdown_file_shows_fences() {
    let inner = "Use:\n```sh\nls\n```\ndone\n";
    check(&format!("```markdown\n{inner}```\n"), &[(Kind::Code, "markdown", inner, true)]);
    check(&format!("**README.md**\n```\n{inner}```\nx\n"), &[(Kind::Code, "", inner, true)]);
    let text = "```markdown\n# T\n```\ncode\n```\nend\n```\n";
    assert!(blocks(text)[0].doubtful, "whether the first bare fence opens or closes cannot be told");
    assert!(!blocks("```markdown\n# T\n```\n\nRun:\n```\nmake\n```\n")[0].doubtful);
    let docstring = "S = \"\"\"\n```sh\nls\n```\n\"\"\"\n";
    check(&format!("```python\n{docstring}```\n"), &[(Kind::Code, "python", docstring, true)]);
    assert!(blocks("```python\nS = \"\"\"\n```\nls\n```\n\"\"\"\n```\n")[0].doubtful);
}

#[test]
fn edit_blocks_with_and_without_a_fence() {
    let block = "<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE\n";
    for text in [
        format!("a.py\n{block}"),
        format!("a.py\n```\n{block}```\n"),
        format!("a.py\n```python\n{block}```\n"),
        format!("```python\na.py\n{block}```\n"),
        format!("```python\n# why\n{block}```\n"),
        format!("1. so\n   ```\n   {}```\n", block.replace('\n', "\n   ")),
    ] {
        let found = blocks(&text);
        assert_eq!(found.iter().map(|b| (b.kind, b.closed)).collect::<Vec<_>>(), [(SR, true)], "{text:?}");
    }
    let bare = format!("a.py\n```\n{block}```\n\nb.py\n```\n{block}```\n\nc.py\n```\nq\n```\n");
    assert_eq!(blocks(&bare).iter().map(|b| b.kind).collect::<Vec<_>>(), [SR, SR, Kind::Code]);
    let several = format!("```\na.py\n{block}\nb.py\n{block}```\nafter\n```py\nx\n```\n");
    assert_eq!(blocks(&several).iter().map(|b| b.kind).collect::<Vec<_>>(), [SR, SR, Kind::Code]);
}

#[test]
fn inside_a_file_nothing_is_an_edit() {
    let quoted = "# Edits\n\ncalc.py\n<<<<<<< SEARCH\nx=1\n=======\nx=9\n>>>>>>> REPLACE\n\nThat is a block.\n";
    check(&format!("docs/edit.md\n````markdown\n{quoted}````\n"), &[(Kind::Code, "markdown", quoted, true)]);
    let test = "DIFF = \"\"\"\\\n--- a/calc.py\n+++ b/calc.py\n@@ -1 +1 @@\n-x\n+y\n\"\"\"\n";
    check(&format!("t.py\n```python\n{test}```\n"), &[(Kind::Code, "python", test, true)]);
    let call = "# call\n\n<tool_call>\n{\"name\":\"write\"}\n</tool_call>\n";
    check(&format!("d.md\n```markdown\n{call}```\n"), &[(Kind::Code, "markdown", call, true)]);
}

#[test]
fn between_markers_nothing_else_is_one() {
    let rest = "\n>>>>>>> REPLACE\n";
    for inner in [
        "```\nx\n```\n=======\n```py\ny\n```",
        "b\n=======\nb\n+++++++\nmore",
        "b\n=======\nb\n>>>>>\nmore",
        "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> branch\n=======\nc",
        "x\n=======\n*** Begin Patch\n<tool_call>",
    ] {
        let text = format!("a.md\n<<<<<<< SEARCH\n{inner}{rest}");
        check(&text, &[(SR, "", &format!("{inner}\n"), true)]);
    }
    assert!(blocks("<<<<<<< SEARCH\na\n=======\nb\n>>>>>>>\n")[0].soft);
}

#[test]
fn a_block_that_never_ends_swallows_nothing() {
    let text = "a.py\n```\n<<<<<<< SEARCH\nx\n=======\ny\n```\n\nb.py\n```\nq\n```\n";
    check(text, &[(SR, "", "x\n=======\ny\n", false), (Kind::Code, "", "q\n", true)]);
    check("<<<<<<< SEARCH\nx\n=======\ny\n>>>>> REPLACE\nafter", &[(SR, "", "x\n=======\ny\n", true)]);
    check(
        "<tool_call>\n{\"a\": [1]}\n\nand\n```py\nx\n```\n",
        &[(CALL, "", "<tool_call>\n{\"a\": [1]}\n", true), (Kind::Code, "py", "x\n", true)],
    );
    check("Sets: {\n```py\nx\n```\n", &[(Kind::Code, "py", "x\n", true)]);
    check("{\nno JSON\n```py\nx\n```\n", &[(Kind::Code, "py", "x\n", true)]);
}

#[test]
fn other_notations() {
    let diff = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";
    check(&format!("So:\n{diff}\nThat is all.\n"), &[(DIFF, "", diff, true)]);
    check(&format!("```diff\n{diff}```\n"), &[(DIFF, "diff", diff, true)]);
    check(&format!("```\n{diff}```\n"), &[(DIFF, "", diff, true)]);
    check("*** Begin Patch\n*** Delete File: a\n*** End Patch\n", &[(PATCH, "", "*** Delete File: a\n", true)]);
    check(
        "```\n*** Begin Patch\n*** End Patch\n```\nb\n```\nx\n```\n",
        &[(PATCH, "", "", true), (Kind::Code, "", "x\n", true)],
    );
    check("<tool_call>{}</tool_call>\n", &[(CALL, "", "<tool_call>{}</tool_call>\n", true)]);
    let json = "{\"name\": \"write\", \"arguments\": {\n\"content\": \"```py\"}}\n";
    check(json, &[(CALL, "", json, true)]);
}

#[test]
fn thinking_ends_with_its_last_tag() {
    let draft = "```py\ndraft\n```\n";
    let answer = "```py\nx\n```\n";
    let only = [(Kind::Code, "py", "x\n", true)];
    check(&format!("<think>\n{draft}</think>\n{answer}"), &only);
    // The template had opened the tag.
    check(&format!("hm\n{draft}</think>\n{answer}"), &only);
    check(&format!("hm `</think>` and\n{draft}so.</think>\n\n{answer}"), &only);
    check(&format!("<think>\n```py\nopen\n</think>\n{answer}"), &only);
    check("<think>no</think>\n```py\ns.split('</think>')\n```\n", &[(Kind::Code, "py", "s.split('</think>')\n", true)]);
    let mut opened = Scanner::with_thinking(ThinkTags::new("<think>", "</think>"), true);
    opened.push(&format!("hm\n{draft}"));
    assert!(opened.is_thinking() && !opened.answer_has_begun() && opened.blocks_closed() == 0);
    opened.push(&format!("</think>\n{answer}"));
    assert!(!opened.is_thinking() && opened.answer_complete() && opened.blocks_closed() == 1);
}

#[test]
fn the_questions_of_a_stream() {
    let mut scanner = Scanner::new();
    scanner.push("Let me look.\n```bash\nls\n```\n");
    assert!(!scanner.answer_has_begun() && !scanner.answer_complete());
    scanner.push("a.py\n<<<<<<< SEARCH\nx\n");
    assert!(scanner.answer_has_begun() && scanner.inside_block() && scanner.block_kind() == Some(SR));
    scanner.push("=======\ny\n>>>>>>> REPLACE");
    assert!(scanner.inside_block(), "the line may go on");
    scanner.push("\nThat does it.\n");
    assert!(scanner.answer_complete() && scanner.prose_lines_after() == 1);
    scanner.push("```py\ndef half(");
    scanner.abandon();
    assert_eq!(scanner.push("\nagain:\n```py\nx\n```\n").iter().filter(|e| matches!(e, Event::Closed(_))).count(), 1);
}

#[test]
fn the_reply_proper() {
    assert_eq!(proper("done\n### User: more\nx"), "done\n");
    assert_eq!(proper("```md\n### User: x\n```\n"), "```md\n### User: x\n```\n");
    assert_eq!(proper("a<|im_end|>\nb"), "a");
    assert_eq!(proper("```py\nx\n```<|im_end|>\nb"), "```py\nx\n```\n");
    assert_eq!(proper("```py\nx = '<|im_end|>'\n```\n"), "```py\nx = '<|im_end|>'\n```\n");
    assert_eq!(proper("<think>no</think>yes"), "yes");
    assert_eq!(proper("a\r\nb\r\n"), "a\nb\n");
}
