//! `z1 acp`, the real binary over its two pipes: by hand, and by a client library that nobody here wrote.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{Home, can_run_code, reply};
use crate::project::{RIGHT_AT_ONCE, SERVER, copy};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// An editor's side of the pipes.
struct Editor {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<Value>,
    requests: u64,
    /// Everything that was said that is no answer, in order.
    told: Vec<Value>,
}

impl Editor {
    fn start(home: &Home, model: &str) -> Self {
        let mut child = home.command(&["acp", "--model", model]).stdin(std::process::Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                // Whatever is on stdout is one message a line.
                let line = serde_json::from_str(&line.unwrap()).expect("a line of stdout is JSON");
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines, requests: 0, told: Vec::new() }
    }

    fn raw(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    fn next(&self) -> Value {
        self.lines.recv_timeout(PATIENCE).expect("the agent answers")
    }

    fn send(&mut self, method: &str, params: &Value) -> u64 {
        let id = self.requests;
        self.requests += 1;
        self.raw(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
        id
    }

    fn notify(&mut self, method: &str, params: &Value) {
        self.raw(&json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string());
    }

    /// Waits for an answer; what comes before is kept.
    fn answer(&mut self, id: u64) -> Value {
        loop {
            let line = self.next();
            assert_eq!(line["jsonrpc"], "2.0");
            if line["id"] == json!(id) && line["method"].is_null() {
                return line;
            }
            self.told.push(line);
        }
    }

    /// Waits for a request or notice of the agent's.
    fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.next();
            self.told.push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    fn begin(&mut self, cwd: &Path) -> String {
        self.ask("initialize", &json!({ "protocolVersion": 1, "clientCapabilities": {} }));
        let new = self.ask("session/new", &json!({ "cwd": cwd, "mcpServers": [] }));
        new["result"]["sessionId"].as_str().unwrap_or_else(|| panic!("{new}")).to_owned()
    }

    fn prompt(&mut self, session: &str, text: &str) -> u64 {
        self.send("session/prompt", &json!({ "sessionId": session, "prompt": [{ "type": "text", "text": text }] }))
    }

    fn updates(&self, kind: &str) -> Vec<&Value> {
        let updates = self.told.iter().filter(|line| line["method"] == "session/update");
        updates.map(|line| &line["params"]["update"]).filter(|update| update["sessionUpdate"] == kind).collect()
    }

    fn text(&self, kind: &str) -> String {
        self.updates(kind).iter().filter_map(|update| update["content"]["text"].as_str()).collect()
    }

    /// Closes its end; the agent ends by itself.
    fn close(mut self) -> Option<i32> {
        self.stdin = None;
        let id = rustix::process::Pid::from_child(&self.child);
        let (sender, done) = mpsc::channel();
        std::thread::spawn(move || sender.send(self.child.wait().unwrap().code()));
        done.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
            panic!("the agent does not end with its input");
        })
    }
}

fn slow() -> Value {
    let words: String = (0..4000).map(|n| format!(" w{n}")).collect();
    json!({ "text": words, "delay_ms": 5 })
}

#[test]
fn a_session_is_begun_prompted_kept_and_told_again() {
    let home = Home::new();
    let script = home.script(&[reply("def rev(s):\n    return s[::-1]")]);
    let mut editor = Editor::start(&home, &script);
    let hello = editor.ask("initialize", &json!({ "protocolVersion": 2, "clientCapabilities": {}, "x": 1 }));
    assert_eq!(hello["result"]["protocolVersion"], 1, "the only one there is: {hello}");
    assert!(hello["result"]["agentCapabilities"]["sessionCapabilities"]["list"].is_object());
    let work = home.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let new = editor.ask("session/new", &json!({ "cwd": work, "mcpServers": [] }));
    let session = new["result"]["sessionId"].as_str().unwrap().to_owned();
    assert_eq!(new["result"]["modes"]["currentModeId"], new["result"]["configOptions"][0]["currentValue"]);
    let id = editor.prompt(&session, "Write a Python function rev(s). assert rev(\"ab\") == \"ba\"");
    let end = editor.answer(id);
    assert_eq!(end["result"]["stopReason"], "end_turn", "{end}");
    let status = end["result"]["_meta"]["z1"]["status"].as_str().unwrap();
    assert_eq!(status, if can_run_code() { "verified" } else { "unverified" });
    assert!(editor.text("agent_message_chunk").contains("return s[::-1]"));
    assert!(!editor.updates("plan").is_empty() && !editor.updates("usage_update").is_empty());
    let calls = editor.updates("tool_call");
    assert!(calls.iter().all(|call| call["title"].is_string() && call["toolCallId"].is_string()), "{calls:?}");
    assert_eq!(editor.close(), Some(0));

    let mut again = Editor::start(&home, &script);
    again.ask("initialize", &json!({ "protocolVersion": 1 }));
    let listed = again.ask("session/list", &json!({ "cwd": work }));
    assert_eq!(listed["result"]["sessions"][0]["sessionId"], json!(session), "{listed}");
    let loaded = again.ask("session/load", &json!({ "sessionId": session, "cwd": work, "mcpServers": [] }));
    assert!(loaded["result"]["modes"].is_object(), "{loaded}");
    assert!(again.text("user_message_chunk").starts_with("Write a Python function"), "told before the answer");
    assert!(again.text("agent_message_chunk").contains("s[::-1]"));
    let elsewhere =
        again.ask("session/load", &json!({ "sessionId": session, "cwd": home.path().join("z1"), "mcpServers": [] }));
    assert_eq!(elsewhere["error"]["code"], -32602, "{elsewhere}");
    let gone = again.ask("session/delete", &json!({ "sessionId": session }));
    assert!(gone["result"].is_object(), "{gone}");
    assert_eq!(again.ask("session/list", &json!({}))["result"]["sessions"], json!([]));
}

