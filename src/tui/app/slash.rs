//! The commands that begin with `/`. One table: completion, `/help` and the dispatch read it.

use crate::task::Effort;

/// What a command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slash {
    Help,
    Model(Option<String>),
    /// Fetch the model of this name, or the one that is offered; `no` declines it.
    Pull(Option<String>),
    Effort(Effort),
    /// The picker, or the session of this id.
    Sessions(Option<String>),
    New,
    Map,
    /// Show, set or forget the command that tests the project.
    Check(Option<String>),
    Undo,
    Compact,
    Doctor,
    Export(Option<String>),
    Copy,
    Thinking,
    Fullscreen,
    Redraw,
    Quit,
}

/// Name, argument, what it does.
pub const COMMANDS: &[(&str, &str, &str)] = &[
    ("/help", "", "keys and commands"),
    ("/fast", "", "spend little thinking from now on"),
    ("/auto", "", "let the task decide how much thinking it gets"),
    ("/deep", "", "spend much thinking from now on"),
    ("/window", "TOKENS|auto", "set the thinking window by hand"),
    ("/model", "[NAME]", "list the models, or switch to one"),
    ("/pull", "[NAME|no]", "fetch a model and use it, or never be asked again"),
    ("/map", "", "show the repository map as the model sees it"),
    ("/check", "[CMD|none|forget]", "show or set the command that tests this project"),
    ("/undo", "", "take the last accepted change back"),
    ("/compact", "", "summarise the conversation to make room"),
    ("/resume", "[ID]", "go on with an earlier session (also /sessions)"),
    ("/new", "", "begin a new session"),
    ("/export", "[FILE]", "write the conversation to a Markdown file"),
    ("/doctor", "", "say what runs where, and why"),
    ("/copy", "", "copy the last code block"),
    ("/thinking", "", "fold or open the thinking"),
    ("/fullscreen", "", "alternate screen or scrollback"),
    ("/redraw", "", "draw the screen again"),
    ("/quit", "", "leave"),
];

const WINDOW_TOKENS_MAX: u32 = 1 << 20;

/// Reads a line that begins with `/`. The error is a sentence for the user.
pub fn parse(line: &str) -> Result<Slash, String> {
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = Some(rest.trim()).filter(|rest| !rest.is_empty()).map(str::to_owned);
    Ok(match name {
        "/help" | "/keys" | "/?" => Slash::Help,
        "/fast" => Slash::Effort(Effort::Fast),
        "/auto" => Slash::Effort(Effort::Auto),
        "/deep" => Slash::Effort(Effort::Deep),
        "/window" => Slash::Effort(window(argument.as_deref())?),
        "/model" | "/models" => Slash::Model(argument),
        "/pull" => Slash::Pull(argument),
        "/map" => Slash::Map,
        "/check" => Slash::Check(argument),
        "/undo" => Slash::Undo,
        "/compact" => Slash::Compact,
        "/resume" | "/sessions" => Slash::Sessions(argument),
        "/new" | "/clear" => Slash::New,
        "/export" => Slash::Export(argument),
        "/doctor" => Slash::Doctor,
        "/copy" => Slash::Copy,
        "/thinking" => Slash::Thinking,
        "/fullscreen" => Slash::Fullscreen,
        "/redraw" => Slash::Redraw,
        "/quit" | "/exit" | "/q" => Slash::Quit,
        other => return Err(unknown(other)),
    })
}

fn window(argument: Option<&str>) -> Result<Effort, String> {
    match argument {
        Some("auto") => Ok(Effort::Auto),
        Some(text) => match text.replace('_', "").parse::<u32>() {
            Ok(tokens) if tokens <= WINDOW_TOKENS_MAX => Ok(Effort::Window(tokens)),
            _ => Err(format!("`{text}` is no window; write a number of tokens up to {WINDOW_TOKENS_MAX}, or `auto`")),
        },
        None => Err("/window needs a number of tokens, or `auto`".to_owned()),
    }
}

fn unknown(name: &str) -> String {
    let names = COMMANDS.iter().map(|(name, ..)| *name);
    match crate::tui::composer::complete::best(name.trim_start_matches('/'), names).first() {
        Some(near) => format!("there is no `{name}`; did you mean `{near}`?"),
        None => format!("there is no `{name}`; `/help` lists the commands"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_table_is_understood() {
        for (name, argument, _) in COMMANDS {
            let line = if argument.starts_with("TOKENS") { format!("{name} 512") } else { (*name).to_owned() };
            assert!(parse(&line).is_ok(), "{line}");
        }
    }

    #[test]
    fn arguments_and_mistakes() {
        assert_eq!(parse("/window 2_048"), Ok(Slash::Effort(Effort::Window(2048))));
        assert_eq!(parse("/model  z1-nano "), Ok(Slash::Model(Some("z1-nano".to_owned()))));
        assert!(parse("/window -1").is_err() && parse("/window").is_err() && parse("/window 99999999999").is_err());
        assert!(parse("/resum").unwrap_err().contains("/resume"));
    }
}
