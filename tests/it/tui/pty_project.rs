//! The real binary on a broken project in a pseudo terminal, with a scripted model and real walls: the task, the
//! review, the file, and the way back.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::pty::{Terminal, end_of_task, key};
use crate::cli::can_run_code;
use crate::project::{RIGHT_AT_ONCE, SERVER, copy};

/// The example's copy, and a script in the model's place.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/shop"), &folder.path().join("shop"));
        std::fs::write(folder.path().join("script.jsonl"), json!({"text": RIGHT_AT_ONCE}).to_string()).unwrap();
        Self { folder }
    }

    fn open(&self, more: &[&str], environment: &[(&str, &str)]) -> Terminal {
        let model = format!("scripted:{}", self.folder.path().join("script.jsonl").display());
        let root = self.folder.path().join("shop").to_string_lossy().into_owned();
        let arguments: Vec<&str> = ["--model", &model, "-C", &root].into_iter().chain(more.iter().copied()).collect();
        Terminal::start(100, 40, &arguments, environment)
    }

    fn source(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("shop/shop.py")
    }
}

#[test]
fn a_change_is_made_reviewed_accepted_and_taken_back() {
    let shop = Shop::new();
    let before = shop.source();
    let terminal = shop.open(&[], &[]);
    terminal.wait_for("ctx 0/");
    terminal.send("make the tests pass\r");
    terminal.wait_for("enter accept");
    let text = terminal.text();
    assert!(text.contains("return price - price * percent // 100"), "{text}");
    assert_eq!(shop.source(), before, "nothing is written before the user accepts");
    terminal.send(key::ENTER);
    terminal.wait_for("accepted: shop.py");
    terminal.wait("the task's end", |screen| {
        let text = screen.contents();
        end_of_task(&text).is_some() && ["verified", "unverified"].iter().any(|word| text.contains(word))
    });
    assert!(shop.source().contains("price - price * percent"), "{}", shop.source());
    terminal.send("/undo\r");
    terminal.wait_for("restored shop.py");
    assert_eq!(shop.source(), before);
    assert_eq!(terminal.leaks(), [""; 0]);
    terminal.leave();
}

#[test]
fn a_change_that_is_rejected_is_not_written() {
    let shop = Shop::new();
    let before = shop.source();
    let terminal = shop.open(&[], &[]);
    terminal.wait_for("ctx 0/");
    terminal.send("make the tests pass\r");
    terminal.wait_for("enter accept");
    terminal.send("r");
    terminal.wait_for_end();
    assert_eq!(shop.source(), before);
    terminal.leave();
}

#[test]
fn the_doctor_is_asked_from_inside() {
    let shop = Shop::new();
    let terminal = shop.open(&[], &[]);
    terminal.wait_for("ctx 0/");
    terminal.send("/doctor\r");
    terminal.wait_for("sandbox");
    terminal.wait_for("settings");
    terminal.leave();
}

#[test]
fn without_an_id_the_session_to_go_on_with_is_chosen() {
    let (shop, home) = (Shop::new(), tempfile::tempdir().unwrap());
    let roof = home.path().to_string_lossy().into_owned();
    let first = shop.open(&["--yes"], &[("Z1_HOME", &roof)]);
    first.wait_for("ctx 0/");
    first.send("make the tests pass\r");
    first.wait_for_end();
    first.leave();
    let second = shop.open(&["--resume"], &[("Z1_HOME", &roof)]);
    second.wait_for("Sessions (1)");
    second.send(key::ENTER);
    second.wait_for("1 turn");
    second.leave();
}

#[test]
fn a_project_without_a_test_command_is_asked_for_one_once() {
    let (shop, home) = (Shop::new(), tempfile::tempdir().unwrap());
    std::fs::remove_file(shop.folder.path().join("shop/test_shop.py")).unwrap();
    let roof = home.path().to_string_lossy().into_owned();
    let first = shop.open(&[], &[("Z1_HOME", &roof)]);
    first.wait_for("ctx 0/");
    first.send("discount adds the percentage\r");
    first.wait_for("Which command runs this project's tests?");
    first.wait_for("the command, or enter alone for none");
    first.send("python3 -c 'import shop'\r");
    first.wait_for("(asked, and remembered)");
    first.wait_for("enter accept");
    first.send("r");
    first.wait_for_end();
    first.send("/check\r");
    first.wait_for("python3 -c 'import shop' (remembered)");
    first.leave();
    let second = shop.open(&[], &[("Z1_HOME", &roof)]);
    second.wait_for("ctx 0/");
    second.send("discount adds the percentage\r");
    second.wait_for("enter accept");
    assert!(!second.text().contains("Which command"), "{}", second.text());
    second.send("r");
    second.wait_for_end();
    second.leave();
}

#[test]
fn a_tool_s_call_is_allowed_once_denied_and_allowed_for_the_session() {
    if !can_run_code() {
        return;
    }
    let (shop, home) = (Shop::new(), tempfile::tempdir().unwrap());
    let look = |file: &str| json!({ "text": format!("```bash\nmcp t read path={file}\n```\n") }).to_string();
    let says = |text: &str| json!({ "text": text }).to_string();
    let script = [
        look("shop.py"),
        says("It is in the first."),
        look("test_shop.py"),
        says("It is in the second."),
        look("pyproject.toml"),
        look("./shop.py"),
        says("It is in the third."),
    ];
    std::fs::write(shop.folder.path().join("script.jsonl"), script.join("\n")).unwrap();
    std::fs::create_dir_all(home.path().join("config")).unwrap();
    let settings = format!("[mcp.t]\ncommand = 'python3'\nargs = ['-c', '''{SERVER}''']\n");
    std::fs::write(home.path().join("config/config.toml"), settings).unwrap();
    let roof = home.path().to_string_lossy().into_owned();
    let terminal = shop.open(&[], &[("Z1_HOME", &roof)]);
    terminal.wait_for("ctx 0/");
    for (question, file, keys, answer) in [
        ("Where is the discount computed?", "\"shop.py\"", "y\r", "It is in the first."),
        ("Where is it tested?", "\"test_shop.py\"", "\r", "It is in the second."),
        ("Where is the name?", "\"pyproject.toml\"", "a\r", "It is in the third."),
    ] {
        terminal.send(&format!("{question}\r"));
        terminal.wait_for(&format!("Call the tool read of t with {{\"path\":{file}}}"));
        terminal.wait_for("y, a for always in this session, enter alone for no");
        terminal.send(keys);
        terminal.wait_for(answer);
        // The next question is typed into an empty line.
        terminal.wait("the task's end", |screen| {
            let text = screen.contents();
            end_of_task(&text) > text.rfind(answer)
        });
    }
    let shown = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    assert!(!shown.contains("{\"path\":\"./shop.py\"}"), "always is for the session: {shown}");
    terminal.leave();
    let stored = std::fs::read_dir(home.path().join("state/sessions")).unwrap().flatten();
    let stored: String = stored.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect();
    assert_eq!(stored.matches("did not allow this call").count(), 1, "{stored}");
    assert_eq!(stored.matches("ended with no error").count(), 3, "{stored}");
}
