//! Scripted servers, good and bad, started without walls: what is tested here is what is made of what they say.

use std::path::Path;
use std::time::{Duration, Instant};

use super::*;

/// A server in Python whose answers to `tools/list` and `tools/call` are what `body` says; `say` prints a line.
fn server(folder: &Path, body: &str) -> String {
    let text = format!(
        "import json, sys, time\n\
         def say(value): print(value if isinstance(value, str) else json.dumps(value), flush=True)\n\
         def result(id, value): say({{'jsonrpc': '2.0', 'id': id, 'result': value}})\n\
         def text(id, words, failed=False): result(id, {{'content': [{{'type': 'text', 'text': words}}], 'isError': failed}})\n\
         TOOL = {{'name': 'echo', 'description': 'Says it again', 'annotations': {{'readOnlyHint': True}},\n\
         \x20       'inputSchema': {{'type': 'object', 'properties': {{'words': {{'type': 'string'}}}}, 'required': ['words']}}}}\n\
         def hello(id, version='2025-11-25'):\n\
         \x20   result(id, {{'protocolVersion': version, 'capabilities': {{'tools': {{}}}}, 'serverInfo': {{'name': 'scripted', 'version': '1'}}}})\n\
         def called(id, name, words): text(id, words)\n\
         def tools(id): result(id, {{'tools': [TOOL]}})\n\
         {body}\n\
         for line in sys.stdin:\n\
         \x20   message = json.loads(line)\n\
         \x20   id, method, params = message.get('id'), message.get('method'), message.get('params', {{}})\n\
         \x20   if method == 'initialize': hello(id)\n\
         \x20   elif method == 'tools/list': tools(id)\n\
         \x20   elif method == 'tools/call': called(id, params['name'], params['arguments'].get('words', ''))\n"
    );
    let path = folder.join("server.py");
    std::fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

struct Desk {
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
}

fn desk() -> Option<Desk> {
    if std::process::Command::new("python3").arg("-V").output().is_err() {
        eprintln!("skipped: no python3 here");
        return None;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    Some(Desk { runtime, folder: tempfile::tempdir().unwrap() })
}

impl Desk {
    fn start(&self, settings: &str) -> (Tools, Vec<String>) {
        let specs = read(&settings.parse().unwrap(), None).unwrap();
        let place = Place { root: self.folder.path(), min_tier: Tier::L };
        self.runtime.block_on(Toolset::new(specs, None).start(place, &Cancel::new()))
    }

    /// One server of this body.
    fn one(&self, body: &str, more: &str) -> (Tools, Vec<String>) {
        let path = server(self.folder.path(), body);
        self.start(&format!("[s]\ncommand = 'python3'\nargs = ['{path}']\nwalls = false\n{more}\n"))
    }

    fn say(&self, tools: &mut Tools, words: &str) -> Called {
        let call = tools.find(&format!("mcp s echo words={words}"), Reach::Asked).unwrap();
        self.runtime.block_on(tools.call(&call, &Cancel::new()))
    }
}

#[test]
fn a_server_is_started_listed_and_called() {
    let Some(desk) = desk() else { return };
    let noise = "say('a log line'); say({'jsonrpc': '2.0', 'method': 'notifications/tools/list_changed'})\n\
                 say({'jsonrpc': '2.0', 'id': 0, 'method': 'roots/list'})";
    let (mut tools, warnings) = desk.one(noise, "");
    assert_eq!(warnings, Vec::<String>::new());
    let found = tools.found().next().unwrap();
    assert_eq!((found.about.title.as_str(), found.about.protocol.as_str()), ("scripted 1", "2025-11-25"));
    let told = tools.told(Reach::Asked, 100, &|text| text.split_whitespace().count());
    assert_eq!(told.text, "mcp s echo words=TEXT\n    Says it again");
    assert_eq!(tools.told(Reach::Allowed, 100, &str::len).offered, 0, "its own hint allows nothing");
    assert_eq!(desk.say(&mut tools, "hello"), Called { failed: false, text: "hello".into() });
}

#[test]
fn both_channels_of_errors_are_failed_calls_and_end_nothing() {
    let Some(desk) = desk() else { return };
    let body = "def called(id, name, words):\n\
                \x20   if words == 'result': text(id, 'it is broken', True)\n\
                \x20   elif words == 'error': say({'jsonrpc': '2.0', 'id': id, 'error': {'code': -32602, 'message': 'no such thing'}})\n\
                \x20   elif words == 'null': say({'jsonrpc': '2.0', 'id': None, 'error': {'code': -32700, 'message': 'cannot read'}})\n\
                \x20   else: text(id, words)";
    let (mut tools, _) = desk.one(body, "");
    assert_eq!(desk.say(&mut tools, "result"), Called { failed: true, text: "it is broken".into() });
    for (words, wanted) in [("error", "The server s: error -32602: no such thing"), ("null", "cannot read")] {
        let called = desk.say(&mut tools, words);
        assert!(called.failed && called.text.contains(wanted), "{called:?}");
    }
    assert_eq!(desk.say(&mut tools, "fine").text, "fine");
}

#[test]
fn malformed_tools_and_replies_name_their_server_and_spoil_nothing_else() {
    let Some(desk) = desk() else { return };
    let body = "def tools(id): result(id, {'tools': [TOOL, {'name': 'odd'}, TOOL, 7, {'name': 'a b', 'inputSchema': {}}]})\n\
                def called(id, name, words):\n\
                \x20   if words == 'half': say('{\"jsonrpc\": \"2.0\", \"id\": %d, \"result\": {' % id)\n\
                \x20   elif words == 'neither': say({'jsonrpc': '2.0', 'id': id})\n\
                \x20   elif words == 'kind': result(id, {'content': 'words'})\n\
                \x20   elif words == 'number': result(id, 7)\n\
                \x20   else: text(id, words)";
    let (mut tools, warnings) = desk.one(body, "");
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.starts_with("the tool server s: ")), "{warnings:?}");
    for words in ["half", "neither", "kind", "number"] {
        let called = desk.say(&mut tools, words);
        assert!(called.failed && called.text.contains("The server s: its reply is malformed"), "{called:?}");
    }
    assert_eq!(desk.say(&mut tools, "fine").text, "fine");
}

