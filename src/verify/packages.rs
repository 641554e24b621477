//! Which packages of third parties the Python that judges has, as it sees them behind the walls.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::setting;
use crate::task::Language;

/// Whether the Python that runs tests can import this package, beside what Python brings with it.
pub(crate) fn is_installed(package: &str) -> bool {
    static SITES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let is_it = |name: &str| {
        let rest = name.strip_prefix(package);
        // A folder, a source file, or a compiled module such as `_x.cpython-311-x86_64-linux-gnu.so`.
        let is_compiled =
            |rest: &str| rest.starts_with('.') && Path::new(name).extension().is_some_and(|end| end == "so");
        rest.is_some_and(|rest| rest.is_empty() || rest == ".py" || is_compiled(rest))
    };
    SITES.get_or_init(sites).iter().any(|site| {
        let entries = std::fs::read_dir(site).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).any(|name| name.to_str().is_some_and(is_it))
    })
}

/// Where that Python looks for packages, started as the judges start it; asked once, of the user's own tool.
fn sites() -> Vec<PathBuf> {
    const ASK: &str = "import site; print(*site.getsitepackages(), sep='\\n')";
    let Ok(setting) = setting::of(Language::Python) else { return Vec::new() };
    let output = Command::new(setting.program).args(["-I", "-S", "-B", "-c", ASK]).stdin(Stdio::null()).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_publishes_is_not_installed() {
        assert!(!is_installed("z1_no_such_package"));
        assert!(!is_installed(""));
    }
}
