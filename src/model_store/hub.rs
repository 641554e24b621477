//! The hub's side of `z1 models pull`: which files a repository has, and one file over a broken line.
//!
//! The only code of z1 that opens a connection. Redirects are followed here and not by the library, so that
//! a token never travels to another host than the one it is for.

use std::io::Read;
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Exit, UserError};

/// Where models come from unless a mirror is set.
pub const DEFAULT_BASE: &str = "https://huggingface.co";
const REDIRECTS_MAX: u32 = 5;
const LISTING_BYTES_MAX: u64 = 16 << 20;

/// Where to ask, and as whom.
#[derive(Clone, Debug)]
pub struct Hub {
    base: String,
    token: Option<String>,
    agent: ureq::Agent,
}

/// One file of a repository, as the hub lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    pub name: String,
    pub bytes: Option<u64>,
    /// Of the content; the hub knows it for large files.
    pub sha256: Option<String>,
}

/// The answer to a range request.
pub struct Body {
    pub reader: Box<dyn Read + Send>,
    /// Where in the file the body begins: 0 where the server ignored the range.
    pub offset: u64,
    /// The file's whole size, where the server says it.
    pub total_bytes: Option<u64>,
    /// From `X-Linked-Etag` or `ETag`, where it looks like a SHA-256.
    pub sha256: Option<String>,
}

/// Why a request gave no body.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Worth another try after a pause.
    #[error("{message}")]
    Transient { message: String, retry_after: Option<Duration> },
    #[error(transparent)]
    Final(#[from] UserError),
    /// The range starts at or behind the end of the file.
    #[error("the server has no bytes from there on")]
    RangeBehindEnd { total_bytes: Option<u64> },
}

#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    sha: Option<String>,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    #[serde(default)]
    sha256: Option<String>,
    #[serde(default)]
    oid: Option<String>,
}

