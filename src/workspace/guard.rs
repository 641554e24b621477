//! Which paths may be written at all. Pure: what only the disk knows (links, kinds) is asked in `tree`.

/// Checks a relative path with `/` between its components.
///
/// # Errors
/// A sentence that says what is wrong with the path.
pub fn check(path: &str) -> Result<(), String> {
    const PATH_BYTES_MAX: usize = 1024;
    const NAME_BYTES_MAX: usize = 255;
    let refuse = |why: &str| Err(format!("{}: {why}", shown(path)));
    if path.is_empty() {
        return refuse("the path is empty");
    }
    if path.len() > PATH_BYTES_MAX {
        return refuse("the path is too long");
    }
    if path.chars().any(|c| c.is_control() || is_invisible(c)) {
        return refuse("the path has a control or invisible character");
    }
    if path.starts_with(['/', '\\', '~']) || path.contains('\\') || path.contains(':') {
        return refuse("only paths relative to the project, with / between folders, are taken");
    }
    for name in path.split('/') {
        if name.is_empty() || name == "." || name == ".." {
            return refuse("the path has an empty, . or .. component");
        }
        if name.len() > NAME_BYTES_MAX {
            return refuse("a name in the path is too long");
        }
        if is_git(name) {
            return refuse(".git is not touched");
        }
        // Elsewhere such a name is a file like any other.
        if cfg!(windows) && is_device(name) {
            return refuse("the name is reserved for a device");
        }
        if name.ends_with(['.', ' ']) || name.starts_with(' ') {
            return refuse("a name in the path begins or ends with a space or ends with a dot");
        }
    }
    Ok(())
}

fn shown(path: &str) -> String {
    let cut: String = path.chars().take(80).collect();
    cut.escape_debug().to_string()
}

/// Characters that file systems drop or that hide in print.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `.git` in every spelling that some file system takes for it.
fn is_git(name: &str) -> bool {
    let name = name.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    name == ".git" || name == "git~1"
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or("").trim_end().to_ascii_uppercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|rest| {
            rest.chars().count() == 1 && rest.chars().all(|c| matches!(c, '0'..='9' | '¹' | '²' | '³'))
        })
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") || numbered("COM") || numbered("LPT")
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn takes_ordinary_paths() {
        for path in [
            "a.py",
            "src/a b.rs",
            ".github/workflows/ci.yml",
            ".gitignore",
            "app/[id]/page.tsx",
            "común/é.py",
            "src/aux.c",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn refuses_every_way_out() {
        for path in [
            "",
            "/etc/passwd",
            "../a",
            "a/../b",
            "./a",
            "a//b",
            "a/",
            "C:/x",
            "a\\b",
            "~/x",
            ".git/config",
            "a/.GIT/x",
            ".git./x",
            "git~1/config",
            "a\0b",
            "a\nb",
            "x:y",
            ".g\u{200c}it/config",
            "a.",
        ] {
            assert!(check(path).is_err(), "{path:?}");
        }
        assert!(super::is_device("aux.py") && super::is_device("COM1.txt") && !super::is_device("auxiliary.c"));
        assert!(check(&"a/".repeat(600)).is_err());
        assert!(check(&"a".repeat(256)).is_err());
    }
}
