//! `z1 serve`, the real binary with a scripted model, asked over loopback and a Unix socket by hand.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{Home, can_run_code, reply};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server.
struct Served {
    child: Child,
    address: String,
    _home: Home,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ =
            rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// An answer as it came.
#[derive(Debug)]
struct Got {
    status: u16,
    head: String,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The data of a stream's events.
    fn events(&self) -> Vec<Value> {
        assert!(self.head.to_ascii_lowercase().contains("text/event-stream"), "{self:?}");
        let data = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

impl Served {
    fn start(replies: &[Value], more: &[&str]) -> Self {
        let home = Home::new();
        let script = home.script(replies);
        let arguments = ["serve", "--port", "0", "--model", &script].into_iter().chain(more.iter().copied());
        let mut child = home.command(&arguments.collect::<Vec<_>>()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix("/v1"));
        let address = address.unwrap_or_else(|| panic!("no address: {line:?}")).to_owned();
        Self { child, address, _home: home }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes as they are and reads until the server closes.
    fn raw(&self, bytes: &[u8]) -> Got {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        read(&mut stream)
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Got {
        self.raw(&request(method, path, &self.address, headers, body))
    }

    fn post(&self, path: &str, body: &Value) -> Got {
        self.send("POST", path, &[], &body.to_string())
    }
}

fn request(method: &str, path: &str, host: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if headers.iter().all(|(name, _)| *name != "host") {
        text.push_str(&format!("host: {host}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{text}\r\n{body}").into_bytes()
}

fn read(stream: &mut impl std::io::Read) -> Got {
    let mut bytes = Vec::new();
    // A server that closes early may reset what was still under way.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Got { status, head: head.to_owned(), body }
}

fn unchunked(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        out.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    out
}

fn talk(text: &str) -> Value {
    json!({ "model": "any", "messages": [{ "role": "user", "content": text }] })
}

fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// Four words of thought, and an answer once it is cut.
fn thinker() -> Value {
    json!({ "text": "one two three four five six seven eight", "after_shift": "It is four." })
}

#[test]
fn idle_connections_give_way_to_one_that_asks() {
    let served = Served::start(&[], &[]);
    let mut idle: Vec<TcpStream> = (0..z1::serve::CONNECTIONS_MAX).map(|_| served.connect()).collect();
    assert_eq!(served.send("GET", "/v1/models", &[], "").status, 200);
    // The one that was there first went, and the last one did not have to.
    assert_eq!(idle[0].read(&mut [0; 8]).unwrap(), 0);
    let last = idle.last_mut().unwrap();
    last.write_all(&request("GET", "/v1/models", &served.address, &[], "")).unwrap();
    assert_eq!(read(last).status, 200);
}

#[test]
fn every_interface_answers_whole_and_as_a_stream() {
    let say = json!({ "text": "It is four." });
    let served = Served::start(&vec![say; 8], &[]);
    let models = served.send("GET", "/v1/models", &[], "");
    assert_eq!((models.status, models.json()["object"].as_str()), (200, Some("list")));

    let chat = served.post("/v1/chat/completions", &talk("Two and two?"));
    assert_eq!(chat.status, 200, "{chat:?}");
    let answer = chat.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "It is four.");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() > 0);
    let options = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let events = served.post("/v1/chat/completions", &with(talk("Two and two?"), &options)).events();
    let text: String = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "It is four.");
    assert_eq!(events.last().unwrap()["choices"], json!([]));

    let text = served.post("/v1/completions", &json!({ "prompt": "2 + 2", "max_tokens": 40 })).json();
    assert_eq!(text["choices"][0]["text"], "It is four.");

    let responses = served.post("/v1/responses", &json!({ "input": "Two and two?" })).json();
    assert_eq!(responses["output"][0]["content"][0]["text"], "It is four.");
    let events = served.post("/v1/responses", &json!({ "input": "Two and two?", "stream": true })).events();
    let done = events.iter().find(|event| event["type"] == "response.output_item.done").unwrap();
    assert_eq!(done["item"]["content"][0]["text"], "It is four.");
    assert_eq!(events.last().unwrap()["response"]["output"][0]["content"][0]["text"], "It is four.");

    let messages = json!({ "max_tokens": 99, "messages": [{ "role": "user", "content": "Two and two?" }] });
    let answer =
        served.send("POST", "/v1/messages", &[("anthropic-version", "2026-10-21")], &messages.to_string()).json();
    assert_eq!((&answer["content"][0]["text"], &answer["stop_reason"]), (&json!("It is four."), &json!("end_turn")));
    let stream = served.post("/v1/messages", &with(messages.clone(), &json!({ "stream": true })));
    assert_eq!(stream.events()[0]["type"], "message_start");
    assert!(stream.body.contains("event: message_stop\n"), "{stream:?}");
    assert!(served.post("/v1/messages/count_tokens", &messages).json()["input_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn thinking_is_budgeted_by_any_name_for_a_model_without_tags() {
    let served = Served::start(&vec![thinker(); 6], &[]);
    for wish in [
        json!({ "thinking_budget": 4 }),
        json!({ "thinking": { "type": "enabled", "budget_tokens": 4 } }),
        json!({ "reasoning": { "budget_tokens": 4 } }),
        json!({ "reasoning_budget": 4, "hint": " So: " }),
    ] {
        let answer = served.post("/v1/chat/completions", &with(talk("Two and two?"), &wish)).json();
        let message = &answer["choices"][0]["message"];
        assert_eq!(message["reasoning_content"], "one two three four", "{wish}: {answer}");
        assert_eq!(message["content"], "It is four.", "{wish}: the hint is nobody's words");
        assert_eq!(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 4, "{answer}");
    }
    let options = json!({ "stream": true, "thinking_budget": 4 });
    let events = served.post("/v1/chat/completions", &with(talk("Two and two?"), &options)).events();
    let of = |name: &str| -> String {
        events.iter().filter_map(|event| event["choices"][0]["delta"][name].as_str()).collect()
    };
    assert_eq!((of("reasoning_content"), of("content")), ("one two three four".into(), "It is four.".into()));
    let plain = served.post("/v1/chat/completions", &talk("Two and two?")).json();
    assert_eq!(plain["choices"][0]["message"]["content"], "one two three four five six seven eight");
    assert!(plain["choices"][0]["message"]["reasoning_content"].is_null());
}

#[test]
fn limits_and_stop_words_end_an_answer_and_say_so() {
    let served = Served::start(&vec![json!({ "text": "one two three four five six" }); 3], &[]);
    let cut = served.post("/v1/chat/completions", &with(talk("Count."), &json!({ "max_tokens": 2 }))).json();
    assert_eq!(cut["choices"][0]["finish_reason"], "length", "{cut}");
    assert_eq!(cut["choices"][0]["message"]["content"], "one two");
    let stopped = served.post("/v1/chat/completions", &with(talk("Count."), &json!({ "stop": ["four"] }))).json();
    assert_eq!(stopped["choices"][0]["message"]["content"], "one two three ");
    let body = with(talk("Count."), &json!({ "stop_sequences": ["three"], "max_tokens": 50 }));
    let stopped = served.post("/v1/messages", &body).json();
    assert_eq!((&stopped["stop_reason"], &stopped["stop_sequence"]), (&json!("stop_sequence"), &json!("three")));
}

#[test]
fn a_tool_is_called_and_its_result_comes_back() {
    let call = "<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"a.py\"}}\n</tool_call>";
    let served = Served::start(&[json!({ "text": call }), json!({ "text": call }), json!({ "text": "Read." })], &[]);
    let tools = json!({ "tools": [{ "type": "function", "function": { "name": "read", "parameters": {} } }] });
    let answer = served.post("/v1/chat/completions", &with(talk("Read a.py"), &tools)).json();
    let choice = &answer["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &Value::Null));
    assert_eq!(choice["message"]["tool_calls"][0]["function"]["arguments"], "{\"path\":\"a.py\"}");
    let body = json!({
        "max_tokens": 99, "stream": true, "tools": [{ "name": "read", "input_schema": {} }],
        "messages": [{ "role": "user", "content": "Read a.py" }],
    });
    let events = served.post("/v1/messages", &body).events();
    assert!(events.iter().any(|event| event["content_block"]["type"] == "tool_use"), "{events:?}");
    let mut body = with(talk("Read a.py"), &tools);
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(choice["message"].clone());
    messages.push(json!({ "role": "tool", "tool_call_id": "c", "content": [{ "type": "text", "text": "x = 1" }] }));
    assert_eq!(served.post("/v1/chat/completions", &body).json()["choices"][0]["message"]["content"], "Read.");
}

#[test]
fn a_reply_that_must_be_a_call_is_begun_as_one() {
    // What the model would say of itself, and what it says once its call is begun for it.
    let reply = || json!({ "text": "It is sunny.", "after_shift": " {\"zone\": \"CET\"}}\n</tool_call>" });
    let served = Served::start(&[reply(), reply()], &[]);
    let tools = |more: Value| {
        let tools = ["time", "read"].map(|name| json!({ "type": "function", "function": { "name": name } }));
        with(with(talk("What is the time?"), &json!({ "tools": tools })), &more)
    };
    for choice in [
        json!({ "tool_choice": { "type": "function", "function": { "name": "time" } } }),
        json!({ "function_call": { "name": "time" } }),
    ] {
        let answer = served.post("/v1/chat/completions", &tools(choice)).json();
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls", "{answer}");
        let function = &choice["message"]["tool_calls"][0]["function"];
        assert_eq!((&function["name"], &function["arguments"]), (&json!("time"), &json!("{\"zone\":\"CET\"}")));
    }
}

#[test]
fn a_verified_answer_was_run() {
    if !can_run_code() {
        return;
    }
    // A wrong answer is drawn again several times.
    let mut replies = vec![reply("def rev(s):\n    return s[::-1]"); 8];
    replies[0] = reply("def rev(s):\n    return s");
    let served = Served::start(&replies, &[]);
    let more = json!({ "verify": true, "tests": "assert rev(\"ab\") == \"ba\"", "thinking_budget": 500 });
    let answer = served.post("/v1/chat/completions", &with(talk("Write a Python function rev(s)."), &more)).json();
    assert_eq!(answer["z1"]["status"], "verified", "{answer}");
    assert_eq!(answer["z1"]["rounds"], 2);
    assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().contains("s[::-1]"));
}

#[test]
fn bad_requests_are_refused_in_the_protocols_own_form() {
    let served = Served::start(&[json!({ "text": "Fine." })], &[]);
    let chat = "/v1/chat/completions";
    for (method, path, body, status) in [
        ("POST", chat, "{broken", 400),
        ("POST", chat, "[]", 400),
        ("POST", chat, "{}", 400),
        ("POST", chat, "{\"messages\":[{\"role\":\"wizard\",\"content\":\"x\"}]}", 400),
        ("POST", chat, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"reasoning_effort\":\"extreme\"}", 400),
        ("POST", chat, "{\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]}", 400),
        ("GET", chat, "", 405),
        ("POST", "/v1/nothing", "{}", 404),
        ("GET", "/v1/models/other", "", 404),
    ] {
        let got = served.send(method, path, &[], body);
        assert_eq!(got.status, status, "{method} {path} {body}: {got:?}");
        assert!(got.json()["error"]["message"].is_string() && got.json()["error"]["type"].is_string(), "{got:?}");
    }
    let messages = served.send("POST", "/v1/messages", &[], "{}");
    assert_eq!((messages.status, &messages.json()["type"]), (400, &json!("error")));
    let deep = format!("{{\"messages\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(served.send("POST", chat, &[], &deep).status, 400);
    let long = served.post(chat, &talk(&"word ".repeat(9000)));
    assert_eq!((long.status, &long.json()["error"]["code"]), (400, &json!("context_length_exceeded")), "{long:?}");
    let head = format!("POST {chat} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999\r\n\r\n");
    assert_eq!(served.raw(head.as_bytes()).status, 413);
    let squeezed = served.send("POST", chat, &[("content-encoding", "gzip")], "x");
    assert_eq!(squeezed.status, 400);
    // Half a request, then nothing: it holds nobody else up.
    let mut half = served.connect();
    half.write_all(
        format!("POST {chat} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 500\r\n\r\n{{\"mess").as_bytes(),
    )
    .unwrap();
    assert_eq!(served.raw(b"nonsense\r\n\r\n").status, 400);
    assert_eq!(served.post(chat, &talk("Still there?")).json()["choices"][0]["message"]["content"], "Fine.");
}

#[test]
fn no_web_page_and_nobody_without_the_key_is_served() {
    let home = Home::new();
    let key = home.write("key", "secret\n");
    let served = Served::start(
        &vec![json!({ "text": "Fine." }); 3],
        &["--api-key-file", &key.to_string_lossy(), "--allow-origin", "http://localhost:3000"],
    );
    let body = talk("Hello?").to_string();
    let ask = |headers: &[(&str, &str)]| served.send("POST", "/v1/chat/completions", headers, &body);
    let bearer = ("authorization", "Bearer secret");
    assert_eq!(ask(&[]).status, 401);
    assert_eq!(ask(&[("authorization", "Bearer wrong")]).status, 401);
    assert_eq!(ask(&[bearer, ("host", "evil.example")]).status, 403);
    assert_eq!(ask(&[bearer, ("origin", "https://evil.example")]).status, 403);
    assert_eq!(ask(&[bearer, ("sec-fetch-site", "cross-site")]).status, 403);
    assert_eq!(ask(&[bearer]).status, 200);
    assert_eq!(ask(&[("x-api-key", "secret")]).status, 200);
    let page = ask(&[bearer, ("origin", "http://localhost:3000")]);
    assert!(page.status == 200 && page.head.contains("access-control-allow-origin: http://localhost:3000"), "{page:?}");
    let preflight = |origin: &str| served.send("OPTIONS", "/v1/chat/completions", &[("origin", origin)], "");
    assert_eq!((preflight("http://localhost:3000").status, preflight("https://evil.example").status), (204, 403));
    assert!(!preflight("https://evil.example").head.contains("access-control"));
    let refused = Home::new();
    let open = refused.run(&["serve", "--host", "0.0.0.0", "--port", "0", "--model", &refused.script(&[])]);
    assert!(open.code == Some(2) && open.err.contains("key"), "{open:?}");
}

#[test]
fn a_request_with_two_names_or_none_is_refused_in_the_protocols_own_form() {
    let served = Served::start(&[json!({ "text": "Fine." })], &[]);
    let body = talk("Hello?").to_string();
    let with_hosts = |path: &str, hosts: &[&str]| {
        let hosts: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
        let head =
            format!("POST {path} HTTP/1.1\r\n{hosts}connection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        served.raw(format!("{head}{body}").as_bytes())
    };
    let here = served.address.as_str();
    for hosts in [&[here, here][..], &[here, "evil.example"], &["evil.example", here], &["localhost", "127.0.0.1"], &[]]
    {
        for path in ["/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/models", "/v1/messages"] {
            let got = with_hosts(path, hosts);
            assert_eq!(got.status, 400, "{path} {hosts:?}: {got:?}");
            let said = got.json();
            assert_eq!(said["error"]["type"], "invalid_request_error", "{said}");
            assert!(said["error"]["message"].as_str().unwrap().contains("exactly one `Host`"), "{said}");
            assert_eq!(
                said["type"] == "error",
                path == "/v1/messages",
                "Anthropic's form has a type of its own: {said}"
            );
        }
    }
    assert_eq!(with_hosts("/v1/chat/completions", &["evil.example"]).status, 403, "one name, and a wrong one");
    let fine = with_hosts("/v1/chat/completions", &[here]).json();
    assert_eq!(fine["choices"][0]["message"]["content"], "Fine.", "none of the others has reached the model");
}

/// A server within this process whose model is held up by texts of a megabyte, until it is let go.
struct Held {
    address: String,
    entered: std::sync::mpsc::Receiver<()>,
    go: std::sync::mpsc::Sender<()>,
    stop: z1::cancel::Cancel,
}

const HELD_BYTES: usize = 1 << 20;

impl Held {
    fn start(replies: Vec<z1::engine::Reply>) -> Self {
        use z1::serve::{Guard, Listener, Server, listen};
        let (enter, entered) = std::sync::mpsc::channel();
        let (go, gone) = std::sync::mpsc::channel();
        let gate = std::sync::Mutex::new((enter, gone));
        let splitting = move |text: &str| {
            if text.len() >= HELD_BYTES {
                let gate = gate.lock().unwrap();
                gate.0.send(()).unwrap();
                gate.1.recv().unwrap();
            }
        };
        let script =
            z1::engine::Script { splitting: Some(std::sync::Arc::new(splitting)), ..z1::engine::Script::new(replies) };
        let (said, address) = std::sync::mpsc::channel();
        let stop = z1::cancel::Cancel::new();
        let until = stop.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, async {
                let judge = std::sync::Arc::new(z1::agent::NoJudge { why: "not asked".to_owned() });
                let engine = z1::engine::Engine::start_scripted(script);
                let agent = z1::agent::Agent::new(engine, judge, None, z1::agent::Settings::default()).unwrap();
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                said.send(listener.local_addr().unwrap().to_string()).unwrap();
                listen(Server::new(agent, Guard::default(), None), vec![Listener::Tcp(listener)], &until).await;
            });
        });
        Self { address: address.recv_timeout(PATIENCE).unwrap(), entered, go, stop }
    }

    fn send(&self, path: &str, body: &Value) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&request("POST", path, &self.address, &[], &body.to_string())).unwrap();
        BufReader::new(stream)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[test]
fn a_huge_prompt_that_is_being_tokenized_holds_nobody_elses_stream_up() {
    let words: String = (0..60).map(|n| format!(" w{n}")).collect();
    let long = z1::engine::Reply::new(words).slow(Duration::from_millis(5));
    let fine = || z1::engine::Reply::new("Fine.");
    let held = Held::start(vec![long, fine(), fine()]);
    let stream = json!({ "stream": true });
    for (path, huge) in [
        ("/v1/chat/completions", with(talk(&"word ".repeat(HELD_BYTES / 5 + 1)), &stream)),
        ("/v1/messages/count_tokens", talk(&"word ".repeat(HELD_BYTES / 5 + 1))),
    ] {
        // A stream has begun; then the huge prompt arrives and is being split.
        let mut open = held.send("/v1/chat/completions", &with(talk("Talk."), &stream));
        let mut first = String::new();
        while !first.starts_with("data: ") {
            first.clear();
            assert_ne!(open.read_line(&mut first).unwrap(), 0, "the stream begins");
        }
        let mut waiting = held.send(path, &huge);
        held.entered.recv_timeout(PATIENCE).expect("the prompt reaches the tokenizer");
        // While it is, the open stream goes on to its end, and a new one is served from beginning to end.
        let rest = read(&mut open);
        assert!(rest.body.contains("[DONE]") || rest.head.contains("[DONE]"), "{rest:?}");
        if path.ends_with("completions") {
            let new = read(&mut held.send("/v1/chat/completions", &with(talk("Hello?"), &stream)));
            assert!(new.body.contains("[DONE]"), "{new:?}");
        }
        held.go.send(()).unwrap();
        let answered = read(&mut waiting);
        let wanted =
            if path.ends_with("completions") { (400, "context_length_exceeded") } else { (200, "input_tokens") };
        assert!(answered.status == wanted.0 && answered.body.contains(wanted.1), "{answered:?}");
    }
}

#[test]
fn a_client_that_hangs_up_frees_the_model_and_several_are_served() {
    let words: String = (0..4000).map(|n| format!(" w{n}")).collect();
    // Longer than anybody here waits, unless it is ended.
    let long = json!({ "text": words, "delay_ms": 60 });
    let served = Served::start(&[long.clone(), long, json!({ "text": "Fine." }), json!({ "text": "Fine." })], &[]);
    for stream in [true, false] {
        let body = with(talk("Talk."), &json!({ "stream": stream })).to_string();
        let mut client = served.connect();
        client.write_all(&request("POST", "/v1/chat/completions", &served.address, &[], &body)).unwrap();
        if stream {
            let mut some = [0; 600];
            client.read_exact(&mut some).unwrap();
        } else {
            // Until the request has reached the model.
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    let others: Vec<_> = std::thread::scope(|scope| {
        let ask = || served.post("/v1/chat/completions", &talk("Hello?")).json();
        let both = [scope.spawn(ask), scope.spawn(ask)];
        both.map(|one| one.join().unwrap()).into_iter().collect()
    });
    assert!(others.iter().all(|answer| answer["choices"][0]["message"]["content"] == "Fine."), "{others:?}");
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_for_its_owner_and_is_gone_afterwards() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let path = home.path().join("z1.sock");
    let script = home.script(&[json!({ "text": "Fine." })]);
    let place = path.to_string_lossy().into_owned();
    let mut child = home.command(&["serve", "--socket", &place, "--model", &script]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), format!("unix:{place}"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let second = home.run(&["serve", "--socket", &place, "--model", &script]);
    assert!(second.code == Some(1) && second.err.contains("somebody listens"), "{second:?}");
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = talk("Hello?").to_string();
    stream.write_all(&request("POST", "/v1/chat/completions", "any.name", &[], &body)).unwrap();
    assert_eq!(read(&mut stream).json()["choices"][0]["message"]["content"], "Fine.");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    child.wait().unwrap();
    assert!(!path.exists());
}
