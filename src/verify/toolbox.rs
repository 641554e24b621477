//! The user's own tools, as a program behind walls may use them: folders of PATH, environments of Python, toolchains,
//! caches. What is found is named here; the sandbox refuses what holds the home, keys or settings.
//!
//! Not for: finding one language's compiler or interpreter for a stand-alone program (`setting.rs`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::python_env;
use crate::sandbox::{Limits, Net, Policy, Workspace, may_be_granted};
use crate::task::Tier;

/// Where a user's surroundings are asked for: an environment variable by its name.
pub(crate) type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// What a project's commands are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Toolbox {
    /// Folders of PATH, the one that is asked first in front.
    pub(crate) path: Vec<PathBuf>,
    /// Readable besides the system's programs, where that is possible.
    pub(crate) ro: Vec<PathBuf>,
    /// Caches: readable, and written to where nothing is kept.
    pub(crate) layered: Vec<PathBuf>,
    pub(crate) env: Vec<(OsString, OsString)>,
    /// What the project asks for and the user has not.
    pub(crate) missing: Option<String>,
    /// Folders of PATH that programs cannot enter here.
    pub(crate) unreachable: Vec<PathBuf>,
}

/// Folders of the system: always there.
const SYSTEM_PATH: [&str; 6] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Variables of the user's that say how things are built or where they are, and hold no secrets.
const HANDED_ON: [&str; 24] = [
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LC_COLLATE",
    "LC_MESSAGES",
    "LC_NUMERIC",
    "LC_TIME",
    "TZ",
    "JAVA_HOME",
    "CC",
    "CXX",
    "AR",
    "CFLAGS",
    "CXXFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
    "RUSTFLAGS",
    "PKG_CONFIG_PATH",
    "CMAKE_PREFIX_PATH",
    "DJANGO_SETTINGS_MODULE",
    "NODE_ENV",
    "PYTEST_ADDOPTS",
    "GOFLAGS",
];

/// The tools for the project at `root`, as this process's user has them.
pub(crate) fn of(root: &Path) -> Toolbox {
    within(root, root)
}

/// The tools for a command that is run in `folder`, which is the project at `root` or lies in it: what the folder has for itself
/// comes before what the project has.
pub(crate) fn within(root: &Path, folder: &Path) -> Toolbox {
    gather(root, folder, &|name| std::env::var_os(name).filter(|value| !value.is_empty()))
}

pub(crate) fn gather(root: &Path, folder: &Path, variable: Variable<'_>) -> Toolbox {
    let mut tools = Toolbox::default();
    let home = variable("HOME").map(PathBuf::from);
    for name in HANDED_ON {
        if let Some(value) = variable(name) {
            tools.env.push((name.into(), value));
        }
    }
    // Neither time nor place is made up: a project's tests may depend on the user's.
    let has_language = ["LANG", "LC_CTYPE"].iter().any(|name| variable(name).is_some());
    for name in ["LC_ALL", "TZ", "SOURCE_DATE_EPOCH"] {
        // Who has said nothing of a language has one in which every file has a name.
        if (name != "LC_ALL" || has_language) && !tools.env.iter().any(|(known, _)| known == name) {
            tools.env.push((name.into(), OsString::new()));
        }
    }
    if let Some(folder) = variable("JAVA_HOME").map(PathBuf::from) {
        tools.ro.push(folder);
    }
    for environment in python_env::environments(root, folder, variable) {
        tools.path.push(environment.join("bin"));
        tools.ro.extend(python_env::grants(&environment));
        // The first is the one that is used.
        if tools.environment().is_none() {
            tools.env.push(("VIRTUAL_ENV".into(), environment.into_os_string()));
        }
    }
    tools.path.extend([folder, root].map(|place| place.join("node_modules/.bin")));
    // Packages that a workspace keeps above its members.
    tools
        .ro
        .extend(root.ancestors().skip(1).take(3).map(|above| above.join("node_modules")).filter(|path| path.is_dir()));
    rust(root, variable, home.as_deref(), &mut tools);
    let path = variable("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path) {
        for folder in real_folders(root, &folder, variable) {
            tools.ro.extend(folder_grants(root, &folder));
            tools.path.push(folder);
        }
    }
    tools.path.extend(SYSTEM_PATH.map(PathBuf::from));
    if let Some(home) = &home {
        caches(home, variable, &mut tools);
    }
    let mut seen = std::collections::HashSet::new();
    tools.path.retain(|folder| seen.insert(folder.clone()) && (folder.is_dir() || folder.starts_with("/usr")));
    tools
}

