//! A server that runs already on this machine, over the protocol's streamable HTTP: a message is a POST, its answer a
//! JSON body or a stream of events.
//!
//! Loopback and no TLS: the one thing of z1 that would need a certificate store does not exist, and a server elsewhere
//! is reached through a proxy on this machine.
//!
//! Not for: programs that are started (`process.rs`).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use super::link::{Failure, LINE_BYTES_MAX, Said, read, shortened, too_long};
use crate::cancel::Cancel;

/// What is shown of an answer that is an error.
const ERROR_CHARS_MAX: usize = 300;
/// A notice is not waited for longer.
const NOTICE_WITHIN: Duration = Duration::from_secs(5);
/// A last word to a server that may not be there.
const LAST_WORD_WITHIN: Duration = Duration::from_millis(200);
const SESSION: &str = "mcp-session-id";
const VERSION: &str = "mcp-protocol-version";

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    addresses: Vec<SocketAddr>,
    host: String,
    path: String,
}

/// Reads an address on this machine.
///
/// # Errors
/// Why it cannot be used, in words.
pub(super) fn address(url: &str) -> Result<Address, String> {
    let rest = match url.split_once("://") {
        Some(("http", rest)) => rest,
        Some(("https", _)) => {
            return Err(format!(
                "`{url}` is https, which z1 does not speak: a server elsewhere needs a proxy on this machine"
            ));
        }
        _ => return Err(format!("`{url}` is no address")),
    };
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    if host.contains('@') || url.chars().any(|c| c.is_control() || c.is_whitespace() || !c.is_ascii()) {
        return Err(format!("`{url}` is no address that can be used"));
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => {
            (name, port.parse().map_err(|_| format!("`{url}` has no usable port"))?)
        }
        _ => (host, 80),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let addresses = match name.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) if name == "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        Err(_) => Vec::new(),
    };
    if addresses.is_empty() || !addresses.iter().all(IpAddr::is_loopback) {
        return Err(format!("`{url}` is not a loopback address: z1 opens no connection to another machine"));
    }
    let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
    Ok(Address { addresses, host: host.to_owned(), path })
}

/// A connection's memory: each message has a connection of its own.
#[derive(Debug)]
pub(super) struct Http {
    address: Address,
    headers: Vec<(HeaderName, HeaderValue)>,
    session: Option<HeaderValue>,
    version: Option<HeaderValue>,
    last_id: u64,
}

impl Http {
    /// # Errors
    /// An address or a header that cannot be used, in words.
    pub(super) fn new(url: &str, headers: &BTreeMap<String, String>) -> Result<Self, String> {
        let header = |(name, value): (&String, &String)| -> Result<_, String> {
            let fail = || format!("the header `{}` cannot be sent", shortened(name, 80));
            let key = HeaderName::try_from(name.as_str()).map_err(|_| fail())?;
            let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| fail())?;
            value.set_sensitive(true);
            Ok((key, value))
        };
        let headers = headers.iter().map(header).collect::<Result<_, _>>()?;
        Ok(Self { address: address(url)?, headers, session: None, version: None, last_id: 0 })
    }

    /// The version that was agreed on, to be said with each message.
    pub(super) fn speaks(&mut self, version: &str) {
        self.version = HeaderValue::try_from(version).ok();
    }

    /// Asks, and waits for the answer.
    pub(super) async fn request(
        &mut self,
        method: &str,
        params: &Value,
        within: Duration,
        cancel: &Cancel,
    ) -> Result<Value, Failure> {
        self.last_id += 1;
        let id = self.last_id;
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let exchange = async {
            let response = self.post(&message).await?;
            if let Some(session) = response.headers().get(SESSION).filter(|_| method == "initialize") {
                self.session = Some(session.clone());
            }
            answer(response, id).await
        };
        // A connection that is dropped is how a server is told that nobody waits.
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Failure::Cancelled),
            done = tokio::time::timeout(within, exchange) => {
                done.unwrap_or_else(|_| Err(Failure::Late(within, String::new())))
            }
        }
    }

    /// Says something that is not answered.
    pub(super) async fn notify(&mut self, method: &str, params: &Value) -> Result<(), Failure> {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        let said = tokio::time::timeout(NOTICE_WITHIN, self.post(&message)).await;
        said.unwrap_or(Err(Failure::Late(NOTICE_WITHIN, String::new()))).map(drop)
    }

    /// The server knows the session no longer.
    pub(super) fn forget(&mut self) {
        (self.version, self.session) = (None, None);
    }

    async fn post(&self, message: &Value) -> Result<Response<Incoming>, Failure> {
        let gone = |problem: &dyn std::fmt::Display| Failure::Gone(format!("{problem}"));
        let stream = tokio::net::TcpStream::connect(self.address.addresses.as_slice()).await;
        let stream = stream.map_err(|problem| gone(&format!("no connection ({problem})")))?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|problem| gone(&problem))?;
        // It ends with the response's body.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.address.path)
            .header(HOST, &self.address.host)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        for (name, value) in [(SESSION, &self.session), (VERSION, &self.version)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let request = request.body(Full::new(Bytes::from(message.to_string()))).map_err(|problem| gone(&problem))?;
        let response = sender.send_request(request).await.map_err(|problem| gone(&problem))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = whole(response).await.map(|body| String::from_utf8_lossy(&body).into_owned()).unwrap_or_default();
        let message = shortened(&text, ERROR_CHARS_MAX);
        if status == hyper::StatusCode::NOT_FOUND {
            return Err(Failure::NoSession(message));
        }
        Err(Failure::Refused { code: status.as_u16().into(), message })
    }
}

