//! Files that are not what they should be, through the program: one sentence and a code, no crash, little memory.

use std::process::{Command, Stdio};

use proptest::prelude::*;
use z1::gguf::tiny::Tiny;

use crate::models::{Home, checkpoint, rewrite};

/// What a refusal may take of memory at most.
pub(crate) const RESIDENT_BYTES_MAX: u64 = 200 << 20;

pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
    pub(crate) resident_bytes: u64,
}

/// What a program that does nothing is said to have used: the kernel counts a child's peak from before its `exec`,
/// where it is still this test's own memory.
#[cfg(unix)]
pub(crate) fn inherited_bytes() -> u64 {
    static BYTES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let now = waited(&mut Command::new("true")).resident_bytes;
    BYTES.fetch_max(now, std::sync::atomic::Ordering::Relaxed).max(now)
}

/// Runs z1 and waits for it together with what it used.
#[cfg(unix)]
fn run(home: &Home, arguments: &[&str]) -> End {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("z1"));
    waited(command.args(arguments).env("Z1_HOME", home.path()).current_dir(home.path()).env_remove("Z1_MODEL"))
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "only wait4 tells one child's peak memory")]
pub(crate) fn waited(command: &mut Command) -> End {
    use std::io::Read;
    #[expect(clippy::zombie_processes, reason = "wait4 waits for it, which clippy cannot see")]
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    let mut status = 0;
    // SAFETY: a zeroed `rusage` is a valid one; the child is ours, and nobody else waits for it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::wait4(child.id() as i32, &raw mut status, 0, &raw mut usage), child.id() as i32);
        usage
    };
    let code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    End { code, stderr, resident_bytes: usage.ru_maxrss as u64 * unit }
}

fn assert_refused(what: &str, end: &End) {
    assert!(matches!(end.code, Some(1..=4)), "{what}: {:?} {}", end.code, end.stderr);
    assert!(!end.stderr.contains("panicked") && !end.stderr.contains("GGML_ASSERT"), "{what}: {}", end.stderr);
    let lines: Vec<&str> = end.stderr.lines().collect();
    let hint = lines.get(1).is_none_or(|line| line.trim_start().starts_with("hint:"));
    assert!((1..=2).contains(&lines.len()) && lines[0].starts_with("z1: ") && hint, "{what}: {}", end.stderr);
    let most = RESIDENT_BYTES_MAX.max(inherited_bytes());
    assert!(end.resident_bytes <= most, "{what}: {} MiB of {}", end.resident_bytes >> 20, most >> 20);
}

fn tiny(home: &Home) -> Vec<u8> {
    let path = home.path().join("whole.gguf");
    Tiny::default().write(&path).unwrap();
    std::fs::read(path).unwrap()
}

/// A GGUF header of these counts and bytes.
fn header(tensors: u64, entries: u64, rest: &[u8]) -> Vec<u8> {
    [b"GGUF", &3_u32.to_le_bytes()[..], &tensors.to_le_bytes(), &entries.to_le_bytes(), rest].concat()
}

fn text(bytes: &str) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes()[..], bytes.as_bytes()].concat()
}

/// The file with the first occurrence of `from` replaced by `to` of the same length.
fn swapped(file: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = file.windows(from.len()).position(|window| window == from).expect("it is there");
    [&file[..at], to, &file[at + from.len()..]].concat()
}

/// The file with the 4 bytes after a key and its kind replaced.
fn with_number(file: &[u8], key: &str, number: u32) -> Vec<u8> {
    let at = file.windows(key.len()).position(|window| window == key.as_bytes()).expect("it is there") + key.len() + 4;
    [&file[..at], &number.to_le_bytes(), &file[at + 4..]].concat()
}

