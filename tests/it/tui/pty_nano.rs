//! The real binary with the model that it carries, in a pseudo terminal: think, steer, run the code, export.
#![cfg(feature = "llama")]

use super::pty::{Terminal, end_of_task, key};

const PROBLEM: &str = "At first k is 55. Raise k by 33. Lower k by 8. I need select(xs) to keep the numbers greater \
                       than k.\nassert select([96, -22, 80, 81]) == [96, 81]";

fn ready() -> Terminal {
    let terminal = Terminal::start(100, 30, &[], &[]);
    terminal.wait_for("ctx 0/");
    terminal
}

#[test]
fn a_problem_is_thought_about_answered_and_run() {
    let terminal = ready();
    terminal.paste(PROBLEM);
    terminal.send(key::ENTER);
    terminal.wait_for("thought ");
    terminal.wait_for("def select(xs)");
    // Verified where there are walls; said where there are none. Never silent.
    terminal.wait("the task's end", |screen| {
        let text = screen.contents();
        end_of_task(&text).is_some() && ["verified", "unverified", "failed"].iter().any(|word| text.contains(word))
    });
    assert_eq!(terminal.leaks(), [""; 0]);
    let transcripts = std::fs::read_dir(terminal.state().join("transcripts")).unwrap().count();
    assert_eq!(transcripts, 1);
    let (_, shown) = terminal.leave();
    assert!(shown.contains("def select(xs)"), "{shown}");
}

#[test]
fn the_answer_is_asked_for_before_the_window_is_used_up() {
    let terminal = ready();
    terminal.send("/window 4000\r");
    terminal.wait_for("window 4000");
    terminal.paste(PROBLEM);
    // Both arrive together: the wish waits for the generation.
    terminal.send(&format!("{}{}", key::ENTER, key::CTRL_N));
    terminal.wait_for("you asked for the answer");
    terminal.wait_for_end();
    terminal.leave();
}

#[test]
fn one_key_goes_round_the_efforts() {
    let terminal = ready();
    for word in ["deep", "fast", "auto"] {
        terminal.send(key::SHIFT_TAB);
        terminal.wait_for(&format!("── {word} ─"));
    }
    terminal.leave();
}

#[test]
fn a_task_typed_before_the_model_is_loaded_is_served() {
    let terminal = Terminal::start(100, 30, &["At first k is 5. Write select(xs) to keep numbers above k."], &[]);
    terminal.wait_for_end();
    terminal.leave();
}

#[test]
fn the_conversation_is_exported_into_the_project() {
    let terminal = ready();
    terminal.paste(PROBLEM);
    terminal.send(key::ENTER);
    terminal.wait_for_end();
    terminal.send("/export talk.md ");
    terminal.send(key::ENTER);
    terminal.wait_for("the conversation is in");
    let text = std::fs::read_to_string(terminal.project().join("talk.md")).unwrap();
    assert!(text.contains("select(xs)") && text.contains("<details>"), "{text}");
    terminal.leave();
}

#[test]
fn a_shell_command_runs_behind_walls_and_leaves_nothing() {
    let terminal = ready();
    terminal.send("!cat notes.txt && echo gone > written.txt\r");
    terminal.wait("the command's end", |screen| {
        let text = screen.contents();
        text.contains("some notes") || text.contains("no walls")
    });
    assert!(!terminal.project().join("written.txt").exists());
    terminal.leave();
}

#[test]
fn keys_of_the_settings_are_in_force() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("config")).unwrap();
    let settings = "[tui]\ntheme = \"light\"\n[tui.keys]\ntoggle_effort = [\"ctrl+x\"]\n";
    std::fs::write(home.path().join("config/config.toml"), settings).unwrap();
    let terminal = Terminal::start(100, 30, &[], &[("Z1_HOME", &home.path().to_string_lossy())]);
    terminal.wait_for("ctx 0/");
    terminal.send("\u{18}");
    terminal.wait_for("── deep ─");
    terminal.leave();
}

#[test]
fn without_colours_no_colour_is_written() {
    let terminal = Terminal::start(100, 30, &[], &[("NO_COLOR", "1")]);
    terminal.wait_for("ctx 0/");
    let bytes = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    let colours = regex::Regex::new("\u{1b}\\[[0-9;]*;(3[0-7]|9[0-7]|4[0-7])m").unwrap();
    assert!(!colours.is_match(&bytes), "{bytes:?}");
    terminal.leave();
}

#[cfg(target_os = "linux")]
#[test]
fn when_the_terminal_is_gone_the_task_is_kept_and_the_program_ends() {
    let terminal = Terminal::under_a_shell(&[]);
    terminal.wait_for("ctx 0/");
    terminal.paste(PROBLEM);
    terminal.send(key::ENTER);
    terminal.wait_for("thinking");
    terminal.kill_the_shell();
    let sessions = std::fs::read_dir(terminal.state().join("sessions")).unwrap().count();
    let transcripts = std::fs::read_dir(terminal.state().join("transcripts")).unwrap().count();
    assert_eq!((sessions, transcripts), (1, 1));
}

#[test]
fn a_session_is_gone_on_with_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let roof = home.path().to_string_lossy().into_owned();
    let first = Terminal::start(100, 30, &[], &[("Z1_HOME", &roof)]);
    first.wait_for("ctx 0/");
    first.paste(PROBLEM);
    first.send(key::ENTER);
    first.wait_for_end();
    first.leave();
    let second = Terminal::start(100, 30, &[], &[("Z1_HOME", &roof)]);
    second.wait_for("ctx 0/");
    second.send("/resume ");
    second.send(key::ENTER);
    second.wait_for("Sessions (1)");
    second.send(key::ENTER);
    second.wait_for("def select(xs)");
    second.wait_for("1 turn");
    second.leave();
}
