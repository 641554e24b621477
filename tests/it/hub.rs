//! Pulling from a hub that the test starts itself on loopback: the real interface's paths, with interruptions,
//! redirects, refusals, wrong checksums and truncated bodies.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use z1::cancel::Cancel;
use z1::error::{self, Exit};
use z1::model_store::hub::{Hub, RemoteFile};
use z1::model_store::{download::Download, pull};

const PAUSE: Duration = Duration::from_millis(1);

/// What the server does with a path, for its first requests; the last one repeats.
#[derive(Clone)]
enum Answer {
    Whole,
    /// This many bytes, then the connection is cut.
    Cut(usize),
    Status(u16, &'static [(&'static str, &'static str)]),
    Redirect(String),
    IgnoreRange,
    Json(String),
    Flipped,
}

#[derive(Clone, Debug)]
struct Seen {
    path: String,
    range: Option<String>,
    authorization: Option<String>,
}

struct Server {
    base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    fn start(content: Vec<u8>, plan: HashMap<String, Vec<Answer>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let plan = Arc::new(Mutex::new(plan));
        std::thread::spawn(move || {
            for stream in listener.incoming().take(200).flatten() {
                let (content, log, plan) = (content.clone(), Arc::clone(&log), Arc::clone(&plan));
                std::thread::spawn(move || serve(stream, &content, &log, &plan));
            }
        });
        Self { base, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, content: &[u8], log: &Mutex<Vec<Seen>>, plan: &Mutex<HashMap<String, Vec<Answer>>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap_or("").to_owned();
    let mut seen = Seen { path: path.clone(), range: None, authorization: None };
    for line in lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or(("", ""));
        match name.to_ascii_lowercase().as_str() {
            "range" => seen.range = Some(value.trim().to_owned()),
            "authorization" => seen.authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let start: usize =
        seen.range.as_deref().and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0);
    let ranged = seen.range.is_some();
    log.lock().unwrap().push(seen);
    let answer = {
        let mut plan = plan.lock().unwrap();
        let Some(answers) = plan.get_mut(path.split('?').next().unwrap_or("")) else {
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return;
        };
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    };
    let mut body = content.to_vec();
    let mut send = |start: usize, ranged: bool, cut: usize, body: &[u8]| {
        let rest = &body[start.min(body.len())..];
        let status = if ranged { "206 Partial Content" } else { "200 OK" };
        let range = if ranged {
            format!("Content-Range: bytes {start}-{}/{}\r\n", body.len() - 1, body.len())
        } else {
            String::new()
        };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{range}Connection: close\r\n\r\n", rest.len());
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&rest[..cut.min(rest.len())]);
    };
    match answer {
        Answer::Whole if ranged && start >= body.len() => {
            let head = format!(
                "HTTP/1.1 416 Range\r\nContent-Range: bytes */{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
        }
        Answer::Whole => send(start, ranged, usize::MAX, &body),
        Answer::IgnoreRange => send(0, false, usize::MAX, &body),
        Answer::Cut(bytes) => send(start, ranged, bytes, &body),
        Answer::Flipped => {
            body[0] ^= 1;
            send(start, ranged, usize::MAX, &body);
        }
        Answer::Json(text) => send(0, false, usize::MAX, text.as_bytes()),
        Answer::Status(status, headers) => {
            let extra: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head = format!("HTTP/1.1 {status} X\r\n{extra}Content-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
        }
        Answer::Redirect(to) => {
            let head =
                format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
        }
    }
}

fn content() -> Vec<u8> {
    (0..100_000_u32).map(|i| (i % 251) as u8).collect()
}

fn sum(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|b| format!("{b:02x}")).collect()
}

const PATH: &str = "/o/n/resolve/main/w.safetensors";

fn plan(answers: Vec<Answer>) -> HashMap<String, Vec<Answer>> {
    HashMap::from([(PATH.to_owned(), answers)])
}

/// Fetches the file; returns what is on the disk under its name.
fn fetch(server: &Server, dir: &std::path::Path, token: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let hub = Hub::new(&server.base, token.map(str::to_owned));
    let content = content();
    let download = Download {
        hub: &hub,
        repo: "o/n",
        revision: "main",
        file: RemoteFile {
            name: "w.safetensors".into(),
            bytes: Some(content.len() as u64),
            sha256: Some(sum(&content)),
        },
        target: dir.join("w.safetensors"),
        pause: PAUSE,
    };
    download.fetch(&Cancel::new(), |_| {})?;
    Ok(std::fs::read(&download.target)?)
}

#[test]
fn a_broken_line_is_continued_where_it_stopped() {
    let server =
        Server::start(content(), plan(vec![Answer::Cut(1000), Answer::Cut(0), Answer::Cut(50_000), Answer::Whole]));
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(fetch(&server, dir.path(), None).unwrap(), content());
    let ranges: Vec<Option<String>> = server.seen().into_iter().map(|s| s.range).collect();
    assert_eq!(ranges[0], None);
    assert_eq!(ranges[1].as_deref(), Some("bytes=1000-"));
    assert_eq!(ranges[3].as_deref(), Some("bytes=51000-"));
    assert!(!dir.path().join("w.safetensors.part").exists());
}

#[test]
fn a_killed_download_is_continued_by_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("w.safetensors.part"), &content()[..70_000]).unwrap();
    let server = Server::start(content(), plan(vec![Answer::Whole]));
    assert_eq!(fetch(&server, dir.path(), None).unwrap(), content());
    assert_eq!(server.seen()[0].range.as_deref(), Some("bytes=70000-"));
}

#[test]
fn a_server_without_ranges_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("w.safetensors.part"), &content()[..70_000]).unwrap();
    let server = Server::start(content(), plan(vec![Answer::IgnoreRange]));
    assert_eq!(fetch(&server, dir.path(), None).unwrap(), content());
}

