//! Where a task works: in the project that z1 was started in, or alone; which session it goes on with.

use std::path::{Path, PathBuf};

use crate::agent::intent::{self, Wish};
use crate::agent::sessions::{Session, Sessions};
use crate::agent::{Consent, ProjectSettings, project};
use crate::dirs::Dirs;
use crate::error::UserError;
use crate::task::{Check, Scope};

/// The arguments about projects and sessions.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ProjectArgs {
    /// Work in this folder's project [default: the git root or folder with a manifest around the current one]
    #[arg(short = 'C', long, value_name = "DIR", conflicts_with = "standalone")]
    project: Option<PathBuf>,
    /// Answer with a program of its own, also inside a project
    #[arg(long)]
    standalone: bool,
    /// Write a change without asking where its check passed; `--yes=unverified`: also where nothing could be checked
    #[arg(short, long, visible_alias = "apply", conflicts_with = "dry_run", value_name = "WHAT", num_args = 0..=1)]
    #[arg(require_equals = true, default_missing_value = "verified", value_parser = ["verified", "unverified"])]
    yes: Option<String>,
    /// Write nothing: the change itself is the answer
    #[arg(long)]
    dry_run: bool,
    /// Commit an accepted change with git (no hooks are run)
    #[arg(long)]
    commit: bool,
    /// Go on with the project's last session
    #[arg(short = 'c', long = "continue")]
    go_on: bool,
    /// Go on with a session by its id or the word `last`; without either, choose one (with -p, the last)
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "", conflicts_with = "go_on")]
    resume: Option<String>,
}

/// Where this run works, as found out from the arguments.
#[derive(Clone, Debug)]
pub(super) struct Project {
    pub(super) args: ProjectArgs,
    pub(super) root: Option<PathBuf>,
    /// Somebody is there to be asked.
    pub(super) asks: bool,
}

impl ProjectArgs {
    /// The project that tasks work in, where there is one.
    ///
    /// # Errors
    /// Where the folder that was named is none.
    pub(super) fn root(&self) -> Result<Option<PathBuf>, UserError> {
        if self.standalone {
            return Ok(None);
        }
        if let Some(folder) = &self.project {
            let root = folder.canonicalize().ok().filter(|root| root.is_dir());
            return root.map(Some).ok_or_else(|| {
                UserError::usage(format!("{} is not a folder", folder.display())).hint("name one with -C")
            });
        }
        let home = std::env::var_os("HOME").map(PathBuf::from);
        Ok(std::env::current_dir().ok().and_then(|folder| project::root_of(&folder, home.as_deref())))
    }

    /// Where a task works: in the project, where there is one, unless it wants a program of its own.
    pub(super) fn scope(&self, root: Option<&Path>, prompt: &str, checks: &[Check], said: Option<Wish>) -> Scope {
        let Some(root) = root else { return Scope::Standalone };
        let states_checks = project::is_standalone(checks);
        let facts = intent::Facts {
            prompt,
            project: true,
            project_named: self.project.is_some(),
            states_checks,
            names_a_file: states_checks && project::names_a_file(prompt, root),
            check_given: checks.iter().any(|check| matches!(check, Check::Command { .. })),
            language: false,
            said,
        };
        match intent::decide(facts).wish {
            Wish::Program => Scope::Standalone,
            Wish::Question | Wish::Change => Scope::Project { root: root.to_owned() },
        }
    }

    /// Settings of tasks in a project; `asks` says that somebody is there to be asked.
    pub(super) fn settings(&self, dirs: &Dirs, asks: bool, require_verified: bool) -> ProjectSettings {
        let consent = match (self.yes.as_deref(), self.dry_run, asks) {
            (Some("unverified"), ..) if !require_verified => Consent::YesUnverified,
            (Some(_), ..) => Consent::Yes,
            (None, false, true) => Consent::Ask,
            _ => Consent::Show,
        };
        let cache = Some(dirs.cache.join("repo_map"));
        ProjectSettings { state: dirs.state.clone(), cache, consent, commit: self.commit, asks, tools: Vec::new() }
    }

    /// Whether somebody wants to choose the session to go on with.
    pub(super) fn chooses_session(&self) -> bool {
        self.resume.as_deref() == Some("")
    }

    /// The session to go on with; none yet where it is still to be chosen.
    ///
    /// # Errors
    /// No such session.
    pub(super) fn session(
        &self,
        sessions: &Sessions,
        root: Option<&Path>,
        asks: bool,
    ) -> Result<Option<Session>, UserError> {
        match self.resume.as_deref() {
            Some("") if asks => return Ok(None),
            Some("") => return sessions.load("last").map(Some),
            Some(id) => return sessions.load(id).map(Some),
            None => {}
        }
        if !self.go_on {
            return Ok(None);
        }
        let latest = sessions.latest(root)?;
        latest
            .map(Some)
            .ok_or_else(|| UserError::usage("there is no session here to go on with").hint("leave --continue out"))
    }
}