#[test]
fn bad_input_is_answered_in_the_protocols_form_and_the_session_is_kept() {
    let home = Home::new();
    let script = home.script(&[json!({ "text": "It is four." })]);
    let mut editor = Editor::start(&home, &script);
    let session = editor.begin(home.path());
    for (line, code) in
        [("{broken", -32700), ("42", -32600), ("[{\"id\":1}]", -32600), ("{\"id\":null,\"method\":\"x\"}", -32600)]
    {
        editor.raw(line);
        let answer = editor.wait_for(|line| line["error"].is_object());
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(code)), "{line}");
    }
    // Neither is answered: the next line is the answer to what comes after.
    editor.raw("");
    editor.raw("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"x\"}}");
    editor.raw("{\"jsonrpc\":\"2.0\",\"id\":\"text-id\",\"method\":\"session/nonsense\"}\r");
    let unknown = editor.wait_for(|line| line.get("id").is_some());
    assert_eq!((&unknown["id"], &unknown["error"]["code"]), (&json!("text-id"), &json!(-32601)));
    let text = json!([{ "type": "text", "text": "x" }]);
    for (method, params, code) in [
        ("session/prompt", json!({ "sessionId": "nobody", "prompt": text }), -32002),
        ("session/load", json!({ "sessionId": "../../etc/passwd", "cwd": "/", "mcpServers": [] }), -32002),
        ("session/close", json!({ "sessionId": "nobody" }), -32002),
        ("session/new", json!({ "cwd": "relative", "mcpServers": [] }), -32602),
        ("session/new", json!({ "cwd": "/" }), -32602),
        ("session/prompt", json!({ "sessionId": session, "prompt": [] }), -32602),
        (
            "session/prompt",
            json!({ "sessionId": session, "prompt": [{ "type": "image", "data": "", "mimeType": "" }] }),
            -32602,
        ),
        ("session/prompt", json!({ "prompt": text }), -32602),
        ("session/set_mode", json!({ "sessionId": session, "modeId": "turbo" }), -32602),
        ("session/set_config_option", json!({ "sessionId": session, "configId": "mode", "value": 7 }), -32602),
        ("initialize", json!({ "protocolVersion": "1" }), -32602),
    ] {
        let answer = editor.ask(method, &params);
        assert_eq!(answer["error"]["code"], code, "{method} {params}: {answer}");
        assert!(!answer["error"]["message"].as_str().unwrap().is_empty());
    }
    let id = editor.prompt(&session, "What is two and two?");
    assert_eq!(editor.answer(id)["result"]["stopReason"], "end_turn");
    assert!(editor.text("agent_message_chunk").contains("It is four."));
    assert_eq!(editor.close(), Some(0));
}