#[test]
fn a_complete_file_is_not_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("w.safetensors"), content()).unwrap();
    let server = Server::start(content(), plan(vec![Answer::Status(500, &[])]));
    assert_eq!(fetch(&server, dir.path(), None).unwrap(), content());
    assert!(server.seen().is_empty());
}

#[test]
fn a_wrong_checksum_is_refused_and_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(content(), plan(vec![Answer::Flipped]));
    let problem = fetch(&server, dir.path(), None).unwrap_err();
    assert!(error::render(&problem).contains("checksum"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn refusals_say_what_to_do_and_errors_of_the_moment_are_tried_again() {
    for (status, exit, word) in
        [(401, Exit::NoModel, "HF_TOKEN"), (403, Exit::NoModel, "licence"), (404, Exit::NoModel, "name")]
    {
        let server = Server::start(content(), plan(vec![Answer::Status(status, &[])]));
        let problem = fetch(&server, tempfile::tempdir().unwrap().path(), None).unwrap_err();
        assert_eq!(error::exit_of(&problem), exit);
        assert!(error::render(&problem).contains(word), "{}", error::render(&problem));
        assert_eq!(server.seen().len(), 1, "a refusal is final");
    }
    let moments = vec![
        Answer::Status(429, &[("Retry-After", "0")]),
        Answer::Status(500, &[]),
        Answer::Status(503, &[]),
        Answer::Whole,
    ];
    let server = Server::start(content(), plan(moments));
    assert_eq!(fetch(&server, tempfile::tempdir().unwrap().path(), None).unwrap(), content());
}

#[test]
fn a_hub_that_only_fails_ends_with_the_part_kept() {
    let server = Server::start(content(), plan(vec![Answer::Cut(5000), Answer::Status(500, &[])]));
    let dir = tempfile::tempdir().unwrap();
    let problem = fetch(&server, dir.path(), None).unwrap_err();
    assert!(error::render(&problem).contains("continue"));
    assert_eq!(std::fs::metadata(dir.path().join("w.safetensors.part")).unwrap().len(), 5000);
}

#[test]
fn a_token_does_not_follow_a_redirect_to_another_host() {
    let other = Server::start(content(), HashMap::from([("/blob".to_owned(), vec![Answer::Whole])]));
    let server = Server::start(content(), plan(vec![Answer::Redirect(format!("{}/blob", other.base))]));
    assert_eq!(fetch(&server, tempfile::tempdir().unwrap().path(), Some("secret")).unwrap(), content());
    assert_eq!(server.seen()[0].authorization.as_deref(), Some("Bearer secret"));
    assert_eq!(other.seen()[0].authorization, None);
}

#[test]
fn redirects_in_a_circle_end() {
    let server = Server::start(content(), plan(vec![Answer::Redirect(PATH.to_owned())]));
    let problem = fetch(&server, tempfile::tempdir().unwrap().path(), None).unwrap_err();
    assert!(error::render(&problem).contains("redirects"));
}

#[test]
fn a_cancel_keeps_what_has_arrived() {
    let server = Server::start(content(), plan(vec![Answer::Cut(3000), Answer::Whole]));
    let dir = tempfile::tempdir().unwrap();
    let hub = Hub::new(&server.base, None);
    let cancel = Cancel::new();
    let download = Download {
        hub: &hub,
        repo: "o/n",
        revision: "main",
        file: RemoteFile { name: "w.safetensors".into(), bytes: Some(100_000), sha256: None },
        target: dir.path().join("w"),
        pause: PAUSE,
    };
    let problem = download.fetch(&cancel, |_| cancel.cancel()).unwrap_err();
    assert_eq!(error::exit_of(&problem), Exit::Interrupted);
    assert!(std::fs::metadata(dir.path().join("w.part")).unwrap().len() > 0);
}

#[test]
fn a_repository_is_listed_and_fetched_as_a_whole() {
    let content = content();
    let listing = format!(
        r#"{{"sha":"abc","siblings":[{{"rfilename":"README.md","size":3}},
            {{"rfilename":"w.safetensors","size":{},"lfs":{{"sha256":"{}"}}}}]}}"#,
        content.len(),
        sum(&content)
    );
    let mut answers = plan(vec![Answer::Cut(10), Answer::Whole]);
    answers.insert("/api/models/o/n/revision/main".into(), vec![Answer::Status(502, &[]), Answer::Json(listing)]);
    let server = Server::start(content.clone(), answers);
    let hub = Hub::new(&server.base, None);
    let (files, commit) = pull::list(&hub, "o/n", "main", PAUSE, &Cancel::new()).unwrap();
    assert_eq!(commit.as_deref(), Some("abc"));
    let selection = pull::select("o/n", &files, None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    let paths =
        pull::fetch(&hub, ("o/n", "main"), &selection, dir.path(), PAUSE, &Cancel::new(), |_, p| last = p.done_bytes)
            .unwrap();
    assert_eq!(std::fs::read(&paths[0]).unwrap(), content);
    assert_eq!(last, content.len() as u64);
    assert!(server.seen().iter().any(|s| s.path.ends_with("?blobs=true")));
}

#[test]
fn an_answer_that_is_not_the_hub_s_is_named() {
    let answers = HashMap::from([("/api/models/o/n/revision/main".to_owned(), vec![Answer::Json("<html>".into())])]);
    let server = Server::start(content(), answers);
    let problem = pull::list(&Hub::new(&server.base, None), "o/n", "main", PAUSE, &Cancel::new()).unwrap_err();
    assert!(error::render(&problem).contains("mirror"));
}
