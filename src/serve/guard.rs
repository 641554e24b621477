//! Who may ask. Pure.
//!
//! A web page can make a browser send requests to this machine: by its own origin (refused by `Origin`), or by a name
//! that it lets point to 127.0.0.1 (refused by `Host`). Both are checked before anything is read.
//!
//! Not for: telling users apart.

/// Who may ask, and with what.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Where it is set, every request must show it.
    pub key: Option<String>,
    /// Names beside the loopback ones under which this server may be reached.
    pub hosts: Vec<String>,
    /// Origins of web pages that may ask, as browsers write them: `http://localhost:3000`.
    pub origins: Vec<String>,
}

/// What of a request's head the guard looks at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head<'a> {
    /// `None` where there is none, or more than one.
    pub(super) host: Option<&'a str>,
    /// The name in the request's address, where it is a whole one. It says the same as `host`, or somebody is fooled.
    pub(super) authority: Option<&'a str>,
    pub(super) origin: Option<&'a str>,
    pub(super) site: Option<&'a str>,
    pub(super) authorization: Option<&'a str>,
    pub(super) x_api_key: Option<&'a str>,
    /// Over a Unix socket there is no name to be fooled by.
    pub(super) unix: bool,
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// No name at all, or several: one of them is there to fool somebody.
    Unnamed,
    Host,
    Origin,
    NoKey,
    WrongKey,
}

impl Guard {
    /// Whether a request may be served.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn check(&self, head: Head<'_>) -> Result<(), Turned> {
        if !head.unix {
            let Some(host) = head.host else { return Err(Turned::Unnamed) };
            if !self.knows(host) || head.authority.is_some_and(|at| !self.knows(at)) {
                return Err(Turned::Host);
            }
        }
        let foreign = match head.origin {
            Some(origin) => !self.origins.iter().any(|allowed| allowed == origin),
            None => matches!(head.site, Some("cross-site" | "same-site")),
        };
        if foreign {
            return Err(Turned::Origin);
        }
        let Some(key) = &self.key else { return Ok(()) };
        let bearer = head.authorization.and_then(bearer);
        match head.x_api_key.or(bearer) {
            None => Err(Turned::NoKey),
            Some(shown) if same(shown.as_bytes(), key.as_bytes()) => Ok(()),
            // Some clients send both, one of them a placeholder.
            Some(_) if bearer.is_some_and(|shown| same(shown.as_bytes(), key.as_bytes())) => Ok(()),
            Some(_) => Err(Turned::WrongKey),
        }
    }

    fn knows(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        let loopback = name == "localhost"
            || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        loopback || self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name))
    }

    /// Whether web pages of this origin may ask.
    pub(super) fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == origin)
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// The name in a `Host` header.
fn without_port(host: &str) -> &str {
    if let Some(end) = host.find(']') {
        return &host[..=end];
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Compares without telling by the time how much was right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |found, (x, y)| found | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(host: &str) -> Head<'_> {
        Head { host: Some(host), ..Head::default() }
    }

    #[test]
    fn only_names_of_this_machine_are_served() {
        let guard = Guard::default();
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:80", "[::1]", "LOCALHOST:1"] {
            assert_eq!(guard.check(head(host)), Ok(()), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "192.168.0.3", "", "[::2]"]
        {
            assert_eq!(guard.check(head(host)), Err(Turned::Host), "{host}");
        }
        assert_eq!(guard.check(Head::default()), Err(Turned::Unnamed), "no Host at all");
        let whole = |at| Head { authority: Some(at), ..head("localhost") };
        assert_eq!(guard.check(whole("127.0.0.1:8080")), Ok(()));
        for at in ["evil.example", "localhost@evil.example:80"] {
            assert_eq!(guard.check(whole(at)), Err(Turned::Host), "an address of another name: {at}");
        }
        assert_eq!(guard.check(Head { unix: true, ..Head::default() }), Ok(()));
        let guard = Guard { hosts: vec!["box.lan".into()], ..Guard::default() };
        assert_eq!(guard.check(head("Box.lan:8080")), Ok(()));
    }

    #[test]
    fn no_web_page_is_served_unless_it_was_named() {
        let guard = Guard { origins: vec!["http://localhost:3000".into()], ..Guard::default() };
        let from = |origin| guard.check(Head { origin: Some(origin), ..head("localhost") });
        assert_eq!(from("http://localhost:3000"), Ok(()));
        for origin in ["null", "https://evil.example", "http://localhost", "http://localhost:8080"] {
            assert_eq!(from(origin), Err(Turned::Origin), "{origin}");
        }
        let site = |site| guard.check(Head { site: Some(site), ..head("localhost") });
        assert_eq!((site("cross-site"), site("none")), (Err(Turned::Origin), Ok(())));
    }

    #[test]
    fn a_key_is_shown_in_either_way() {
        let guard = Guard { key: Some("secret".into()), ..Guard::default() };
        let with = |authorization, x_api_key| guard.check(Head { authorization, x_api_key, ..head("localhost") });
        assert_eq!(with(Some("Bearer secret"), None), Ok(()));
        assert_eq!(with(Some("bearer secret"), Some("placeholder")), Ok(()));
        assert_eq!(with(None, Some("secret")), Ok(()));
        assert_eq!(with(None, None), Err(Turned::NoKey));
        assert_eq!(with(Some("Basic secret"), None), Err(Turned::NoKey));
        assert_eq!(with(Some("Bearer secre"), Some("secret2")), Err(Turned::WrongKey));
    }
}