#[test]
fn a_server_that_ends_says_how_and_the_others_stay() {
    let Some(desk) = desk() else { return };
    let body = "def called(id, name, words):\n\
                \x20   if words == 'end': sys.stderr.write('out of \\x1b[31mink\\n'); sys.exit(3)\n\
                \x20   text(id, words)";
    let path = server(desk.folder.path(), body);
    let one = |name: &str| format!("[{name}]\ncommand = 'python3'\nargs = ['{path}']\nwalls = false\n");
    let broken = "[broken]\ncommand = '/there/is/none'\nwalls = false\n[mute]\ncommand = 'true'\nwalls = false\n";
    let (mut tools, warnings) = desk.start(&format!("{}{}{broken}", one("s"), one("t")));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("broken") && warnings[0].contains("cannot be started"), "{warnings:?}");
    assert!(warnings[1].contains("mute: it is gone: exit status: 0"), "{warnings:?}");
    for _ in 0..2 {
        let called = desk.say(&mut tools, "end");
        assert!(called.failed && called.text.contains("exit status: 3"), "{called:?}");
        assert!(called.text.contains("out of ink") && !called.text.contains('\u{1b}'), "{called:?}");
    }
    let call = tools.find("mcp t echo words=on", Reach::Asked).unwrap();
    assert_eq!(desk.runtime.block_on(tools.call(&call, &Cancel::new())).text, "on");
}

#[test]
fn escape_sequences_are_taken_out_and_floods_are_cut() {
    let Some(desk) = desk() else { return };
    let body = "def called(id, name, words):\n\
                \x20   if words == 'escape': text(id, 'a\\x1b]52;c;eA==\\x07\\x1b[2Jb\\u202e')\n\
                \x20   elif words == 'flood': text(id, 'x' * (100 << 20))\n\
                \x20   elif words == 'lines':\n\
                \x20       for _ in range(200000): say('not a message at all')\n\
                \x20       text(id, 'done')\n\
                \x20   else: text(id, words)";
    let (mut tools, _) = desk.one(body, "");
    assert_eq!(desk.say(&mut tools, "escape").text, "ab");
    let flood = desk.say(&mut tools, "flood");
    assert!(flood.failed && flood.text.contains("longer than 4 MiB"), "{}", flood.text);
    assert_eq!(desk.say(&mut tools, "lines").text, "done");
    assert_eq!(desk.say(&mut tools, "fine").text, "fine");
}

#[test]
fn who_does_not_answer_is_not_waited_for_and_a_late_answer_is_nobodys() {
    let Some(desk) = desk() else { return };
    // It answers late: when something else is asked.
    let body = "held = []\n\
                def called(id, name, words):\n\
                \x20   if words == 'late': return held.append(id)\n\
                \x20   while held: text(held.pop(), 'late')\n\
                \x20   text(id, words)";
    let (mut tools, _) = desk.one(body, "call_s = 2");
    let called = desk.say(&mut tools, "late");
    assert!(called.failed && called.text.contains("no answer within 2 s"), "{called:?}");
    assert_eq!(desk.say(&mut tools, "next").text, "next", "and not the late answer");
    let (_, warnings) = desk.one("def hello(id): say('starting')", "start_s = 1");
    assert!(warnings[0].contains("no answer within 1") && warnings[0].contains("`starting`"), "{warnings:?}");
    let cancel = Cancel::new();
    let call = tools.find("mcp s echo words=late", Reach::Asked).unwrap();
    let called = desk.runtime.block_on(async {
        let (called, ()) = tokio::join!(tools.call(&call, &cancel), async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            cancel.cancel();
        });
        called
    });
    assert!(called.failed && called.text.contains("cancelled"), "{called:?}");
}

