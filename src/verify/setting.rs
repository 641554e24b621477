//! Where a language's programs run: the tool, what it must be able to read, and a strict policy around it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use super::toolbox;
use crate::sandbox::{Limits, Policy, Workspace};
use crate::task::{Language, Tier, Verdict};

/// A file of the work directory: relative path, content, executable.
pub(crate) type File = (PathBuf, Vec<u8>, bool);

pub(crate) fn file(path: impl AsRef<Path>, content: &[u8]) -> File {
    (path.as_ref().to_owned(), content.to_vec(), false)
}

/// A tool and what it needs.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) program: PathBuf,
    pub(crate) ro: Vec<PathBuf>,
    pub(crate) env: Vec<(OsString, OsString)>,
}

impl Setting {
    /// The strictest policy in which the tool works.
    pub(crate) fn policy(&self, files: Vec<File>, limits: Limits, min_tier: Tier) -> Policy {
        self.policy_in(Workspace::Files(files), limits, min_tier)
    }

    pub(crate) fn policy_in(&self, workspace: Workspace, limits: Limits, min_tier: Tier) -> Policy {
        let mut policy = Policy::strict(workspace, limits);
        policy.ro.clone_from(&self.ro);
        policy.env.extend(self.env.iter().cloned());
        policy.min_tier = min_tier;
        policy
    }
}

/// The tool for this language, or the verdict that there is none.
pub(crate) fn of(language: Language) -> Result<Setting, Verdict> {
    let names: &[&str] = match language {
        Language::Python => &["python3", "python"],
        Language::JavaScript | Language::TypeScript => &["node"],
        Language::Rust => &["rustc"],
        Language::C => &["cc", "gcc", "clang"],
        Language::Cpp => &["c++", "g++", "clang++"],
        Language::Go => &["go"],
        Language::Java => &["java"],
        Language::Shell => &["bash"],
    };
    let program = names.iter().find_map(|name| real_program(name)).ok_or_else(|| missing(language))?;
    if language == Language::TypeScript && !runs_typescript(&program) {
        return Err(missing(language));
    }
    let ro = toolbox::tool_root(&program).into_iter().collect();
    Ok(Setting { program, ro, env: Vec::new() })
}

/// The first Node that can leave types out by itself (<https://nodejs.org/api/typescript.html>).
const NODE_WITH_TYPES: (u32, u32) = (22, 6);

/// Whether this Node is new enough; asked once, of the user's own tool.
fn runs_typescript(node: &Path) -> bool {
    static ASKED: OnceLock<bool> = OnceLock::new();
    *ASKED.get_or_init(|| {
        let output = std::process::Command::new(node).arg("--version").stdin(Stdio::null()).output();
        output.is_ok_and(|output| {
            node_version(&String::from_utf8_lossy(&output.stdout)).is_some_and(|version| version >= NODE_WITH_TYPES)
        })
    })
}

/// Major and minor of what `node --version` prints.
fn node_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The program behind a name: the first in PATH that is not a version manager's shim (those read the home folder).
pub(crate) fn real_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find_map(|file| {
        let real = file.canonicalize().ok()?;
        if real.file_name().is_some_and(|name| name == "rustup") {
            return rustup_tool(name);
        }
        let is_shim = file.parent().is_some_and(|folder| folder.ends_with("shims"));
        (real.is_file() && !is_shim).then_some(real)
    });
    found.or_else(|| ["/usr/bin", "/bin"].iter().map(|folder| Path::new(folder).join(name)).find(|file| file.is_file()))
}

/// The tool of rustup's default toolchain.
fn rustup_tool(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".rustup")))?;
    let settings: toml::Table = std::fs::read_to_string(home.join("settings.toml")).ok()?.parse().ok()?;
    let file = home.join("toolchains").join(settings.get("default_toolchain")?.as_str()?).join("bin").join(name);
    file.is_file().then_some(file)
}

fn missing(language: Language) -> Verdict {
    let tool = match language {
        Language::Python => "python3",
        Language::JavaScript => "node",
        Language::TypeScript => "node 22.6 or newer",
        Language::Rust => "rustc",
        Language::C => "cc",
        Language::Cpp => "c++",
        Language::Go => "go",
        Language::Java => "java",
        Language::Shell => "bash",
    };
    Verdict::NothingToCheck { why: format!("there is no {tool} on this machine to run {} with", language.fence_tag()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_new_enough_by_its_numbers() {
        for (text, is_enough) in
            [("v22.6.0\n", true), ("v23.0.1", true), ("v22.5.9", false), ("v18.20.4\n", false), ("", false)]
        {
            assert_eq!(node_version(text).is_some_and(|version| version >= NODE_WITH_TYPES), is_enough, "{text}");
        }
    }
}