/// The policy for a user's own command in the project at `root`: a throw-away layer, the user's tools, a loopback where
/// the tier has one.
pub fn project_policy(root: &Path, limits: Limits, tier: Tier) -> Policy {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let mut tools = of(&root);
    let mut policy = Policy::strict(Workspace::Overlay { lower: root.clone(), extra: Vec::new() }, limits);
    if tier != Tier::F {
        tools.keep_reachable(&root);
    }
    tools.open(&mut policy);
    policy.net = Net::own(tier);
    policy
}

impl Toolbox {
    /// Leaves out what a program of root's cannot reach in tiers that build no view of their own: it runs as another
    /// user there. What is left is the system's.
    pub(crate) fn keep_reachable(&mut self, root: &Path) {
        let (path, unreachable) = std::mem::take(&mut self.path)
            .into_iter()
            .partition(|folder| folder.starts_with(root) || crate::sandbox::can_be_reached(folder));
        (self.path, self.unreachable) = (path, unreachable);
        let environment = |(name, value): &(OsString, OsString)| {
            name != "VIRTUAL_ENV"
                || Path::new(value).starts_with(root)
                || crate::sandbox::can_be_reached(Path::new(value))
        };
        self.env.retain(environment);
    }

    /// Lets a policy use the tools.
    pub(crate) fn open(&self, policy: &mut Policy) {
        policy.ro_if_possible.clone_from(&self.ro);
        policy.layered.clone_from(&self.layered);
        policy.env.extend(self.env.iter().cloned());
        policy.env.insert("PATH".into(), self.joined_path());
    }

    /// PATH as one value.
    pub(crate) fn joined_path(&self) -> OsString {
        std::env::join_paths(&self.path).unwrap_or_else(|_| SYSTEM_PATH.join(":").into())
    }

    /// Why a tool that is in PATH cannot be used here, where that is so.
    pub(crate) fn why_unreachable(&self, name: &str) -> Option<String> {
        let name = Path::new(name).file_name()?;
        let folder = self.unreachable.iter().find(|folder| folder.join(name).is_file())?;
        Some(format!(
            "{} is in {}, which programs of root's cannot enter in this tier (tools elsewhere, or z1 as an ordinary user, \
             would help)",
            name.display(),
            folder.display()
        ))
    }

    /// The environment of Python's that comes first, where there is one.
    pub(crate) fn environment(&self) -> Option<&Path> {
        self.env.iter().find(|(name, _)| name == "VIRTUAL_ENV").map(|(_, path)| Path::new(path))
    }

    /// The program of this name: the first in PATH.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        self.path.iter().map(|folder| folder.join(name)).find(|file| file.is_file())
    }
}

fn is_of_the_system(folder: &Path) -> bool {
    ["/usr", "/bin", "/sbin", "/lib", "/nix/store", "/gnu/store"].iter().any(|system| folder.starts_with(system))
}

/// The folder of PATH with links resolved; a version manager's shims are replaced by what they stand for.
fn real_folders(root: &Path, folder: &Path, variable: Variable<'_>) -> Vec<PathBuf> {
    let Some(folder) = folder.is_absolute().then(|| folder.canonicalize().ok()).flatten() else { return Vec::new() };
    let versions = folder.parent().map(|above| above.join("versions")).filter(|versions| versions.is_dir());
    match versions {
        Some(versions) if folder.ends_with("shims") => chosen_versions(root, &versions, variable),
        _ => vec![folder],
    }
}

/// The versions that pyenv, rbenv, nodenv or goenv would choose here.
fn chosen_versions(root: &Path, versions: &Path, variable: Variable<'_>) -> Vec<PathBuf> {
    let manager = versions.parent().unwrap_or(versions);
    let name = manager.file_name().map(|name| name.to_string_lossy().trim_start_matches('.').to_owned());
    let name = name.unwrap_or_default();
    let (tool, file) = match name.as_str() {
        "rbenv" => ("RBENV", ".ruby-version"),
        "nodenv" => ("NODENV", ".node-version"),
        "goenv" => ("GOENV", ".go-version"),
        _ => ("PYENV", ".python-version"),
    };
    let of_variable = variable(&format!("{tool}_VERSION")).map(|value| value.to_string_lossy().replace(':', "\n"));
    let near = || root.ancestors().find_map(|folder| std::fs::read_to_string(folder.join(file)).ok());
    let text = of_variable.or_else(near).or_else(|| std::fs::read_to_string(manager.join("version")).ok());
    let text = text.unwrap_or_default();
    let wanted = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    wanted.filter_map(|version| best_version(versions, version)).map(|version| version.join("bin")).collect()
}

