//! The file rules that a program runs under, whatever else stands around it.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, Scope,
};
use serde::{Deserialize, Serialize};

use super::step::{Broken, Built};
use super::sys;

/// What a program may do with which paths; everything else is denied.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Fences {
    /// Read and execute.
    pub(super) read: Vec<PathBuf>,
    /// Everything but making devices.
    pub(super) write: Vec<PathBuf>,
    /// Devices such as `/dev/null`: read, write, ioctl.
    pub(super) devices: Vec<PathBuf>,
    /// TCP is forbidden by rule as well (tier L; elsewhere the network namespace decides).
    pub(super) no_tcp: bool,
}

/// The kernel's Landlock ABI; 0: none.
pub(crate) fn abi() -> u32 {
    sys::landlock_abi()
}

/// The rights that this kernel can handle, and nothing it cannot: what it knows is required, not tried.
fn known() -> ABI {
    ABI::from(i32::try_from(abi()).unwrap_or(0))
}

/// Puts this process and its descendants behind the fences, for good.
///
/// Paths that do not exist are skipped: a rule about nothing allows nothing.
pub(super) fn enforce(fences: &Fences) -> Built {
    let broken = |error: &dyn std::fmt::Display| Broken::new("landlock", error);
    let abi = known();
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))
        .map_err(|e| broken(&e))?;
    if fences.no_tcp && abi >= ABI::V4 {
        ruleset = ruleset.handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp).map_err(|e| broken(&e))?;
    }
    if abi >= ABI::V6 {
        ruleset = ruleset.scope(Scope::from_all(abi)).map_err(|e| broken(&e))?;
    }
    let mut created = ruleset.create().map_err(|e| broken(&e))?;
    let write = AccessFs::from_all(abi) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    let device = AccessFs::from_file(abi) & !BitFlags::from(AccessFs::Execute);
    for (paths, access) in [(&fences.read, AccessFs::from_read(abi)), (&fences.write, write), (&fences.devices, device)]
    {
        for path in paths {
            created = allow(created, path, access, abi).map_err(|e| broken(&format!("{}: {e}", path.display())))?;
        }
    }
    created.restrict_self().map(drop).map_err(|e| broken(&e))
}

fn allow(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
    abi: ABI,
) -> Result<RulesetCreated, Box<dyn std::error::Error>> {
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(ruleset);
    };
    let access = if metadata.is_dir() { access } else { access & AccessFs::from_file(abi) };
    Ok(ruleset.add_rule(PathBeneath::new(PathFd::new(path)?, access))?)
}

/// Enters a domain that restricts nothing but signals: from here on `kill(-1)` reaches this process's
/// descendants and nobody else. Returns whether the kernel can do that (ABI 6, Linux 6.12).
pub(super) fn scope_signals() -> Built<bool> {
    let broken = |error: &dyn std::fmt::Display| Broken::new("landlock signal scope", error);
    if known() < ABI::V6 {
        return Ok(false);
    }
    let domain = || -> Result<(), Box<dyn std::error::Error>> {
        // A layer that does not handle this right denies it everywhere: no file could be renamed or linked from one
        // folder to another any more.
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::Refer)?
            .scope(Scope::Signal)?
            .create()?
            .add_rule(PathBeneath::new(PathFd::new("/")?, AccessFs::Refer))?
            .restrict_self()?;
        Ok(())
    };
    domain().map_err(|e| broken(&e))?;
    Ok(true)
}
