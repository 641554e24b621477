//! The edge: listens, lets in who may ask, reads a request within its limits, answers whole or as a stream.
//!
//! A client that hangs up takes its request with it: the connection's end drops what it waits for, and what is dropped
//! is cancelled.
//!
//! Not for: what a request means.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::ask::{Ask, Fault, Kind};
use super::connections::{Connections, Ending, Held};
use super::form::{Api, Opening};
use super::generate::{self, Stream};
use super::guard::{Head, Turned};
use super::{BODY_BYTES_MAX, CONNECTIONS_MAX, PIECES_MAX, READ_WITHIN, Server, verified};
use crate::agent::transcript;
use crate::cancel::Cancel;

/// What a connection that is to be closed may take to send the end of its answer.
const LAST_BYTES_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Somewhere to listen.
#[derive(Debug)]
pub enum Listener {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
}

/// Serves until `stop` is set. Must run within a [`tokio::task::LocalSet`].
pub async fn listen(server: Server, listeners: Vec<Listener>, stop: &Cancel) {
    let server = Rc::new(server);
    let connections = Rc::new(Connections::new(CONNECTIONS_MAX));
    for listener in listeners {
        tokio::task::spawn_local(accept(listener, Rc::clone(&server), Rc::clone(&connections)));
    }
    stop.cancelled().await;
}

