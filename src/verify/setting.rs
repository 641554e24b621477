//! Where a language's programs run: the tool, what it must be able to read, and a strict policy around it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::sandbox::{Limits, Policy, Workspace, toolchains};
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
    let tool = toolchains::find(language).ok_or_else(|| missing(language))?;
    Ok(Setting { program: tool.program, ro: tool.ro, env: tool.env })
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
