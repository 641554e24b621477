//! The first start with the model that z1 carries and nothing else, in a pseudo terminal: the offer of a real one, which a
//! hub on loopback serves, its pull, and no as an answer.
#![cfg(all(feature = "llama", feature = "pull"))]

use std::path::Path;

use super::pty::{Terminal, key};
use crate::models::hub::{Hub, Trouble};
use crate::models::only_tiny_fits;

const CTRL_X: &str = "\u{18}";
const CTRL_Y: &str = "\u{19}";
/// What stands in the tiny model's header.
const NAME: &str = "tiny random qwen2";

/// A home in which `tiny` is what fits, and the hub that has it.
struct Newcomer {
    home: tempfile::TempDir,
    hub: Hub,
}

impl Newcomer {
    fn new(troubles: &[Trouble]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let repository = home.path().join("repository");
        std::fs::create_dir_all(&repository).unwrap();
        z1::gguf::tiny::Tiny::default().write(&repository.join("tiny-f32.gguf")).unwrap();
        let bytes = std::fs::metadata(repository.join("tiny-f32.gguf")).unwrap().len();
        only_tiny_fits(home.path(), bytes);
        Self { hub: Hub::start(&repository, troubles, None), home }
    }

    fn open(&self, columns: u16, arguments: &[&str]) -> Terminal {
        let roof = self.home.path().to_string_lossy().into_owned();
        let environment = [("Z1_HOME", roof.as_str()), ("HF_ENDPOINT", &self.hub.base), ("HOME", &roof)];
        Terminal::start(columns, 40, arguments, &environment)
    }

    fn installed(&self) -> std::path::PathBuf {
        self.home.path().join("data/models/tiny/manifest.json")
    }

    fn answer(&self) -> String {
        std::fs::read_to_string(self.home.path().join("state/model-offer")).unwrap_or_default()
    }
}

fn is_part(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "part")
}

#[test]
fn a_model_is_offered_fetched_stopped_gone_on_with_and_used() {
    let newcomer = Newcomer::new(&[Trouble::Trickle(3000)]);
    let terminal = newcomer.open(100, &[]);
    terminal.wait_for("only a demonstration");
    terminal.wait_for("tiny fits this machine");
    terminal.wait_for("ctrl+y fetches tiny");
    terminal.wait_for("ctx 0/");
    assert!(newcomer.hub.seen().is_empty(), "nothing is asked for before the user's word");
    terminal.send(CTRL_Y);
    terminal.wait_for("fetching tiny · 3.");
    // It holds nobody up.
    terminal.send("typed meanwhile");
    terminal.wait_for("typed meanwhile");
    terminal.send(key::ESC);
    terminal.wait_for("what has arrived is kept");
    assert!(!newcomer.installed().exists());
    let source = newcomer.home.path().join("data/models/tiny/source");
    assert!(std::fs::read_dir(source).unwrap().flatten().any(|entry| is_part(&entry.path())));
    terminal.send("\u{15}/pull\r");
    terminal.wait_for("tiny is here");
    terminal.wait_for(NAME);
    let ranges = newcomer.hub.seen();
    let last = ranges.last().unwrap();
    assert!(last.contains("tiny-f32.gguf") && !last.ends_with(" 0"), "it went on where it stopped: {ranges:?}");
    assert!(newcomer.installed().exists());
    terminal.leave();
    // It is used from now on, and there is nothing to say any more.
    let again = newcomer.open(100, &[]);
    again.wait_for(NAME);
    again.send("/doctor\r");
    again.wait_for("sandbox");
    assert!(!again.text().contains("demonstration"), "{}", again.text());
    again.leave();
}

#[test]
fn who_says_no_is_not_asked_again_and_nothing_is_fetched() {
    let newcomer = Newcomer::new(&[]);
    let terminal = newcomer.open(100, &[]);
    terminal.wait_for("ctrl+x no, never ask");
    terminal.send(CTRL_X);
    terminal.wait_for("you will not be asked again");
    terminal.wait_for("z1 models pull tiny");
    terminal.wait("the answer on the disk", |_| newcomer.answer() == "declined");
    terminal.leave();
    let again = newcomer.open(100, &[]);
    again.wait_for("ctx 0/");
    again.send("/doctor\r");
    again.wait_for("sandbox");
    assert!(!again.text().contains("ctrl+y fetches"), "{}", again.text());
    again.leave();
    assert!(newcomer.hub.seen().is_empty());
}

#[test]
fn a_pull_that_fails_says_why_and_the_terminal_goes_on() {
    let newcomer = Newcomer::new(&[]);
    // A user's own words about where it comes from, and they are wrong.
    let file = newcomer.home.path().join("data/models/models.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("'owner/name'", "'owner/gone'");
    std::fs::write(&file, text).unwrap();
    let terminal = newcomer.open(100, &[]);
    terminal.wait_for("ctrl+y fetches tiny");
    terminal.send(CTRL_Y);
    terminal.wait_for("fetching tiny: ");
    terminal.wait_for("ctx 0/");
    terminal.send("/pull z1-7b\r");
    terminal.wait_for("z1-7b has no ready file");
    terminal.leave();
}

#[test]
fn lines_alone_offer_and_fetch_by_commands() {
    let newcomer = Newcomer::new(&[]);
    let terminal = newcomer.open(100, &["--plain"]);
    terminal.wait_for("/pull brings it and uses it");
    terminal.send("/pull\r");
    terminal.wait_for("[fetching tiny: 100 %]");
    terminal.wait_for("tiny is here");
    assert!(!terminal.bytes().contains(&0x1b), "an escape in plain output");
    terminal.send(key::CTRL_D);
    terminal.finish();
}

#[test]
fn one_task_says_it_once_after_its_answer() {
    let newcomer = Newcomer::new(&[]);
    let ask = || {
        let terminal = newcomer.open(200, &["-p", "--fast", "--rounds", "0", "At first k is 5. Write select(xs)."]);
        terminal.finish().1
    };
    let first = ask();
    assert!(first.contains("only a demonstration") && first.contains("z1 models pull tiny"), "{first}");
    assert_eq!(newcomer.answer(), "said");
    let second = ask();
    assert!(!second.contains("demonstration"), "{second}");
    assert!(newcomer.hub.seen().is_empty());
    // The terminal still offers it: nobody has declined.
    let terminal = newcomer.open(100, &[]);
    terminal.wait_for("ctrl+y fetches tiny");
    terminal.leave();
}