/// `3.11` is the newest 3.11 that there is.
fn best_version(versions: &Path, wanted: &str) -> Option<PathBuf> {
    let exact = versions.join(wanted);
    if wanted != "." && exact.is_dir() {
        return Some(exact);
    }
    let entries = std::fs::read_dir(versions).ok()?.flatten();
    let mut fitting: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let numbers = name.strip_prefix(&format!("{wanted}."))?.split('.').map_while(|part| part.parse().ok());
            Some((numbers.collect(), entry.path()))
        })
        .collect();
    fitting.sort();
    fitting.pop().map(|(_, path)| path)
}

/// What has to be readable for the tools in a folder of PATH: the installation that the folder is part of, or else the
/// folder alone, and where links in it lead.
fn folder_grants(root: &Path, folder: &Path) -> Vec<PathBuf> {
    /// Links of one folder that are followed.
    const LINKS_MAX: usize = 512;
    if is_of_the_system(folder) || folder.starts_with(root) {
        return Vec::new();
    }
    let mut grants = vec![installation(folder).unwrap_or_else(|| folder.to_owned())];
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(LINKS_MAX);
    for link in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink())) {
        if let Ok(real) = link.path().canonicalize()
            && !grants.iter().any(|granted| real.starts_with(granted))
            && !is_of_the_system(&real)
        {
            grants.extend(tool_root(&real));
        }
    }
    grants
}

/// The folder above a `bin` that is an installation of its own and may be shown whole.
fn installation(bin: &Path) -> Option<PathBuf> {
    const SIGNS: [&str; 6] = ["lib", "lib64", "libexec", "pyvenv.cfg", "include", "jre"];
    let named = bin.file_name().is_some_and(|name| name == "bin" || name == "sbin");
    let above = bin.parent().filter(|_| named)?;
    (SIGNS.iter().any(|sign| above.join(sign).exists()) && may_be_granted(above)).then(|| above.to_owned())
}

/// What a tool outside the system's folders needs to read: the installation that it is part of, or itself.
pub(crate) fn tool_root(program: &Path) -> Option<PathBuf> {
    if is_of_the_system(program) {
        return None;
    }
    let whole = program.parent().and_then(installation);
    whole.or_else(|| may_be_granted(program).then(|| program.to_owned()))
}

/// What a program has to read that the user named by its path: its installation or environment, and where links lead.
pub fn program_grants(program: &Path) -> Vec<PathBuf> {
    let real = program.canonicalize().ok();
    let mut grants: Vec<PathBuf> = Vec::new();
    for path in std::iter::once(program).chain(real.as_deref()) {
        let environment = path.parent().and_then(Path::parent).filter(|above| above.join("pyvenv.cfg").is_file());
        grants.extend(environment.map(python_env::grants).unwrap_or_default());
        // Packages of Node need those beside them.
        let packages = path.ancestors().filter(|above| above.file_name().is_some_and(|name| name == "node_modules"));
        grants.extend(packages.last().map(Path::to_owned).or_else(|| tool_root(path)));
    }
    grants.dedup();
    grants
}