fn gguf_corpus(whole: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let list = |kind: u32, count: u64| {
        [text("a"), 9_u32.to_le_bytes().to_vec(), kind.to_le_bytes().to_vec(), count.to_le_bytes().to_vec()].concat()
    };
    let tensor = |dimensions: &[u64], kind: u32, offset: u64| {
        let mut bytes = [text("t"), (dimensions.len() as u32).to_le_bytes().to_vec()].concat();
        bytes.extend(dimensions.iter().flat_map(|d| d.to_le_bytes()));
        [bytes, kind.to_le_bytes().to_vec(), offset.to_le_bytes().to_vec(), vec![0; 4096]].concat()
    };
    let deep: Vec<u8> = (0..10_000).flat_map(|_| [9_u32.to_le_bytes(), 9_u32.to_le_bytes()].concat()).collect();
    vec![
        ("empty", Vec::new()),
        ("one byte", b"G".to_vec()),
        ("magic alone", b"GGUF".to_vec()),
        ("LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n".to_vec()),
        ("web page", b"<!DOCTYPE html><html><body>Not found</body></html>".to_vec()),
        ("json", b"{\"error\":\"Repository not found\"}".to_vec()),
        ("zip", b"PK\x03\x04archive/data.pkl".to_vec()),
        ("pickle", b"\x80\x02}q\x00X\x05\x00\x00\x00stateq\x01.".to_vec()),
        ("gzip", b"\x1f\x8b\x08\x00aaaa".to_vec()),
        ("not utf-8", vec![0xFF; 4096]),
        ("zeros", vec![0; 4096]),
        ("version 1", [b"GGUF", &1_u32.to_le_bytes()[..], &[0; 16]].concat()),
        ("version 99", [b"GGUF", &99_u32.to_le_bytes()[..], &[0; 16]].concat()),
        ("big-endian", [b"GGUF", &3_u32.to_be_bytes()[..], &[0; 16]].concat()),
        ("nothing in it", header(0, 0, &[])),
        ("countless tensors", header(u64::MAX, 0, &[0; 64])),
        ("countless entries", header(0, u64::MAX, &[0; 64])),
        ("many entries", header(0, 9_999, &[0; 64])),
        ("an endless key", header(0, 1, &u64::MAX.to_le_bytes())),
        ("an endless text", header(0, 1, &[text("a"), 8_u32.to_le_bytes().to_vec(), vec![255; 8]].concat())),
        ("an unknown kind", header(0, 1, &[text("a"), 77_u32.to_le_bytes().to_vec(), vec![0; 64]].concat())),
        ("an endless list", header(0, 1, &list(10, u64::MAX))),
        ("an endless list of texts", header(0, 1, &list(8, 1 << 60))),
        ("an endless list of bytes", header(0, 1, &list(0, 1 << 40))),
        ("lists in lists", header(0, 1, &[text("a"), deep].concat())),
        ("a key twice", header(0, 2, &[text("a"), vec![0; 4], vec![1], text("a"), vec![0; 4], vec![1]].concat())),
        ("a huge shape", header(1, 0, &tensor(&[u64::MAX, 2], 0, 0))),
        ("a shape that overflows", header(1, 0, &tensor(&[1 << 32, 1 << 32, 1 << 32], 0, 0))),
        ("an empty dimension", header(1, 0, &tensor(&[0, 4], 0, 0))),
        ("99 dimensions", header(1, 0, &tensor(&[1; 99], 0, 0))),
        ("an unknown type", header(1, 0, &tensor(&[32], 4_000, 0))),
        ("half a block", header(1, 0, &tensor(&[31], 8, 0))),
        ("an offset beyond the file", header(1, 0, &tensor(&[32], 0, 1 << 62))),
        ("a crooked offset", header(1, 0, &tensor(&[32], 0, 3))),
        ("two tensors of one name", header(2, 0, &[tensor(&[8], 0, 0)[..41].to_vec(), tensor(&[8], 0, 32)].concat())),
        ("tensors only", header(1, 0, &tensor(&[32], 0, 0))),
        ("cut in the header", whole[..1000].to_vec()),
        ("cut in the weights", whole[..whole.len() - 1000].to_vec()),
        ("another architecture", swapped(whole, b"qwen2", b"xxxxx")),
        ("no heads", with_number(whole, "qwen2.attention.head_count", 0)),
        ("three heads", with_number(whole, "qwen2.attention.head_count", 3)),
        ("a billion layers", with_number(whole, "qwen2.block_count", 1 << 30)),
        ("too many layers", with_number(whole, "qwen2.block_count", 3)),
        ("no width", with_number(whole, "qwen2.embedding_length", 0)),
        ("another width", with_number(whole, "qwen2.embedding_length", 128)),
        ("another feed-forward", with_number(whole, "qwen2.feed_forward_length", 64)),
        ("no context", with_number(whole, "qwen2.context_length", 0)),
        ("a rope of NaN", with_number(whole, "qwen2.rope.freq_base", f32::NAN.to_bits())),
        ("an epsilon of infinity", with_number(whole, "layer_norm_rms_epsilon", f32::INFINITY.to_bits())),
        ("an end that is no token", with_number(whole, "tokenizer.ggml.eos_token_id", 1 << 30)),
        ("kinds of another number", with_number(whole, "tokenizer.ggml.token_type", 4)),
        ("tokens that are numbers", with_number(whole, "tokenizer.ggml.tokens", 10)),
        ("a nameless vocabulary", swapped(whole, b"gpt2", b"xxxx")),
        ("a tensor renamed", swapped(whole, b"blk.1.attn_q.weight", b"blk.1.attn_x.weight")),
        ("no norm", swapped(whole, b"output_norm", b"output_nurm")),
    ]
}

