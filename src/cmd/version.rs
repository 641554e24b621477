//! `z1 --version --verbose`: what this build is made of, for a bug report.

use std::ffi::OsStr;

use crate::engine;

/// What the program's own word is followed by; `None` where something else was typed than both words.
pub fn at_length<'a>(words: impl Iterator<Item = &'a OsStr>) -> Option<String> {
    let (mut version, mut verbose) = (false, false);
    for word in words {
        match word.to_str()? {
            "--version" | "-V" => version = true,
            "--verbose" | "-v" => verbose = true,
            _ => return None,
        }
    }
    (version && verbose).then(text)
}

fn text() -> String {
    let features: Vec<&str> =
        super::doctor::back_ends().into_iter().filter(|(_, built)| *built).map(|(name, _)| name).collect();
    let lines = [
        format!("z1 {}", env!("CARGO_PKG_VERSION")),
        // Whoever packs it knows; a build of a working tree need not be any commit's.
        format!("commit: {}", option_env!("Z1_COMMIT").unwrap_or("not told to this build (Z1_COMMIT)")),
        format!("engine: {}", engine::library()),
        format!("features: {}", if features.is_empty() { "none".to_owned() } else { features.join(", ") }),
        format!("profile: {}", if cfg!(debug_assertions) { "debug" } else { "release" }),
        format!("for: {}-{}, {}", std::env::consts::ARCH, std::env::consts::OS, processor()),
    ];
    lines.map(|line| line + "\n").concat()
}

/// Which processors the program's own code runs on.
const fn processor() -> &'static str {
    if cfg!(feature = "dist") {
        "any processor of it; llama.cpp's code is chosen when it starts"
    } else if cfg!(target_feature = "avx512f") {
        "processors with AVX-512 like the one it was built on"
    } else if cfg!(target_feature = "avx2") {
        "processors with AVX2 like the one it was built on"
    } else {
        "processors like the one it was built on"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Option<String> {
        at_length(words.iter().map(OsStr::new))
    }

    #[test]
    fn both_words_and_nothing_else_are_answered_at_length() {
        let text = of(&["--version", "--verbose"]).unwrap();
        assert_eq!(of(&["-v", "-V"]).unwrap(), text);
        for part in ["z1 0.", "\ncommit: ", "\nengine: ", "\nfeatures: ", "\nfor: "] {
            assert!(text.contains(part), "{part}: {text}");
        }
        for words in [&["--version"][..], &["-v"], &["--version", "-v", "doctor"], &[]] {
            assert_eq!(of(words), None);
        }
    }
}