impl Drop for Http {
    /// Tells the server that its session is over, as the protocol asks. Nobody waits for what it says to that.
    fn drop(&mut self) {
        let Some(session) = &self.session else { return };
        let mut head = format!("DELETE {} HTTP/1.1\r\nHost: {}\r\n", self.address.path, self.address.host).into_bytes();
        let own = std::iter::once((SESSION, session));
        for (name, value) in own.chain(self.headers.iter().map(|(name, value)| (name.as_str(), value))) {
            head.extend([name.as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        head.extend(b"Content-Length: 0\r\nConnection: close\r\n\r\n");
        let connect = |address| std::net::TcpStream::connect_timeout(address, LAST_WORD_WITHIN).ok();
        if let Some(mut stream) = self.address.addresses.iter().find_map(connect) {
            let _ = stream.set_write_timeout(Some(LAST_WORD_WITHIN));
            let _ = stream.write_all(&head);
        }
    }
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, Failure> {
    let body = http_body_util::Limited::new(response.into_body(), LINE_BYTES_MAX).collect().await;
    let is_long = |problem: &(dyn std::error::Error + 'static)| problem.is::<http_body_util::LengthLimitError>();
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|problem| if is_long(problem.as_ref()) { too_long() } else { Failure::Gone(problem.to_string()) })
}

async fn answer(response: Response<Incoming>, id: u64) -> Result<Value, Failure> {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("text/event-stream") {
        return match read(&whole(response).await?, id) {
            Said::Answer(answer) => answer,
            Said::Noise(noise) => Err(Failure::Malformed(format!("it is no message: `{noise}`"))),
            Said::Asks(..) | Said::Nothing => Err(Failure::Malformed("it is not the answer".to_owned())),
        };
    }
    let mut body = response.into_body();
    let (mut buffer, mut data) = (Vec::new(), String::new());
    loop {
        let frame = match body.frame().await {
            None => return Err(Failure::Gone("the stream ended before the answer".to_owned())),
            Some(frame) => frame.map_err(|problem| Failure::Gone(problem.to_string()))?,
        };
        buffer.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                if let Said::Answer(answer) = read(std::mem::take(&mut data).as_bytes(), id) {
                    return answer;
                }
            } else if let Some(more) = line.strip_prefix("data:") {
                data.push_str(more.trim_start());
                data.push('\n');
            }
            if data.len() > LINE_BYTES_MAX {
                return Err(too_long());
            }
        }
        if buffer.len() > LINE_BYTES_MAX {
            return Err(too_long());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_taken() {
        let at = |url: &str| address(url).map(|at| (at.addresses[0].to_string(), at.host, at.path));
        let expect = |a: &str, b: &str, c: &str| Ok((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(at("http://127.0.0.1:3000/mcp"), expect("127.0.0.1:3000", "127.0.0.1:3000", "/mcp"));
        assert_eq!(at("http://localhost"), expect("127.0.0.1:80", "localhost", "/"));
        assert_eq!(at("http://[::1]:9/a?b#c"), expect("[::1]:9", "[::1]:9", "/a?b"));
        for url in [
            "https://127.0.0.1/",
            "http://10.0.0.1/",
            "http://example.com/",
            "http://localhost.example.com/",
            "http://localhost@example.com/",
            "http://0.0.0.0/",
            "http://127.0.0.1:x/",
            "localhost:80",
            "http://localhost/a b",
            "",
        ] {
            assert!(address(url).is_err(), "{url}");
        }
    }
}
