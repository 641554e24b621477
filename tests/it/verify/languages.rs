//! Programs in every language that z1 claims to run, by what they print: right, wrong, slow to end, not compiling.
//! A language whose tool this machine lacks is said to be skipped.

use serde_json::json;
use z1::sandbox::Sandbox;
use z1::task::{Check, FailureKind, Language, StdioCase, Verdict};

use super::{failures, judge_with, options, walls};
use crate::cli::Home;

/// A program that prints `WORD` and the sum of the numbers on its input, and one that does not compile or parse.
struct Sample {
    language: Language,
    program: &'static str,
    broken: &'static str,
}

const SAMPLES: [Sample; 9] = [
    Sample {
        language: Language::Python,
        program: "import sys\nprint('WORD', sum(map(int, sys.stdin.read().split())))",
        broken: "print('WORD'",
    },
    Sample {
        language: Language::JavaScript,
        program: "const fs = require('fs')\nconst xs = fs.readFileSync(0, 'utf8').trim().split(/\\s+/).map(Number)\nconsole.log('WORD', xs.reduce((a, b) => a + b, 0))",
        broken: "console.log('WORD'",
    },
    Sample {
        language: Language::TypeScript,
        program: "declare function require(name: string): any\nconst xs: number[] = require('fs').readFileSync(0, 'utf8').trim().split(/\\s+/).map(Number)\nconsole.log('WORD', xs.reduce((a: number, b: number) => a + b, 0))",
        broken: "const x: number = (",
    },
    Sample {
        language: Language::Rust,
        program: "use std::io::Read;\nfn main() {\n    let mut text = String::new();\n    std::io::stdin().read_to_string(&mut text).unwrap();\n    let sum: i64 = text.split_whitespace().map(|n| n.parse::<i64>().unwrap()).sum();\n    println!(\"WORD {sum}\");\n}",
        broken: "fn main() { let x: i32 = \"one\"; }",
    },
    Sample {
        language: Language::C,
        program: "#include <stdio.h>\nint main(void) {\n    long sum = 0, n;\n    while (scanf(\"%ld\", &n) == 1) sum += n;\n    printf(\"WORD %ld\\n\", sum);\n    return 0;\n}",
        broken: "int main(void) { return nothing_here; }",
    },
    Sample {
        language: Language::Cpp,
        program: "#include <iostream>\nint main() {\n    long sum = 0, n;\n    while (std::cin >> n) sum += n;\n    std::cout << \"WORD \" << sum << '\\n';\n}",
        broken: "int main() { return std::nothing; }",
    },
    Sample {
        language: Language::Go,
        program: "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tsum, n := 0, 0\n\tfor {\n\t\tif _, err := fmt.Scan(&n); err != nil {\n\t\t\tbreak\n\t\t}\n\t\tsum += n\n\t}\n\tfmt.Println(\"WORD\", sum)\n}",
        broken: "package main\n\nfunc main() { nothing() }",
    },
    Sample {
        language: Language::Java,
        program: "import java.util.Scanner;\n\npublic class Sum {\n    public static void main(String[] args) {\n        Scanner in = new Scanner(System.in);\n        long sum = 0;\n        while (in.hasNextLong()) sum += in.nextLong();\n        System.out.println(\"WORD \" + sum);\n    }\n}",
        broken: "public class Sum { public static void main(String[] args) { nothing(); } }",
    },
    Sample {
        language: Language::Shell,
        program: "sum=0\nfor n in $(cat); do sum=$((sum + n)); done\necho \"WORD $sum\"",
        broken: "if true; then echo WORD",
    },
];

fn sums() -> Check {
    let cases = [("1 2 3\n", "sum 6\n"), ("-5 5", "sum 0"), ("1000000000 2000000000\n", "sum 3000000000\n")];
    let case = |(input, output): (&str, &str)| StdioCase { input: input.to_owned(), output: output.to_owned() };
    Check::Stdio { cases: cases.map(case).to_vec(), hidden: false }
}

fn judge(sandbox: &Sandbox, language: Language, source: &str) -> Verdict {
    // Compilers of a busy machine are slow; nothing here waits for a limit.
    let mut options = options();
    options.call_wall = std::time::Duration::from_secs(60);
    options.limits.wall = std::time::Duration::from_secs(120);
    judge_with(sandbox, language, source, sums(), &options)
}

/// Whether the tool is missing, or too old for the language; said aloud.
fn skipped(language: Language, verdict: &Verdict) -> bool {
    let Verdict::NothingToCheck { why } = verdict else { return false };
    println!("skipped: {}: {why}", language.fence_tag());
    true
}

#[test]
fn programs_of_every_language_are_judged_by_what_they_print() {
    let Some(sandbox) = walls() else { return };
    let mut judged = Vec::new();
    for Sample { language, program, broken } in SAMPLES {
        let right = judge(&sandbox, language, &program.replace("WORD", "sum"));
        if skipped(language, &right) {
            continue;
        }
        assert!(right.passed(), "{language:?}: {right:?}");
        let wrong = judge(&sandbox, language, &program.replace("WORD", "total"));
        let first = failures(&wrong).first().unwrap_or_else(|| panic!("{language:?}: {wrong:?}"));
        assert_eq!(first.kind, FailureKind::WrongAnswer, "{language:?}: {wrong:?}");
        assert!(first.got.contains("total 6"), "{language:?}: {first:?}");
        let broken = judge(&sandbox, language, broken);
        let first = failures(&broken).first().unwrap_or_else(|| panic!("{language:?}: {broken:?}"));
        // A language without a compiler of its own tells it when it is run.
        let kinds = [FailureKind::Syntax, FailureKind::Crash];
        assert!(kinds.contains(&first.kind), "{language:?}: {broken:?}");
        judged.push(language);
    }
    assert!(judged.contains(&Language::Shell), "every machine has a shell");
}

#[test]
fn a_reply_in_any_language_is_run_and_printed() {
    if walls().is_none() {
        return;
    }
    for Sample { language, program, .. } in SAMPLES {
        let home = Home::new();
        let source = program.replace("WORD", "sum");
        let reply = format!("Add them up.\n\n```{}\n{source}\n```\n", language.fence_tag());
        let model = home.script(&[json!({"text": reply})]);
        let tests = home.write("tests.json", json!([{"input": "1 2 3\n", "output": "sum 6\n"}]).to_string());
        let tests = tests.to_string_lossy().into_owned();
        let task = format!("Read numbers, print their sum, in {}.", language.fence_tag());
        let ran = home.run(&["-p", "--standalone", "--model", &model, "--tests", &tests, &task]);
        assert_eq!((ran.code, ran.out.trim_end()), (Some(0), source.trim_end()), "{language:?}: {ran:?}");
        if ran.err.contains("not verified") {
            println!("skipped: {}: {}", language.fence_tag(), ran.err.trim());
        }
    }
}