#[test]
fn modes_and_settings_are_in_step() {
    let home = Home::new();
    let mut editor = Editor::start(&home, &home.script(&[]));
    let session = editor.begin(home.path());
    let set = editor.ask("session/set_mode", &json!({ "sessionId": session, "modeId": "deep" }));
    assert!(set["result"].is_object(), "{set}");
    assert_eq!(editor.updates("config_option_update").last().unwrap()["configOptions"][0]["currentValue"], "deep");
    let option = |id: &str, value: &str| json!({ "sessionId": session, "configId": id, "value": value });
    let set = editor.ask("session/set_config_option", &option("mode", "fast"));
    assert_eq!(set["result"]["configOptions"][0]["currentValue"], "fast", "the answer holds all of them");
    assert_eq!(editor.updates("current_mode_update").last().unwrap()["currentModeId"], "fast");
    let set = editor.ask("session/set_config_option", &option("thought_level", "512"));
    assert_eq!(set["result"]["configOptions"][1]["currentValue"], "512");
    assert_eq!(editor.ask("session/set_config_option", &option("color", "red"))["error"]["code"], -32602);
}

#[test]
fn a_cancel_ends_the_prompt_and_other_sessions_get_their_turn() {
    let home = Home::new();
    let script = home.script(&[slow(), json!({ "text": "It is four." })]);
    let mut editor = Editor::start(&home, &script);
    let first = editor.begin(home.path());
    let second = editor.begin(home.path());
    let long = editor.prompt(&first, "What is long?");
    editor.wait_for(|line| line["params"]["update"]["sessionUpdate"] == "agent_thought_chunk");
    let busy =
        editor.ask("session/prompt", &json!({ "sessionId": first, "prompt": [{ "type": "text", "text": "And?" }] }));
    assert_eq!(busy["error"]["code"], -32600, "{busy}");
    let waiting = editor.prompt(&second, "What is two and two?");
    let third = editor.begin(home.path());
    let never = editor.prompt(&third, "What is never?");
    editor.notify("$/cancel_request", &json!({ "requestId": never }));
    assert_eq!(editor.answer(never)["result"]["stopReason"], "cancelled");
    editor.notify("session/cancel", &json!({ "sessionId": first }));
    assert_eq!(editor.answer(long)["result"]["stopReason"], "cancelled");
    assert_eq!(editor.answer(waiting)["result"]["stopReason"], "end_turn");
    assert!(editor.text("agent_message_chunk").contains("It is four."));
    // A client that goes away in the middle of a prompt.
    editor.prompt(&second, "What is more?");
    assert_eq!(editor.close(), Some(0));
}

/// Prompts for a change in a copy of the broken shop and answers the permission; the file afterwards.
fn changed(answer: &Value) -> Option<(String, Value, Editor, String)> {
    let home = Home::new();
    let root = home.path().join("shop");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/shop"), &root);
    std::fs::create_dir(root.join(".git")).unwrap();
    let script = home.script(&[json!({ "text": RIGHT_AT_ONCE }), json!({ "text": RIGHT_AT_ONCE })]);
    let mut editor = Editor::start(&home, &script);
    let session = editor.begin(&root);
    let id = editor.prompt(&session, "make the tests pass");
    let asked = editor.wait_for(|line| line["method"] == "session/request_permission" || line["id"] == json!(id));
    if asked["method"].is_null() {
        eprintln!("skipped: no walls or no python3 here");
        return None;
    }
    let call = editor.updates("tool_call").into_iter().find(|call| call["kind"] == "edit").unwrap().clone();
    assert_eq!(call["toolCallId"], asked["params"]["toolCall"]["toolCallId"]);
    let diff = &call["content"][0];
    let path = root.canonicalize().unwrap().join("shop.py");
    assert_eq!((&diff["type"], &diff["path"]), (&json!("diff"), &json!(path)));
    assert!(diff["oldText"].as_str().unwrap().contains("price + price"));
    assert!(diff["newText"].as_str().unwrap().contains("price - price"));
    let before = std::fs::read_to_string(&path).unwrap();
    assert!(before.contains("price + price"), "nothing is written before the word");
    let mut line = answer.clone();
    (line["jsonrpc"], line["id"]) = (json!("2.0"), asked["id"].clone());
    editor.raw(&line.to_string());
    let end = editor.answer(id);
    let after = std::fs::read_to_string(&path).unwrap();
    if line["result"]["outcome"]["optionId"] == "write" {
        let id = editor.prompt(&session, "/undo");
        assert_eq!(editor.answer(id)["result"]["stopReason"], "end_turn");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before, "what was written can be taken back");
    }
    Some((after, end, editor, session))
}

