//! What goes wrong outside: files that are no models, prompts that are none, homes and disks that refuse. Each ends
//! with one clear line, what to do, the right code, and the transcript where there was a task.

use std::path::Path;

use crate::cli::{Home, Ran, can_run_code, reply};

/// One line that says what is wrong and, where `hint`, one that says what to do; nothing on stdout.
#[track_caller]
fn refused(ran: Ran, code: i32, word: &str) {
    let ran = ran.ends(code, word);
    assert_eq!(ran.out, "", "{ran:?}");
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(lines[0].starts_with("z1: ") && lines[1].starts_with("    hint: ") && lines.len() == 2, "{ran:?}");
}

/// The task is in the transcript, and so is what became of it.
#[track_caller]
fn assert_kept(home: &Home, word: &str) {
    let lines = home.transcript();
    assert_eq!(lines[0]["task"]["prompt"], "hi", "{lines:?}");
    assert!(lines.last().unwrap()["message"].as_str().unwrap_or_default().contains(word), "{lines:?}");
}

#[track_caller]
fn model_is_refused(bytes: &[u8], word: &str) {
    let home = Home::new();
    let path = home.write("m.gguf", bytes);
    refused(home.run(&["-p", "--model", path.to_str().unwrap(), "hi"]), 4, word);
    assert_kept(&home, word);
}

#[cfg(feature = "llama")]
mod models {
    use z1::gguf::tiny::Tiny;
    use z1::gguf::{Gguf, TensorType, Value, Writer};

    use super::*;