#[cfg(unix)]
#[test]
fn malformed_gguf_files_are_refused_in_a_sentence() {
    let home = Home::new();
    let whole = tiny(&home);
    for (what, bytes) in gguf_corpus(&whole) {
        let path = home.path().join("file.gguf");
        std::fs::write(&path, &bytes).unwrap();
        let path = path.to_str().unwrap();
        // What only llama.cpp can see is refused when the model is loaded.
        let seen_late = ["a nameless vocabulary", "a tensor renamed"].contains(&what);
        if !seen_late {
            assert_refused(&format!("info: {what}"), &run(&home, &["models", "info", path]));
            assert_refused(&format!("add: {what}"), &run(&home, &["models", "add", path, "--name", "x"]));
        }
        assert_refused(&format!("-p: {what}"), &run(&home, &["-p", "-q", "--model", path, "say hello"]));
    }
    assert!(!home.path().join("data/models/x").exists());
}

/// A safetensors file of this header and some data.
fn safetensors(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 64]].concat()
}

fn weights_corpus(whole: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let one = |rest: &str| safetensors(&format!("{{\"model.norm.weight\":{rest}}}"));
    vec![
        ("empty", Vec::new()),
        ("LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n".to_vec()),
        ("web page", b"<!DOCTYPE html><html></html>".to_vec()),
        ("zip", b"PK\x03\x04archive/data.pkl".to_vec()),
        ("pickle", b"\x80\x02}q\x00.".to_vec()),
        ("a GGUF", b"GGUF\x03\x00\x00\x00".to_vec()),
        ("cut", whole[..whole.len() / 3].to_vec()),
        ("cut in the header", whole[..100].to_vec()),
        ("an endless header", [&u64::MAX.to_le_bytes()[..], b"{}"].concat()),
        ("a header of no bytes", [&0_u64.to_le_bytes()[..], b"{}"].concat()),
        ("a header of spaces", safetensors(&" ".repeat(100_000))),
        ("no JSON", safetensors("nothing")),
        ("a list", safetensors("[]")),
        ("deep", safetensors(&format!("{{\"a\":{}", "[".repeat(100_000)))),
        ("deep metadata", safetensors(&format!("{{\"__metadata__\":{}", "{\"a\":".repeat(50_000)))),
        ("not utf-8", [&4_u64.to_le_bytes()[..], &[b'{', b'"', 0xFF, 0xFE]].concat()),
        ("a number", one("7")),
        ("no offsets", one(r#"{"dtype":"F32","shape":[8]}"#)),
        ("one offset", one(r#"{"dtype":"F32","shape":[8],"data_offsets":[0]}"#)),
        ("turned offsets", one(r#"{"dtype":"F32","shape":[8],"data_offsets":[32,0]}"#)),
        ("negative offsets", one(r#"{"dtype":"F32","shape":[8],"data_offsets":[-32,0]}"#)),
        ("NaN offsets", one(r#"{"dtype":"F32","shape":[8],"data_offsets":[NaN,32]}"#)),
        ("fractions", one(r#"{"dtype":"F32","shape":[8.5],"data_offsets":[0,34]}"#)),
        (
            "huge offsets",
            one(r#"{"dtype":"F32","shape":[8],"data_offsets":[18446744073709551584,18446744073709551615]}"#),
        ),
        (
            "a shape that overflows",
            one(r#"{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,32]}"#),
        ),
        (
            "a million dimensions",
            one(&format!(r#"{{"dtype":"F32","shape":[{}1],"data_offsets":[0,4]}}"#, "1,".repeat(1_000_000))),
        ),
        ("integers", one(r#"{"dtype":"I64","shape":[4],"data_offsets":[0,32]}"#)),
        ("a type that is a number", one(r#"{"dtype":1,"shape":[8],"data_offsets":[0,32]}"#)),
        (
            "overlapping",
            safetensors(
                r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}"#,
            ),
        ),
        (
            "twice",
            safetensors(
                r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"a":{"dtype":"F32","shape":[4],"data_offsets":[16,32]}}"#,
            ),
        ),
        ("too little", one(r#"{"dtype":"F32","shape":[8],"data_offsets":[0,32]}"#)),
    ]
}

fn settings_corpus() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", Vec::new()),
        ("no JSON", b"<html></html>".to_vec()),
        ("LFS pointer", b"version https://git-lfs.github.com/spec/v1\n".to_vec()),
        ("a list", b"[]".to_vec()),
        ("a word", b"null".to_vec()),
        ("deep", "[".repeat(200_000).into_bytes()),
        ("deep objects", "{\"a\":".repeat(200_000).into_bytes()),
        ("not utf-8", vec![b'{', 0xFF, b'}']),
        ("cut", b"{\"architectures\": [\"Qwen2ForCausalLM\"".to_vec()),
        ("large", vec![b' '; 30 << 20]),
        ("numbers as texts", br#"{"architectures":["Qwen2ForCausalLM"],"hidden_size":"many"}"#.to_vec()),
        ("NaN", br#"{"architectures":["Qwen2ForCausalLM"],"hidden_size":NaN}"#.to_vec()),
        (
            "a map of nothing",
            br#"{"weight_map":{"a":"../../etc/passwd"},"model":{"vocab":{"a":99999999},"merges":[]}}"#.to_vec(),
        ),
    ]
}

#[cfg(unix)]
#[test]
fn malformed_checkpoints_are_refused_in_a_sentence() {
    let home = Home::new();
    let folder = home.path().join("m");
    checkpoint(&folder, false);
    rewrite(&folder, safetensors::tensor::Dtype::F32, 1);
    let restore = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    let import = |what: &str| {
        assert_refused(&format!("import: {what}"), &run(&home, &["models", "import", "m"]));
        assert!(!home.path().join("data/models/m").exists(), "{what}");
    };
    let weights = std::fs::read(folder.join("model.safetensors")).unwrap();
    for (what, bytes) in weights_corpus(&weights) {
        restore("model.safetensors", &bytes);
        import(what);
        let path = folder.join("model.safetensors");
        assert_refused(what, &run(&home, &["models", "info", path.to_str().unwrap()]));
    }
    restore("model.safetensors", &weights);
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        let whole = std::fs::read(folder.join(name)).unwrap();
        for (what, bytes) in settings_corpus() {
            // These say nothing about tokens, which is allowed.
            if name == "tokenizer_config.json"
                && ["a list", "a word", "numbers as texts", "a map of nothing"].contains(&what)
            {
                continue;
            }
            restore(name, &bytes);
            import(&format!("{name}: {what}"));
        }
        restore(name, &whole);
    }
    restore("model.safetensors.index.json", br#"{"weight_map":{"a":"../../etc/passwd"}}"#);
    import("an index that leaves the folder");
    restore("model.safetensors.index.json", br#"{"weight_map":{"a":"gone.safetensors"}}"#);
    import("an index of what is not there");
    restore("model.safetensors.index.json", &"[".repeat(100_000).into_bytes());
    import("a deep index");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to a header, reading it and planning with it ends in a value or an error.
    #[test]
    fn a_mutated_gguf_is_a_value_or_an_error(
        changes in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 1..8),
        cut in prop::option::of(0.0..1.0_f64),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.gguf");
        Tiny { layers: 1, width: 32, heads: 2, kv_heads: 1, feed_forward: 32, ..Tiny::default() }.write(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        // Most of the header's weight is its vocabulary; strike before it as often as in it.
        for (where_to, value) in changes {
            let reach = if value % 2 == 0 { 1200 } else { 14_000.min(bytes.len()) };
            bytes[(where_to * reach as f64) as usize] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate((cut * bytes.len() as f64) as usize);
        }
        std::fs::write(&path, bytes).unwrap();
        if let Ok(gguf) = z1::gguf::Gguf::open(&path)
            && let Ok(shape) = z1::engine::Shape::of(&gguf)
        {
            let machine = z1::engine::Machine {
                gpus: Vec::new(), memory_available_bytes: 1 << 33, threads: 1, prefers_plain_weights: true,
            };
            let _ = z1::engine::plan(&z1::engine::LoadOptions::from_path(&path), &shape, &machine);
        }
    }

    #[test]
    fn a_mutated_safetensors_header_is_a_value_or_an_error(
        changes in prop::collection::vec((0usize..160, any::<u8>()), 1..6),
    ) {
        let header = r#"{"model.norm.weight":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},"b":{"dtype":"BF16","shape":[4,4],"data_offsets":[32,64]}}"#;
        let mut bytes = safetensors(header);
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        if let Ok(mut shard) = z1::model_store::import::safetensors::Shard::open(file.path()) {
            for index in 0..shard.tensors.len() {
                let _ = shard.for_each_chunk(index, 16, |_| Ok(()));
            }
        }
    }
}