/// The toolchain that the project names, or the user's default, before rustup's own stand-ins, which may not be able to
/// do their work behind walls.
fn rust(root: &Path, variable: Variable<'_>, home: Option<&Path>, tools: &mut Toolbox) {
    let folder = |name: &str, default: &str| {
        variable(name).map(PathBuf::from).or_else(|| home.map(|home| home.join(default))).filter(|path| path.is_dir())
    };
    if let Some(rustup) = folder("RUSTUP_HOME", ".rustup") {
        let wanted = wanted_toolchain(root, &rustup, variable);
        let found = wanted.as_deref().and_then(|name| toolchain(&rustup, name));
        tools.ro.push(rustup.join("settings.toml"));
        tools.ro.push(rustup.join("toolchains"));
        tools.env.push(("RUSTUP_HOME".into(), rustup.into_os_string()));
        match (found, wanted) {
            (Some(found), _) => {
                if let Some(name) = found.file_name() {
                    tools.env.push(("RUSTUP_TOOLCHAIN".into(), name.to_owned()));
                }
                tools.path.push(found.join("bin"));
            }
            (None, Some(wanted)) => {
                tools.missing = Some(format!("the Rust toolchain {wanted}, which the project names"));
            }
            (None, None) => {}
        }
    }
    if let Some(cargo) = folder("CARGO_HOME", ".cargo") {
        tools.ro.extend(["config.toml", "config", "bin"].map(|name| cargo.join(name)));
        tools.layered.extend(["registry", "git"].map(|name| cargo.join(name)));
        tools.env.push(("CARGO_HOME".into(), cargo.into_os_string()));
    }
    for (name, value) in [("CARGO_NET_OFFLINE", "true"), ("CARGO_TERM_COLOR", "never"), ("RUST_BACKTRACE", "0")] {
        tools.env.push((name.into(), value.into()));
    }
}

fn wanted_toolchain(root: &Path, rustup: &Path, variable: Variable<'_>) -> Option<String> {
    if let Some(name) = variable("RUSTUP_TOOLCHAIN") {
        return Some(name.to_string_lossy().into_owned());
    }
    let settings =
        std::fs::read_to_string(rustup.join("settings.toml")).ok().and_then(|text| text.parse::<toml::Table>().ok());
    for folder in root.ancestors() {
        let overridden = settings.as_ref().and_then(|all| all.get("overrides")?.get(folder.to_str()?)?.as_str());
        if let Some(name) = overridden {
            return Some(name.to_owned());
        }
        for name in ["rust-toolchain", "rust-toolchain.toml"] {
            if let Some(channel) = std::fs::read_to_string(folder.join(name)).ok().as_deref().and_then(channel_of) {
                return Some(channel);
            }
        }
    }
    settings?.get("default_toolchain")?.as_str().map(str::to_owned)
}

/// The channel of a `rust-toolchain` file: a table, or one line.
fn channel_of(text: &str) -> Option<String> {
    if let Ok(table) = text.parse::<toml::Table>() {
        return table.get("toolchain")?.get("channel")?.as_str().map(str::to_owned);
    }
    let line = text.trim();
    (!line.is_empty() && !line.contains(char::is_whitespace)).then(|| line.to_owned())
}

fn toolchain(rustup: &Path, name: &str) -> Option<PathBuf> {
    let all = rustup.join("toolchains");
    if all.join(name).join("bin").is_dir() {
        return Some(all.join(name));
    }
    let mut fitting: Vec<PathBuf> = std::fs::read_dir(&all)
        .ok()?
        .flatten()
        .filter(|entry| {
            let rest = entry.file_name().to_string_lossy().strip_prefix(name).map(str::to_owned);
            // `1.70-x86_64-…` and `1.70.0-x86_64-…` are both what `1.70` means.
            rest.is_some_and(|rest| rest.starts_with('-') || rest.starts_with('.'))
        })
        .map(|entry| entry.path())
        .filter(|path| path.join("bin").is_dir())
        .collect();
    fitting.sort();
    fitting.pop()
}