#[test]
fn a_change_is_written_after_a_yes_and_only_then() {
    let selected = |option: &str| json!({ "result": { "outcome": { "outcome": "selected", "optionId": option } } });
    let Some((after, end, editor, _)) = changed(&selected("write")) else { return };
    assert!(after.contains("price - price"), "{end}");
    assert_eq!(
        (&end["result"]["stopReason"], &end["result"]["_meta"]["z1"]["status"]),
        (&json!("end_turn"), &json!("verified"))
    );
    assert!(editor.updates("tool_call_update").iter().any(|update| update["status"] == "completed"));
    for no in [
        selected("reject"),
        selected("something else"),
        json!({ "result": { "outcome": { "outcome": "cancelled" } } }),
        json!({ "error": { "code": -32602, "message": "no" } }),
        json!({ "result": null }),
    ] {
        let Some((after, end, ..)) = changed(&no) else { return };
        assert!(after.contains("price + price"), "{no} is no yes: {end}");
        assert_eq!(end["result"]["_meta"]["z1"]["status"], "refused", "{end}");
    }
}

#[test]
fn a_model_that_cannot_be_loaded_is_an_error_and_not_the_end() {
    let home = Home::new();
    let broken = home.write("broken.gguf", b"not a model");
    let mut editor = Editor::start(&home, &broken.to_string_lossy());
    let session = editor.begin(home.path());
    let id = editor.prompt(&session, "What is two and two?");
    let answer = editor.answer(id);
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("broken.gguf"), "{answer}");
    assert!(editor.ask("session/list", &json!({}))["result"].is_object());
    assert_eq!(editor.close(), Some(0));
}

/// The client library of the protocol's own authors, where Python has it (`pip install agent-client-protocol`).
#[test]
fn a_client_that_nobody_here_wrote_gets_an_answer() {
    let python = std::env::var("Z1_CLIENTS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let there = Command::new(&python).args(["-c", "import acp"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {python} has no agent-client-protocol (Z1_CLIENTS_PYTHON names another)");
        return;
    }
    let home = Home::new();
    let script = home.script(&[json!({ "text": "It is four." }), slow()]);
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/clients/acp-client.py");
    let mut command = Command::new(&python);
    command.arg(client).args([env!("CARGO_BIN_EXE_z1"), "acp", "--model", &script]);
    command.current_dir(home.path()).env("Z1_HOME", home.path().join("z1")).env("HOME", home.path());
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("It is four.") && out.contains("cancelled: cancelled"), "{out}\n{err}");
}

#[test]
fn a_tool_of_another_program_is_called_after_a_yes_and_only_then() {
    for (option, wanted, status) in [("call", "no error", "completed"), ("reject", "did not allow", "failed")] {
        let home = Home::new();
        if !can_run_code() {
            return;
        }
        std::fs::create_dir_all(home.path().join("z1/config")).unwrap();
        let settings = format!("[mcp.t]\ncommand = 'python3'\nargs = ['-c', '''{SERVER}''']\n");
        home.write("z1/config/config.toml", settings);
        let root = home.path().join("shop");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/shop"), &root);
        std::fs::create_dir(root.join(".git")).unwrap();
        let look = "```bash\nmcp t read path=shop.py\n```\n";
        let script = home.script(&[json!({ "text": look }), json!({ "text": "It is in shop.py." })]);
        let mut editor = Editor::start(&home, &script);
        let session = editor.begin(&root);
        let id = editor.prompt(&session, "Where is the discount computed?");
        let asked = editor.wait_for(|line| line["method"] == "session/request_permission" || line["id"] == json!(id));
        assert_eq!(asked["method"], "session/request_permission", "{:?}", editor.told);
        let call = &asked["params"]["toolCall"]["toolCallId"];
        let calls = editor.updates("tool_call");
        let shown = calls.iter().find(|shown| shown["toolCallId"] == *call).unwrap();
        assert_eq!((shown["title"].as_str(), shown["status"].as_str()), (Some("mcp t read"), Some("pending")));
        assert!(shown["content"][0]["content"]["text"].as_str().unwrap().contains("{\"path\":\"shop.py\"}"));
        let call = call.clone();
        let result = json!({ "outcome": { "outcome": "selected", "optionId": option } });
        editor.raw(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string());
        let end = editor.answer(id);
        assert_eq!(end["result"]["stopReason"], "end_turn", "{end}");
        let updates = editor.updates("tool_call_update");
        let last = updates.iter().rev().find(|update| update["toolCallId"] == call).unwrap();
        assert_eq!(last["status"], status);
        let stored = std::fs::read_dir(home.path().join("z1/state/sessions")).unwrap().flatten();
        let stored: String = stored.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect();
        assert!(stored.contains(wanted), "{stored}");
    }
}