impl Hub {
    /// A hub at `base` (no slash at the end needed).
    pub fn new(base: &str, token: Option<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_recv_body(Some(Duration::from_secs(300)))
            .user_agent(concat!("z1/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { base: base.trim_end_matches('/').to_owned(), token, agent: config.into() }
    }

    /// Lists a repository's files at a revision, and the commit that the revision stands for.
    ///
    /// # Errors
    /// See [`HubError`].
    pub fn list(&self, repo: &str, revision: &str) -> Result<(Vec<RemoteFile>, Option<String>), HubError> {
        let url = format!("{}/api/models/{repo}/revision/{revision}?blobs=true", self.base);
        let mut body = self.get(&url, repo, 0)?;
        let mut text = String::new();
        body.reader
            .by_ref()
            .take(LISTING_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|problem| transient(&problem))?;
        let listing: Listing = serde_json::from_str(&text).map_err(|problem| {
            UserError::new(
                Exit::Error,
                format!("the hub's answer about {repo} is not what its interface promises: {problem}"),
            )
            .hint("is the mirror's base URL right?")
        })?;
        let files = listing
            .siblings
            .into_iter()
            .map(|file| RemoteFile {
                sha256: file.lfs.and_then(|lfs| lfs.sha256.or(lfs.oid)).filter(|sum| is_sha256(sum)),
                name: file.rfilename,
                bytes: file.size,
            })
            .collect();
        Ok((files, listing.sha))
    }

    /// Opens a file from `offset` on.
    ///
    /// # Errors
    /// See [`HubError`].
    pub fn open(&self, repo: &str, revision: &str, file: &str, offset: u64) -> Result<Body, HubError> {
        let url = format!("{}/{repo}/resolve/{}/{}", self.base, encoded(revision), encoded(file));
        self.get(&url, repo, offset)
    }

    fn get(&self, url: &str, repo: &str, offset: u64) -> Result<Body, HubError> {
        let mut url = url.to_owned();
        let mut linked_sha256 = None;
        for _ in 0..=REDIRECTS_MAX {
            let mut request = self.agent.get(&url);
            if offset > 0 {
                request = request.header("Range", format!("bytes={offset}-"));
            }
            if let Some(token) = self.token.as_deref().filter(|_| same_origin(&url, &self.base)) {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            let response = request.call().map_err(|problem| transient(&problem))?;
            let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
            linked_sha256 = linked_sha256
                .or_else(|| header("x-linked-etag").or_else(|| header("etag")).and_then(|tag| sha256_of_etag(&tag)));
            let status = response.status().as_u16();
            match status {
                301 | 302 | 303 | 307 | 308 => {
                    let location = header("location").ok_or_else(|| transient(&"a redirect without a target"))?;
                    url = absolute(&url, &location);
                }
                200 | 206 => {
                    let range = header("content-range");
                    let length = header("content-length").and_then(|n| n.parse::<u64>().ok());
                    let (start, total) = if status == 206 { content_range(range.as_deref()) } else { (0, length) };
                    let reader = Box::new(response.into_body().into_reader());
                    return Ok(Body { reader, offset: start, total_bytes: total, sha256: linked_sha256 });
                }
                416 => {
                    return Err(HubError::RangeBehindEnd {
                        total_bytes: content_range(header("content-range").as_deref()).1,
                    });
                }
                _ => return Err(refusal(status, repo, header("retry-after").as_deref(), self.token.is_some())),
            }
        }
        Err(UserError::new(Exit::Error, format!("more than {REDIRECTS_MAX} redirects for {repo}")).into())
    }
}

fn transient(problem: &impl std::fmt::Display) -> HubError {
    HubError::Transient { message: problem.to_string(), retry_after: None }
}

/// What a refusing status means, in words.
fn refusal(status: u16, repo: &str, retry_after: Option<&str>, has_token: bool) -> HubError {
    let retry_after = retry_after.and_then(|s| s.parse().ok()).map(Duration::from_secs);
    match status {
        401 | 403 => {
            let hint = if has_token {
                "the token was refused: accept the model's licence on its page, or make a token that may read it"
            } else {
                "it is gated or private: accept its licence on its page and set HF_TOKEN"
            };
            UserError::new(Exit::NoModel, format!("the hub does not let us read {repo} (status {status})"))
                .hint(hint)
                .into()
        }
        404 => UserError::new(Exit::NoModel, format!("the hub has no such file or model: {repo} (status 404)"))
            .hint("check the name and the revision; gated models also answer so without a token")
            .into(),
        408 | 429 | 500..=599 => {
            HubError::Transient { message: format!("the hub answered with status {status}"), retry_after }
        }
        _ => UserError::new(Exit::Error, format!("the hub answered with status {status} for {repo}")).into(),
    }
}

/// `bytes 5-9/10` → (5, Some(10)); `bytes */10` → (0, Some(10)).
fn content_range(header: Option<&str>) -> (u64, Option<u64>) {
    let Some((range, total)) = header.and_then(|h| h.trim().strip_prefix("bytes ")).and_then(|h| h.split_once('/'))
    else {
        return (0, None);
    };
    let start = range.split('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    (start, total.parse().ok())
}

/// A path as it may stand in an address; its slashes stay.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(&byte);
    path.bytes().fold(String::with_capacity(path.len()), |mut url, byte| {
        if plain(byte) {
            url.push(char::from(byte));
        } else {
            let _ = std::fmt::Write::write_fmt(&mut url, format_args!("%{byte:02X}"));
        }
        url
    })
}

fn sha256_of_etag(tag: &str) -> Option<String> {
    let bare = tag.trim_start_matches("W/").trim_matches('"');
    is_sha256(bare).then(|| bare.to_ascii_lowercase())
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `scheme://host:port` of a URL.
fn origin(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find(['/', '?', '#']).map_or(url.len(), |at| after_scheme + at);
    &url[..end]
}

fn same_origin(a: &str, b: &str) -> bool {
    origin(a).eq_ignore_ascii_case(origin(b))
}

fn absolute(base: &str, location: &str) -> String {
    if location.contains("://") {
        location.to_owned()
    } else if location.starts_with('/') {
        format!("{}{location}", origin(base))
    } else {
        let folder = base.split(['?', '#']).next().unwrap_or(base);
        let folder = folder.rfind('/').map_or(folder, |at| &folder[..at]);
        format!("{folder}/{location}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(content_range(Some("bytes 5-9/10")), (5, Some(10)));
        assert_eq!(content_range(Some("bytes */10")), (0, Some(10)));
        assert_eq!(content_range(Some("bytes 5-9/*")), (5, None));
        assert_eq!(content_range(None), (0, None));
    }

    #[test]
    fn a_token_is_for_one_origin() {
        assert!(same_origin("https://hub.example/a?b", "https://HUB.example"));
        assert!(!same_origin("https://hub.example.evil.org/a", "https://hub.example"));
        assert!(!same_origin("http://hub.example/a", "https://hub.example"));
        assert!(!same_origin("https://hub.example:444/a", "https://hub.example"));
    }

    #[test]
    fn locations_become_absolute() {
        assert_eq!(absolute("https://h/a/b?x", "/c"), "https://h/c");
        assert_eq!(absolute("https://h/a/b?x", "c"), "https://h/a/c");
        assert_eq!(absolute("https://h/a", "https://o/c"), "https://o/c");
    }

    #[test]
    fn etags_are_read() {
        let sum = "A".repeat(64);
        assert_eq!(sha256_of_etag(&format!("\"{sum}\"")), Some("a".repeat(64)));
        assert_eq!(sha256_of_etag("\"abc\""), None);
    }
}
