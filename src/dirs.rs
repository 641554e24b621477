//! The platform's folders for settings, data, state and cache; `Z1_HOME` puts all of them under one roof.
//!
//! Nothing is created here. Not for: settings (see `config`).

use std::path::PathBuf;

/// Where z1 keeps what it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// `config.toml`, prompt overrides.
    pub config: PathBuf,
    /// Models.
    pub data: PathBuf,
    /// Transcripts, sessions, undo journals, the log.
    pub state: PathBuf,
    /// Repository maps, prompt states, the extracted embedded model. May be deleted at any time.
    pub cache: PathBuf,
}

impl Dirs {
    /// The folders of this user on this platform; under `Z1_HOME` where that is set. Without a home
    /// directory, a folder of the system's temporary directory.
    pub fn find() -> Self {
        Self::of(std::env::var_os("Z1_HOME").filter(|home| !home.is_empty()).map(PathBuf::from))
    }

    /// What `Z1_HOME` names, where that is there and is no folder: nothing could be kept in it.
    pub fn roof_that_is_no_folder() -> Option<PathBuf> {
        let roof = std::env::var_os("Z1_HOME").filter(|home| !home.is_empty()).map(PathBuf::from)?;
        (roof.exists() && !roof.is_dir()).then_some(roof)
    }

    /// The folders under one roof, or the platform's.
    pub fn of(home: Option<PathBuf>) -> Self {
        let roof = |home: PathBuf| Self {
            config: home.join("config"),
            data: home.join("data"),
            state: home.join("state"),
            cache: home.join("cache"),
        };
        if let Some(home) = home {
            return roof(home);
        }
        directories::ProjectDirs::from("", "", "z1").map_or_else(
            || roof(std::env::temp_dir().join("z1")),
            |dirs| Self {
                config: dirs.config_dir().to_owned(),
                data: dirs.data_dir().to_owned(),
                state: dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned(),
                cache: dirs.cache_dir().to_owned(),
            },
        )
    }
}