/// Where tools keep what they fetched before; behind the walls nothing can be fetched.
fn caches(home: &Path, variable: Variable<'_>, tools: &mut Toolbox) {
    let mut cache = |name: &str, default: &str| {
        let folder = variable(name).map_or_else(|| home.join(default), PathBuf::from);
        if folder.is_dir() {
            tools.layered.push(folder.clone());
            tools.env.push((name.into(), folder.into_os_string()));
        }
    };
    cache("GOMODCACHE", "go/pkg/mod");
    cache("GOCACHE", ".cache/go-build");
    cache("npm_config_cache", ".npm");
    cache("UV_CACHE_DIR", ".cache/uv");
    cache("DENO_DIR", ".cache/deno");
    let maven = home.join(".m2/repository");
    if maven.is_dir() {
        let mut options = variable("MAVEN_OPTS").unwrap_or_default();
        options.push(" -Dmaven.repo.local=");
        options.push(&maven);
        tools.env.push(("MAVEN_OPTS".into(), options));
        tools.layered.push(maven);
    }
    let gradle = variable("GRADLE_USER_HOME").map_or_else(|| home.join(".gradle"), PathBuf::from);
    if gradle.is_dir() {
        tools.layered.extend(["caches", "wrapper", "native", "notifications", "daemon"].map(|name| gradle.join(name)));
        tools.env.push(("GRADLE_USER_HOME".into(), gradle.into_os_string()));
        tools.env.push(("GRADLE_OPTS".into(), "-Dorg.gradle.daemon=false".into()));
    }
    for folder in [".gem", ".local/share/gem", ".local/share/uv/python", ".pub-cache", "perl5", ".nuget/packages"] {
        tools.ro.push(home.join(folder));
    }
    for (name, value) in [
        ("GOPROXY", "off"),
        ("GOTOOLCHAIN", "local"),
        ("GOTELEMETRY", "off"),
        ("UV_OFFLINE", "1"),
        ("npm_config_offline", "true"),
        ("npm_config_update_notifier", "false"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("PYTHONUSERBASE", &home.join(".local").to_string_lossy()),
        // Finding leaks needs one process to trace another, which no program may do here.
        ("ASAN_OPTIONS", "detect_leaks=0"),
    ] {
        tools.env.push((name.into(), value.into()));
    }
    let user_libraries = std::fs::read_dir(home.join(".local/lib")).into_iter().flatten().flatten();
    tools.ro.extend(
        user_libraries
            .map(|entry| entry.path())
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python3"))),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(pairs: &[(&str, String)]) -> impl Fn(&str) -> Option<OsString> + use<> {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        move |name| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.into())
    }

    fn write(root: &Path, path: &str, text: &str) {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), text).unwrap();
    }

    #[test]
    fn the_toolchain_that_the_project_names_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        for name in ["stable-x86_64-unknown-linux-gnu", "1.70.0-x86_64-unknown-linux-gnu"] {
            write(&home, &format!(".rustup/toolchains/{name}/bin/cargo"), "");
        }
        write(&home, ".rustup/settings.toml", "default_toolchain = \"stable-x86_64-unknown-linux-gnu\"\n");
        write(&home, "p/Cargo.toml", "");
        let variable = outside(&[("HOME", home.display().to_string())]);
        let cargo = |root: &str| gather(&home.join(root), &home.join(root), &variable).find("cargo").unwrap();
        assert!(cargo("p").to_string_lossy().contains("/stable-"));
        write(&home, "p/rust-toolchain.toml", "[toolchain]\nchannel = \"1.70\"\n");
        assert!(cargo("p").to_string_lossy().contains("/1.70.0-"));
        write(&home, "p/rust-toolchain.toml", "[toolchain]\nchannel = \"1.2.3\"\n");
        assert!(gather(&home.join("p"), &home.join("p"), &variable).missing.unwrap().contains("1.2.3"));
    }

    #[test]
    fn shims_stand_for_the_version_that_is_chosen() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        for version in ["3.11.7", "3.11.10", "3.12.1"] {
            write(&home, &format!(".pyenv/versions/{version}/bin/python3"), "");
        }
        write(&home, ".pyenv/shims/python3", "");
        write(&home, ".pyenv/version", "3.12.1\n");
        write(&home, "p/a.py", "");
        let path = home.join(".pyenv/shims").display().to_string();
        let variable = outside(&[("HOME", home.display().to_string()), ("PATH", path)]);
        let python = || gather(&home.join("p"), &home.join("p"), &variable).find("python3").unwrap();
        assert!(python().to_string_lossy().contains("/3.12.1/"));
        write(&home, "p/.python-version", "3.11\n");
        assert!(python().to_string_lossy().contains("/3.11.10/"));
    }

    #[test]
    fn a_folder_of_the_home_is_granted_alone_and_an_installation_whole() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        write(&home, "bin/tool", "");
        write(&home, "node/bin/node", "");
        write(&home, "node/lib/x", "");
        let path = format!("{0}/bin:{0}/node/bin:relative", home.display());
        let tools = gather(&home.join("p"), &home.join("p"), &outside(&[("PATH", path)]));
        assert!(tools.ro.contains(&home.join("bin")) && tools.ro.contains(&home.join("node")), "{:?}", tools.ro);
        assert!(!tools.ro.contains(&home));
        assert_eq!(tool_root(Path::new("/usr/bin/python3")), None);
    }
}