    fn tiny() -> Vec<u8> {
        let home = Home::new();
        let path = home.path().join("tiny.gguf");
        Tiny::default().write(&path).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn a_web_page_a_pointer_and_an_empty_file_are_no_models() {
        model_is_refused(b"<!DOCTYPE html><html><body>404</body></html>", "a web page");
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 4683073184\n";
        model_is_refused(pointer.as_bytes(), "Git LFS pointer");
        model_is_refused(b"", "an empty file");
        model_is_refused(b"PK\x03\x04 something else", "not a GGUF file");
    }

    #[test]
    fn a_truncated_model_is_named_so() {
        let whole = tiny();
        for length in [5, 20, 300, whole.len() / 2, whole.len() - 1] {
            model_is_refused(&whole[..length], "truncated");
        }
    }

    #[test]
    fn a_header_that_claims_the_moon_is_damaged() {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(u64::MAX.to_le_bytes());
        bytes.extend(u64::MAX.to_le_bytes());
        model_is_refused(&bytes, "damaged");
    }

    /// A model of this architecture with one small tensor.
    fn hollow(home: &Home, architecture: &str) -> std::path::PathBuf {
        let mut writer = Writer::new();
        writer.set("general.architecture", architecture);
        for key in ["block_count", "attention.head_count", "embedding_length", "context_length"] {
            writer.set(format!("{architecture}.{key}"), Value::U32(32));
        }
        writer.tensor("token_embd.weight", TensorType::F32, &[32, 8]);
        let path = home.path().join("hollow.gguf");
        writer.write(&path, |tensor, out| out.write_all(&vec![0; tensor.bytes as usize])).unwrap();
        path
    }

    /// A sound small model and behind it one tensor of so many rows, its data left out as a hole in the file.
    fn vast(home: &Home, rows: u64) -> std::path::PathBuf {
        const LAST: &[u8] = b"vast.weight";
        let path = home.path().join("vast.gguf");
        Tiny::default().write(&path).unwrap();
        let small = Gguf::open(&path).unwrap();
        let mut writer = Writer::new();
        writer.metadata = small.metadata.clone();
        for tensor in &small.tensors {
            writer.tensor(tensor.name.clone(), tensor.kind, &tensor.dimensions);
        }
        writer.tensor("vast.weight", TensorType::F32, &[32, 8]);
        writer.write(&path, |tensor, out| out.write_all(&vec![0; tensor.bytes as usize])).unwrap();
        // The dimension that is 8 becomes the number of rows, and the file as long as that needs.
        let mut bytes = std::fs::read(&path).unwrap();
        let name = bytes.windows(LAST.len()).position(|part| part == LAST).unwrap();
        let at = name + LAST.len() + 4 + 8;
        assert_eq!(bytes[at..at + 8], 8u64.to_le_bytes());
        bytes[at..at + 8].copy_from_slice(&rows.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(bytes.len() as u64 + rows * 32 * 4).unwrap();
        path
    }

    #[test]
    fn another_architecture_is_named() {
        for (architecture, word) in [("nonsense", "nonsense"), ("bert", "does not write text")] {
            let home = Home::new();
            let path = hollow(&home, architecture);
            refused(home.run(&["-p", "--model", path.to_str().unwrap(), "hi"]), 4, word);
            assert_kept(&home, word);
        }
    }

    #[test]
    fn a_model_larger_than_memory_is_refused_before_it_is_loaded() {
        let home = Home::new();
        // Four terabytes, none of them on disk.
        let path = vast(&home, 1 << 35);
        refused(home.run(&["-p", "--model", path.to_str().unwrap(), "hi"]), 4, "MiB");
        assert_kept(&home, "memory");
    }
}

#[test]
fn a_missing_model_says_where_models_come_from() {
    for (wish, word) in [("nowhere.gguf", "does not exist"), (".", "is a folder"), ("no-such-name", "not installed")] {
        let home = Home::new();
        refused(home.run(&["-p", "--model", wish, "hi"]), 4, word);
        assert_kept(&home, word);
    }
}

#[test]
fn prompts_that_are_none_are_refused_before_anything_is_loaded() {
    let home = Home::new();
    refused(home.run(&["-p", ""]), 2, "the task is empty");
    refused(home.run_fed(&["-p"], b" \n\t\n"), 2, "the task is empty");
    refused(home.run_fed(&["-p"], &vec![b'a'; 10 << 20]), 2, "larger than 1 MiB");
    refused(home.run_fed(&["-p"], b"\x7fELF\x02\x01\xff\xfe\x80"), 2, "not text");
    refused(home.run_fed(&["-p"], b"a\0b"), 2, "NUL");
}

#[test]
fn a_prompt_longer_than_the_context_reaches_a_limit_and_is_kept() {
    let home = Home::new();
    let model = home.script(&[reply("never asked")]);
    let words = "word ".repeat(20_000);
    let ran = home.run_fed(&["-p", "--model", &model], words.as_bytes()).ends(5, "no room for an answer");
    assert_eq!(ran.out, "");
    assert_eq!(home.transcript().last().unwrap()["outcome"]["status"], "limit_reached");
}

#[test]
fn numbers_out_of_range_and_unknown_words_are_usage() {
    let home = Home::new();
    for window in ["-5", "99999999999999999999", "1e3", "", "many"] {
        refused(home.run(&["-p", "--window", window, "hi"]), 2, "--window");
    }
    for (flag, value) in [("--samples", "0"), ("--samples", "5000"), ("--rounds", "-1"), ("--temperature", "hot")] {
        refused(home.run(&["-p", flag, value, "hi"]), 2, flag);
    }
    for arguments in [&["--frobnicate"][..], &["-p", "--fast", "--deep", "hi"], &["-p", "--output-format", "xml", "hi"]]
    {
        home.run(arguments).ends(2, "error: ");
    }
    let absurd = home.script(&[reply("print(1)")]);
    home.run(&["-p", "--window", "1000000", "--model", &absurd, "print 1"]).ends(0, "unverified");
}

#[test]
fn a_home_that_cannot_be_written_costs_a_warning_only() {
    let home = Home::new();
    let model = home.script(&[reply("print(1)")]);
    // Nobody, root included, can make a folder there.
    let mut command = home.command(&["-p", "--model", &model, "print 1"]);
    let ran = crate::cli::finish(command.env("Z1_HOME", "/proc/z1").spawn().unwrap());
    assert_eq!(ran.ends(0, "the transcript cannot be kept").out, "print(1)\n");
}

#[test]
fn a_full_disk_under_stdout_is_an_error_and_the_transcript_has_the_answer() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full here");
        return;
    }
    let home = Home::new();
    let model = home.script(&[reply("print(1)")]);
    for format in ["text", "json", "stream-json"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = home.command(&["-p", "--output-format", format, "--model", &model, "print 1"]);
        let ran = crate::cli::finish(command.stdout(full).spawn().unwrap());
        refused(ran, 1, "the answer cannot be written");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_size_limit_is_an_error_of_the_write_and_no_sudden_end() {
    let home = Home::new();
    let model = home.script(&[reply("print(1)")]);
    let mut command = std::process::Command::new("sh");
    let run = home.command(&[]);
    // Neither the transcript nor the answer can be written; both are said, and the program ends by itself.
    command.args(["-c", "ulimit -f 0; exec \"$@\" > answer", "sh"]).arg(run.get_program());
    command.args(["-p", "--model", &model, "print 1"]).current_dir(home.path());
    command.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let ran = crate::cli::finish(command.spawn().unwrap()).ends(1, "the answer cannot be written: File too large");
    assert!(ran.err.contains("the transcript is incomplete"), "{ran:?}");
}

#[test]
fn a_home_that_is_a_file_is_refused_before_anything_else() {
    let home = Home::new();
    let file = home.write("file", "x");
    let model = home.script(&[reply("print(1)")]);
    for arguments in [vec!["-p", "--model", &model, "print 1"], vec!["doctor"], vec!["models", "list"]] {
        let mut command = home.command(&arguments);
        refused(crate::cli::finish(command.env("Z1_HOME", &file).spawn().unwrap()), 2, "which is not a folder");
    }
}

/// Runs a line of shell with mounts of its own before the program; `None`, said aloud, where that is not allowed.
/// With `own_users` it needs no root, but then there are no walls inside.
#[cfg(target_os = "linux")]
fn in_namespace(home: &Home, own_users: bool, line: &str, arguments: &[&str]) -> Option<Ran> {
    let mut command = home.command(&[]);
    let z1 = command.get_program().to_owned();
    let mut outer = std::process::Command::new("unshare");
    outer.args(if own_users { &["--user", "--map-root-user", "--mount"][..] } else { &["--mount"] }).args(["sh", "-c"]);
    outer.arg(format!("{line} || exit 77; exec \"$@\"")).arg("sh").arg(z1).args(arguments);
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(home.path());
    outer.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command = outer;
    let ran = command.spawn().map(crate::cli::finish);
    match ran {
        Ok(ran) if ran.code != Some(77) && !ran.err.starts_with("unshare:") => Some(ran),
        other => {
            println!("skipped: no mounts of our own here: {other:?}");
            None
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_home_costs_a_warning_only() {
    let home = Home::new();
    let model = home.script(&[reply("print(1)")]);
    let line = "mkdir z1 && mount -t tmpfs -o size=8k none z1 && { dd if=/dev/zero of=z1/fill bs=4k count=9 2>/dev/null; true; }";
    let Some(ran) = in_namespace(&home, true, line, &["-p", "--model", &model, "print 1"]) else { return };
    assert_eq!(ran.ends(0, "the transcript").out, "print(1)\n");
}

#[cfg(target_os = "linux")]
#[test]
fn without_python_the_answer_is_unverified_and_says_so() {
    if !can_run_code() {
        return;
    }
    let home = Home::new();
    let model = home.script(&[reply("def rev(s):\n    return s[::-1]")]);
    // A layer over the system's programs in which every Python is gone.
    let line = "PATH=/usr/bin:/bin; mkdir up work && mount -t overlay -o lowerdir=/usr/bin,upperdir=up,workdir=work none \
                /usr/bin && rm -f /usr/bin/python*";
    let task = "Write rev(s). assert rev(\"ab\") == \"ba\"";
    let Some(ran) = in_namespace(&home, false, line, &["-p", "--model", &model, task]) else { return };
    let ran = ran.ends(0, "z1: not verified: there is no python3 on this machine");
    assert_eq!(ran.out, "def rev(s):\n    return s[::-1]\n");
}