async fn accept(listener: Listener, server: Rc<Server>, connections: Rc<Connections>) {
    loop {
        if let Err(problem) = accept_one(&listener, &server, &connections).await {
            // Out of file descriptors, most likely: others will be given back.
            tracing::warn!("a connection could not be taken: {problem}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

/// Whoever comes while all are busy waits here for a place, and those behind in the system's queue.
async fn accept_one(listener: &Listener, server: &Rc<Server>, connections: &Connections) -> std::io::Result<()> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            // Pieces are small, and each is waited for.
            let _ = stream.set_nodelay(true);
            let place = connections.place().await;
            tokio::task::spawn_local(connection(stream, Rc::clone(server), place, false));
        }
        #[cfg(unix)]
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let place = connections.place().await;
            tokio::task::spawn_local(connection(stream, Rc::clone(server), place, true));
        }
    }
    Ok(())
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    server: Rc<Server>,
    place: Rc<Held>,
    unix: bool,
) {
    let held = Rc::clone(&place);
    let service = service_fn(move |request| {
        let (server, busy) = (Rc::clone(&server), held.busy());
        async move { Ok::<_, Infallible>(answer(server, request, unix).await.map(|body| Ending::new(body, busy))) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        served = serving.as_mut() => served.err().map(|problem| problem.to_string()),
        () = place.closed() => {
            // What was answered is still sent.
            serving.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(LAST_BYTES_WITHIN, serving).await;
            Some("it was idle and another one came".to_owned())
        }
    };
    if let Some(why) = ended {
        tracing::debug!("a connection ended: {why}");
    }
}

/// The body of an answer.
enum Out {
    Whole(Option<Bytes>),
    Stream(mpsc::Receiver<Bytes>),
}

impl Body for Out {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(pieces) => pieces.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// What a path stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Health,
    Models,
    Model(String),
    Ask(Api),
    Count,
}

const PATHS: &str = "/v1/chat/completions, /v1/completions, /v1/responses, /v1/messages, /v1/models";

impl Route {
    fn of(path: &str) -> Option<Self> {
        let path = path.trim_end_matches('/');
        Some(match path.strip_prefix("/v1").unwrap_or(path) {
            "" | "/health" => Self::Health,
            "/models" => Self::Models,
            "/chat/completions" => Self::Ask(Api::Chat),
            "/completions" => Self::Ask(Api::Completions),
            "/responses" => Self::Ask(Api::Responses),
            "/messages" => Self::Ask(Api::Messages),
            "/messages/count_tokens" => Self::Count,
            other => Self::Model(other.strip_prefix("/models/").filter(|name| !name.is_empty())?.to_owned()),
        })
    }

    const fn is_get(&self) -> bool {
        matches!(self, Self::Health | Self::Models | Self::Model(_))
    }
}

async fn answer(server: Rc<Server>, request: Request<Incoming>, unix: bool) -> Response<Out> {
    let path = request.uri().path().to_owned();
    let api = if path.contains("/messages") { Api::Messages } else { Api::Chat };
    let origin = text(request.headers(), &header::ORIGIN).filter(|origin| server.guard.allows(origin));
    let origin = origin.map(str::to_owned);
    let mut response = match handle(server, request, &path, unix).await {
        Ok(response) => response,
        Err(fault) => refusal(api, &fault),
    };
    if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(&origin).ok()) {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

async fn handle(
    server: Rc<Server>,
    request: Request<Incoming>,
    path: &str,
    unix: bool,
) -> Result<Response<Out>, Fault> {
    let preflight = request.method() == Method::OPTIONS;
    let looked = guarded(&server, &request, unix);
    if preflight && !matches!(looked, Err(Turned::Host | Turned::Origin)) {
        return Ok(preflight_answer(request.headers()));
    }
    looked.map_err(turned)?;
    let unknown = || Fault::new(Kind::NotFound, format!("there is nothing here; there are {PATHS}"));
    let route = Route::of(path).ok_or_else(unknown)?;
    let wanted = if route.is_get() { Method::GET } else { Method::POST };
    let head = request.method() == Method::HEAD && route.is_get();
    if request.method() != wanted && !head {
        return Err(Fault::new(Kind::Method, format!("this is asked by {wanted}")));
    }
    match route {
        Route::Health => Ok(whole(StatusCode::OK, &json!({ "status": "ok", "model": server.model() }))),
        Route::Models => Ok(whole(StatusCode::OK, &models(&server))),
        // Names of models may have spaces.
        Route::Model(name) if name.replace("%20", " ") == server.model() => Ok(whole(StatusCode::OK, &model(&server))),
        Route::Model(_) => Err(Fault::new(Kind::NotFound, format!("the model here is `{}`", server.model()))),
        Route::Count => {
            let ask = Api::Messages.read(&body(request).await?)?;
            let tokens = generate::count(&server, &ask).await?;
            Ok(whole(StatusCode::OK, &json!({ "input_tokens": tokens })))
        }
        Route::Ask(api) => {
            let ask = api.read(&body(request).await?)?;
            asked(server, api, ask).await
        }
    }
}

/// Answers a request for the model.
async fn asked(server: Rc<Server>, api: Api, ask: Ask) -> Result<Response<Out>, Fault> {
    let full = |_| Fault::new(Kind::Busy, "as many requests as can wait are waiting; try again in a moment");
    let place = Arc::clone(&server.room).try_acquire_owned().map_err(full)?;
    let prepared = generate::prepare(&server, &ask).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let opening = Opening {
        id: transcript::new_id().replace('-', ""),
        created_unix_s: now,
        model: server.model().to_owned(),
        prompt_tokens: prepared.prompt_tokens,
    };
    let id = opening.id.clone();
    let form = api.form(opening, &ask);
    if !ask.stream {
        let answer = match &ask.verify {
            Some(checks) => verified::answer(&server, &ask, checks, None).await?,
            None => generate::generate(&server, &ask, &prepared, &id, None).await?,
        };
        drop(place);
        return Ok(whole(StatusCode::OK, &form.whole(&answer)));
    }
    let (out, pieces) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_local(async move {
        let mut stream = Stream { form, out };
        let begun = stream.form.begin();
        let answer = match stream.send(begun).await {
            Err(fault) => Err(fault),
            Ok(()) => match &ask.verify {
                Some(checks) => {
                    let out = stream.out.clone();
                    tokio::select! {
                        answer = verified::answer(&server, &ask, checks, Some(&mut stream)) => answer,
                        () = out.closed() => return,
                    }
                }
                None => generate::generate(&server, &ask, &prepared, &id, Some(&mut stream)).await,
            },
        };
        let last = match &answer {
            Ok(answer) => stream.form.end(answer),
            Err(fault) => stream.form.broken(fault),
        };
        // Whoever has gone needs no end.
        let _ = stream.send(last).await;
        drop(place);
    });
    let mut response = Response::new(Out::Stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// Reads a body, within its limits.
async fn body(request: Request<Incoming>) -> Result<Value, Fault> {
    let too_large = || Fault::new(Kind::TooLarge, format!("the body is larger than {} MiB", BODY_BYTES_MAX >> 20));
    if text(request.headers(), &header::CONTENT_ENCODING).is_some_and(|how| how != "identity") {
        return Err(Fault::new(Kind::Invalid, "the body is compressed; send it as it is"));
    }
    if request.body().size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(READ_WITHIN, Limited::new(request.into_body(), BODY_BYTES_MAX).collect());
    let bytes = match collected.await {
        Err(_) => return Err(Fault::new(Kind::Slow, "the body did not come in time")),
        Ok(Err(problem)) if problem.is::<LengthLimitError>() => return Err(too_large()),
        Ok(Err(problem)) => return Err(Fault::new(Kind::Invalid, format!("the body broke off: {problem}"))),
        Ok(Ok(collected)) => collected.to_bytes(),
    };
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Fault::new(Kind::Invalid, "the body is no JSON object")),
        Err(problem) => Err(Fault::new(Kind::Invalid, format!("the body is not JSON: {problem}"))),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn guarded(server: &Server, request: &Request<Incoming>, unix: bool) -> Result<(), Turned> {
    let headers = request.headers();
    let named = |name: &'static str| text(headers, &HeaderName::from_static(name));
    let one_host = headers.get_all(header::HOST).iter().count() == 1;
    server.guard.check(Head {
        host: text(headers, &header::HOST).filter(|_| one_host),
        authority: request.uri().authority().map(hyper::http::uri::Authority::as_str),
        // An origin that is no text is nobody's that was named.
        origin: headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or("?")),
        site: named("sec-fetch-site"),
        authorization: text(headers, &header::AUTHORIZATION),
        x_api_key: named("x-api-key"),
        unix,
    })
}

fn turned(why: Turned) -> Fault {
    match why {
        Turned::Unnamed => Fault::new(Kind::Invalid, "a request has exactly one `Host` header"),
        Turned::Host => {
            Fault::new(Kind::Forbidden, "this server is not known by that name; start it with --allow-host NAME")
        }
        Turned::Origin => Fault::new(
            Kind::Forbidden,
            "web pages are not served; start it with --allow-origin ORIGIN for one that you trust",
        ),
        Turned::NoKey => Fault::new(Kind::NoKey, "a key is needed: `Authorization: Bearer KEY` or `x-api-key: KEY`"),
        Turned::WrongKey => Fault::new(Kind::NoKey, "the key is wrong"),
    }
}

/// To a page whose origin the user allowed: whatever headers its library adds are read or ignored here.
fn preflight_answer(asked: &hyper::HeaderMap) -> Response<Out> {
    let mut response = Response::new(Out::Whole(None));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    let allowed = "authorization, content-type, x-api-key, anthropic-version, anthropic-beta";
    let allowed = HeaderValue::from_static(allowed);
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).filter(|names| names.len() <= 4096);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.cloned().unwrap_or(allowed));
    response
}

fn models(server: &Server) -> Value {
    let name = server.model();
    json!({ "object": "list", "data": [model(server)], "has_more": false, "first_id": name, "last_id": name })
}

/// A model in both protocols' words.
fn model(server: &Server) -> Value {
    let info = server.agent.engine.info();
    json!({
        "id": info.name, "object": "model", "type": "model", "created": server.started_unix_s, "owned_by": "z1",
        "display_name": info.name, "created_at": "1970-01-01T00:00:00Z",
        "context_length": info.context_tokens_max, "max_model_len": info.context_tokens_max,
    })
}

fn whole(status: StatusCode, value: &Value) -> Response<Out> {
    let mut response = Response::new(Out::Whole(Some(value.to_string().into())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refusal(api: Api, fault: &Fault) -> Response<Out> {
    let status = StatusCode::from_u16(fault.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = whole(status, &api.fault(fault));
    let headers = response.headers_mut();
    match fault.kind {
        Kind::Method => _ = headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST, OPTIONS")),
        Kind::Busy => _ = headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1")),
        Kind::NoKey => _ = headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        // What was not read of the body must not be taken for the next request.
        Kind::TooLarge | Kind::Slow => _ = headers.insert(header::CONNECTION, HeaderValue::from_static("close")),
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_with_and_without_their_version() {
        assert_eq!(Route::of("/v1/chat/completions"), Some(Route::Ask(Api::Chat)));
        assert_eq!(Route::of("/chat/completions/"), Some(Route::Ask(Api::Chat)));
        assert_eq!(Route::of("/v1/messages/count_tokens"), Some(Route::Count));
        assert_eq!(Route::of("/v1/models/a/b"), Some(Route::Model("a/b".into())));
        assert_eq!(Route::of("/"), Some(Route::Health));
        for path in ["/v1/models/../x".replace("/models/..", ""), "/v1/nothing".into(), "/v1/v1/messages".into()] {
            assert_eq!(Route::of(&path), None, "{path}");
        }
    }
}
