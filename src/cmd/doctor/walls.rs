//! The sandbox's tier and the tools that candidates are run with.

use super::Finding;
use crate::sandbox;
use crate::task::{Language, Tier};
use crate::verify;

pub(super) fn look() -> Vec<Finding> {
    let mut found = vec![tier()];
    found.extend(tools());
    found
}

fn tier() -> Finding {
    let helper = match std::env::current_exe() {
        Ok(helper) => helper,
        Err(problem) => {
            return Finding::broken("sandbox", format!("cannot find this program: {problem}"), "call z1 by its path");
        }
    };
    let report = sandbox::probe(helper);
    let mut text = format!("tier {:?}: {}", report.tier, report.promise());
    if !report.features.is_empty() {
        text.push_str(&format!(" ({})", report.features.join(", ")));
    }
    if !report.why.is_empty() {
        text.push_str(&format!("; not stronger because {}", report.why));
    }
    let raise = report.raise.unwrap_or_else(|| "nothing known would raise it here".to_owned());
    match report.tier {
        Tier::F | Tier::B | Tier::S => Finding::ok("sandbox", text),
        Tier::L => Finding::warning("sandbox", text, raise),
        Tier::N => Finding::broken("sandbox", text, raise),
    }
}

fn tools() -> Vec<Finding> {
    let mut there = Vec::new();
    let mut missing = Vec::new();
    let mut found = Vec::new();
    for (language, program) in verify::tools() {
        match program {
            Some(path) => there.push(format!("{} {}", language.fence_tag(), path.display())),
            None if language == Language::Python => found.push(Finding::warning(
                "tools",
                "there is no python3: Python, which most tasks are about, cannot be verified",
                "install python3 (apt install python3, brew install python, …)",
            )),
            None => missing.push(language.fence_tag()),
        }
    }
    if !there.is_empty() {
        let without = if missing.is_empty() { String::new() } else { format!("; no {}", missing.join(", ")) };
        found.insert(0, Finding::ok("tools", format!("{}{without}", there.join(", "))));
    }
    found
}