#[test]
fn a_slow_start_is_waited_for_and_unknown_versions_are_named() {
    let Some(desk) = desk() else { return };
    let (tools, warnings) = desk.one("time.sleep(1)", "start_s = 20");
    assert!(warnings.is_empty() && tools.found().next().unwrap().about.started_ms >= 1000);
    let (_, warnings) = desk.one("def hello(id): result(id, {'protocolVersion': '2031-01-01'})", "");
    assert!(warnings[0].contains("`2031-01-01`"), "{warnings:?}");
    let refusing =
        "def hello(id): say({'jsonrpc': '2.0', 'id': id, 'error': {'code': -32022, 'message': 'unsupported'}})";
    let (_, warnings) = desk.one(refusing, "");
    assert!(warnings[0].contains("error -32022: unsupported"), "{warnings:?}");
}

#[test]
fn a_server_of_which_nobody_is_left_is_ended() {
    let Some(desk) = desk() else { return };
    let mark = desk.folder.path().join("ended");
    let body = format!("import atexit\natexit.register(lambda: open('{}', 'w').write('x'))", mark.display());
    let (tools, _) = desk.one(&body, "");
    drop(tools);
    let since = Instant::now();
    while !mark.exists() && since.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(mark.exists(), "its input was closed, and it left");
}

/// A server over HTTP in Python's library: plain answers, and streams of events where the words ask for one.
const HTTP: &str = r#"
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *rest): pass
    session = 0
    def do_DELETE(self):
        print("over", self.headers.get("Mcp-Session-Id"), self.headers.get("X-Key"), flush=True)
        self.reply(200, b"", "text/plain")
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method, id = message["method"], message.get("id")
        if id is None: return self.reply(202, b"", "text/plain")
        if method == "initialize":
            value = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "web", "version": "2"}}
            Handler.session += 1
            return self.reply(200, self.of(id, value), "application/json", {"Mcp-Session-Id": "abc%d" % Handler.session})
        if self.headers.get("Mcp-Session-Id") != "abc%d" % Handler.session:
            return self.reply(404, b"no such session", "text/plain")
        if self.headers.get("Mcp-Protocol-Version") != "2025-06-18":
            return self.reply(400, b"no session", "text/plain")
        if self.headers.get("X-Key") != "secret": return self.reply(401, b"no key", "text/plain")
        if method == "tools/list":
            schema = {"type": "object", "properties": {"words": {"type": "string"}}}
            return self.reply(200, self.of(id, {"tools": [{"name": "echo", "inputSchema": schema}]}), "application/json")
        words = message["params"]["arguments"].get("words", "")
        if words == "forget":
            Handler.session += 1
            words = "forgotten"
        if words == "error": return self.reply(500, b"broken", "text/plain")
        answer = self.of(id, {"content": [{"type": "text", "text": words}]})
        if words == "stream":
            notice = b'event: message\r\ndata: {"jsonrpc": "2.0", "method": "notifications/progress"}\r\n\r\n'
            return self.reply(200, notice + b"data: " + answer + b"\r\n\r\n", "text/event-stream")
        if words == "cut": return self.reply(200, b"data: " + answer[:20], "text/event-stream")
        self.reply(200, answer, "application/json")
    def of(self, id, value): return json.dumps({"jsonrpc": "2.0", "id": id, "result": value}).encode()
    def reply(self, status, body, kind, more={}):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in more.items(): self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

#[test]
fn a_server_on_this_machine_is_asked_over_http() {
    use std::io::BufRead as _;
    let Some(desk) = desk() else { return };
    let mut child =
        std::process::Command::new("python3").args(["-c", HTTP]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    let mut printed = std::io::BufReader::new(child.stdout.take().unwrap());
    printed.read_line(&mut port).unwrap();
    let settings = |key: &str| {
        format!("[s]\nurl = 'http://127.0.0.1:{}/mcp'\nask = ['*']\nheaders = {{ X-Key = '{key}' }}\n", port.trim())
    };
    let (mut tools, warnings) = desk.start(&settings("secret"));
    // A server that has forgotten the session is given a new one.
    let again: Vec<String> = ["forget", "here"].map(|words| desk.say(&mut tools, words).text).into();
    let said: Vec<Called> = ["hello", "stream", "error", "cut"].map(|words| desk.say(&mut tools, words)).into();
    drop(tools);
    let mut over = String::new();
    printed.read_line(&mut over).unwrap();
    let (_, refused) = desk.start(&settings("wrong"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(again, ["forgotten", "here"]);
    assert_eq!(over, "over abc3 secret\n");
    assert_eq!((said[0].text.as_str(), said[1].text.as_str()), ("hello", "stream"));
    assert!(said[2].failed && said[2].text.contains("error 500: broken"), "{said:?}");
    assert!(said[3].failed && said[3].text.contains("ended before the answer"), "{said:?}");
    assert!(refused[0].contains("error 401: no key"), "{refused:?}");
    let (_, gone) = desk.start(&settings("secret"));
    assert!(gone[0].contains("no connection"), "{gone:?}");
}
