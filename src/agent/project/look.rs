//! Looking around before an answer: one command a turn, in a throw-away copy of the project or of a tool server,
//! bounded; the same command with the same result is warned of once and then cut.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::tool::Tools;
use crate::agent::{Agent, Line};
use crate::event::Event;

/// Commands of one task.
pub(super) const LOOKS_MAX: usize = 12;
/// Of what a command prints this much is shown, half from each end.
const OUTPUT_CHARS_MAX: usize = 4_000;

/// The commands of one task.
#[derive(Debug, Default)]
pub(super) struct Looks {
    count: usize,
    /// What each command printed.
    seen: BTreeMap<String, String>,
    warned: bool,
}

/// What `project_output.md` may name.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the fields are called what the prompt calls them")]
struct Output<'a> {
    ended: &'a str,
    output: &'a str,
    warning: &'a str,
}

impl Looks {
    /// Runs a command and returns the turn that shows its output; `None` where no more are run.
    ///
    /// # Errors
    /// A prompt file that names an unknown variable.
    pub(super) async fn take(
        &mut self,
        agent: &Agent,
        root: &Path,
        command: &str,
        tools: Option<&mut Tools>,
        line: &mut Line,
    ) -> anyhow::Result<Option<String>> {
        if self.count == LOOKS_MAX {
            return Ok(None);
        }
        self.count += 1;
        let text = format!("looking ({} of {LOOKS_MAX}): {}", self.count, command.replace('\n', "; "));
        line.emit(Event::Step { text }).await;
        let (ended, output) = match tools.filter(|tools| tools.is_for(command)) {
            Some(tools) => tools.take(agent, command, line).await,
            None => ran(agent, root, command, line).await,
        };
        let output = shortened(output.trim_end());
        let same = self.seen.insert(command.to_owned(), output.clone()).is_some_and(|before| before == output);
        if same && std::mem::replace(&mut self.warned, true) {
            return Ok(None);
        }
        let warning = match (same, self.count) {
            (true, _) => "That is the same command with the same result. Try another, or answer.",
            (_, LOOKS_MAX) => "That was the last command. Answer now.",
            _ => "",
        };
        let output = if output.is_empty() { "(nothing)".to_owned() } else { output };
        Ok(Some(agent.prompts.render("project_output", Output { ended: &ended, output: &output, warning })?))
    }
}

/// How a command ended, and what it printed.
async fn ran(agent: &Agent, root: &Path, command: &str, line: &Line) -> (String, String) {
    match agent.judge.shell(root, command, agent.settings.min_tier, &line.cancel).await {
        Ok(shell) => {
            let ended = shell.ended.unwrap_or_else(|| format!("exit code {}", shell.exit.unwrap_or(-1)));
            (ended, crate::sandbox::text::clean(&shell.output))
        }
        Err(why) => ("no result".to_owned(), why),
    }
}

/// The head and the tail of a long output.
fn shortened(output: &str) -> String {
    let chars = output.chars().count();
    if chars <= OUTPUT_CHARS_MAX {
        return output.to_owned();
    }
    let half = OUTPUT_CHARS_MAX / 2;
    let head: String = output.chars().take(half).collect();
    let tail: String = output.chars().skip(chars - half).collect();
    format!("{head}\n… {} characters left out …\n{tail}", chars - 2 * half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_keeps_both_ends() {
        let text: String = (0..5000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
        let short = shortened(&text);
        assert!(short.contains("1000 characters left out") && short.chars().count() < 4_100);
        assert_eq!(shortened("short"), "short");
    }
}
