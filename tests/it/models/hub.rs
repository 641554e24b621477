//! A hub on loopback that serves a folder as the real one does, and can break off.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

/// What goes wrong, in the order of requests for weights.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// Ends after so many bytes.
    Cut(usize),
    /// So many bytes, then one after the other, slower than anybody waits for.
    Trickle(usize),
    /// Answers so, with no body.
    Status(u16),
    /// One byte is another.
    Flipped,
}

pub(crate) struct Hub {
    pub(crate) base: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    /// Serves `folder` as the repository `owner/name` at commit `abc123`; wants `token` where one is given.
    pub(crate) fn start(folder: &Path, troubles: &[Trouble], token: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let troubles = Arc::new(Mutex::new(troubles.to_vec()));
        let (log, folder) = (Arc::clone(&seen), folder.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().take(500).flatten() {
                let (log, troubles, folder) = (Arc::clone(&log), Arc::clone(&troubles), folder.clone());
                std::thread::spawn(move || serve(stream, &folder, &log, &troubles, token));
            }
        });
        Self { base, seen }
    }

    /// Requested paths with their ranges.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn listing(folder: &Path) -> String {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let rows = files.iter().map(|path| {
        let bytes = std::fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        let mut row = serde_json::json!({ "rfilename": name, "size": bytes.len() });
        if name.ends_with(".safetensors") {
            row["lfs"] = serde_json::json!({ "sha256": sum(&bytes) });
        }
        row
    });
    serde_json::json!({ "sha": "abc123", "siblings": rows.collect::<Vec<_>>() }).to_string()
}

pub(crate) fn sum(bytes: &[u8]) -> String {
    z1::hex::hex(&Sha256::digest(bytes))
}

fn serve(
    mut stream: TcpStream,
    folder: &Path,
    log: &Mutex<Vec<String>>,
    troubles: &Mutex<Vec<Trouble>>,
    token: Option<&str>,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap_or("").to_owned();
    let (mut start, mut authorised) = (0, token.is_none());
    for line in lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or(("", ""));
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let range = value.trim().strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
                start = range.and_then(|start| start.parse().ok()).unwrap_or(0);
            }
            "authorization" => authorised |= token.is_some_and(|token| value.trim() == format!("Bearer {token}")),
            _ => {}
        }
    }
    log.lock().unwrap().push(format!("{path} {start}"));
    let mut head = |status: u16, more: &str, length: usize| {
        let text = format!("HTTP/1.1 {status} X\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(text.as_bytes());
    };
    if !authorised {
        return head(401, "", 0);
    }
    if path.starts_with("/api/models/owner/name/revision/main") {
        let body = listing(folder);
        head(200, "", body.len());
        let _ = stream.write_all(body.as_bytes());
        return;
    }
    let name = path.strip_prefix("/owner/name/resolve/").and_then(|rest| rest.split_once('/')).map(|(_, name)| name);
    let Some(mut bytes) = name.and_then(|name| std::fs::read(folder.join(name)).ok()) else { return head(404, "", 0) };
    let mut cut = usize::MAX;
    let mut trickles = None;
    if [".safetensors", ".gguf"].iter().any(|end| path.ends_with(end)) {
        let mut troubles = troubles.lock().unwrap();
        match if troubles.is_empty() { None } else { Some(troubles.remove(0)) } {
            Some(Trouble::Status(status)) => return head(status, "", 0),
            Some(Trouble::Cut(bytes)) => cut = bytes,
            Some(Trouble::Trickle(bytes)) => trickles = Some(bytes),
            Some(Trouble::Flipped) => *bytes.last_mut().unwrap() ^= 1,
            None => {}
        }
    }
    let rest = &bytes[start.min(bytes.len())..];
    let range = format!("Content-Range: bytes {start}-{}/{}\r\n", bytes.len().saturating_sub(1), bytes.len());
    if start > 0 {
        head(206, &range, rest.len());
    } else {
        head(200, "", rest.len());
    }
    let at_once = trickles.unwrap_or(cut).min(rest.len());
    let _ = stream.write_all(&rest[..at_once]);
    if trickles.is_some() {
        for byte in &rest[at_once..] {
            std::thread::sleep(std::time::Duration::from_millis(20));
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
        }
    }
}
