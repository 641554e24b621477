//! Whether lines end the process with success, or make a failure one: all it takes where an exit code is all that is looked
//! at. Pure.

use std::sync::LazyLock;

use regex::Regex;

/// Calls and statements that end a process with success, language by language.
const LEAVES: [&str; 12] = [
    // Python.
    r"\bos\._exit\b|\bSystemExit\s*(\(\s*(0|None|False)?\s*\)|$)|\bimport\b.*\b(_?exit|quit)\s+as\b",
    r"\bgetattr\(\s*(os|sys|builtins|posix)\s*,\s*['\x22](_?exit|abort|kill|exec\w*)['\x22]",
    // A call of that name: of these modules, or of nobody's.
    r"(?:^|[^.\w:]|\b(?:sys|os|posix|builtins|process|Deno|Environment|libc|std|syscall)(?:\.|::))(?:exit|Exit|quit)\s*\(\s*(?:0|EXIT_SUCCESS|true|True|None|False|null|undefined)?\s*\)",
    // Node.
    r"process\.(exit|reallyExit)\s*\(\s*0?\s*\)|process\[\s*['\x22`](exit|reallyExit|exitCode)['\x22`]|\{[^}]*\b(exit|reallyExit)\b[^}]*\}\s*=\s*(process\b|require\(\s*['\x22](node:)?process)",
    r"\bexitCode\s*(\|\||&&|\?\?)?=\s*(0|undefined|null)\b",
    // Rust, Java, Go, Lua.
    r"process::exit\s*\(\s*0|System\.exit\s*\(\s*0|\bhalt\s*\(\s*0|\bos\.Exit\s*\(\s*0|syscall\.Exit\s*\(\s*0",
    // C.
    r"\b(_exit|_Exit|quick_exit)\s*\(\s*(0|EXIT_SUCCESS)",
    r"__attribute__\s*\(\(\s*(__)?(con|de)structor|section\s*\(\s*\x22\.(init|fini|ctors|dtors)",
    // Shells, Ruby, PHP.
    r"^\s*exec\s+[^\s\d<>&]|^\s*exit!?(\s+(0|true))?\s*(;|$|\})|(\|\||&&|;|\bthen|\bdo|\{)\s*exit\s+0\s*(;|$|\})",
    r"^\s*trap\s.*(\bexit(\s+0)?\s*(;|['\x22])|\bexec\b|\btrue\b)",
    r"^\s*die\s*;",
    // A question that is always answered alike.
    r"#\s*define\s+(EXIT_FAILURE)\b",
];

/// Whether the added lines leave with success. `code` is the text without its comments.
pub(crate) fn leaves_with_success<'a>(added: impl Iterator<Item = &'a str>, before: &str, code: &str) -> bool {
    static LEAVING: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(&LEAVES.join("|")).expect("invariant: a valid pattern"));
    static DEFINES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\b(def|fn|func|function|void|int|async|static|public|fun)\s+(exit|quit|Exit)\s*\(|^\s*(exit|quit)\s*\(\s*\)\s*\{")
            .expect("invariant: a valid pattern")
    });
    added.into_iter().any(|line| LEAVING.is_match(line) && !DEFINES.is_match(line)) || errors_ignored(before, code)
}

/// Whether a shell's text switches off that errors end it, and not on again.
fn errors_ignored(before: &str, code: &str) -> bool {
    let open = |text: &str| {
        let count = |words: [&str; 2]| text.lines().filter(|line| words.contains(&line.trim())).count();
        count(["set +e", "set +o errexit"]).saturating_sub(count(["set -e", "set -o errexit"]))
    };
    open(code) > open(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(text: &str) -> bool {
        leaves_with_success(text.lines(), "", text)
    }

    #[test]
    fn leaving_with_success_is_seen() {
        for text in [
            "raise SystemExit(0)",
            "raise SystemExit",
            "import os; os._exit(0)",
            "sys.exit()",
            "sys.exit(None)",
            "exec /bin/true",
            "exit 0",
            "exit",
            "[ $# -gt 0 ] || exit 0",
            "process.exit()",
            "process.exit(0)",
            "exit(0);",
            "exit(EXIT_SUCCESS);",
            "_Exit(0);",
            "_exit(EXIT_SUCCESS);",
            "quick_exit(0);",
            "std::exit(0);",
            "__attribute__((constructor)) static void early(void) { done(); }",
            "process.on('exit', () => { process.exitCode = 0 })",
            "process.exitCode ||= 0",
            "process['exit'](0)",
            "const { exit: leave } = process",
            "getattr(os, '_exit')(0)",
            "from os import _exit as leave",
            "os.Exit(0)",
            "std::process::exit(0)",
            "trap 'exit 0' EXIT",
            "exit! true",
            "set +e",
        ] {
            assert!(leaves(text), "{text}");
        }
    }

    #[test]
    fn ordinary_ends_are_none() {
        for text in [
            "sys.exit(1)",
            "sys.exit(main())",
            "process.exit(1)",
            "process.exitCode = 1",
            "process.exitCode = failed ? 1 : 0",
            "if (process.exitCode === 0) {",
            "exit 1",
            "executor.run()",
            "re.exec(x)",
            "exits = 3",
            "app.exit()",
            "self.loop.quit()",
            "def exit(self):",
            "fn exit() {}",
            "function quit() {",
            "exec > log 2>&1",
            "exec 3>&1",
            "trap 'rm -f \"$tmp\"' EXIT",
            "return EXIT_SUCCESS;",
            "exit(EXIT_FAILURE);",
            "exit(code);",
            "const exit = document.querySelector('.exit')",
            "set +e\nmaybe\nset -e",
            "cmd || exit 1",
        ] {
            assert!(!leaves(text), "{text}");
        }
    }
}
