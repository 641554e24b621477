//! The connections that are held: at most so many, and where another comes the one that has been idle longest goes.
//!
//! Not for: what is said on them (`http.rs`).

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// All connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    places: Arc<Semaphore>,
    held: RefCell<Vec<Weak<Held>>>,
    /// Newcomers that wait for a place.
    waiting: Rc<Cell<u32>>,
}

/// One connection. It gives its place back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    requests: Cell<u32>,
    idle_since: Cell<Instant>,
    close: Notify,
    closing: Cell<bool>,
    waiting: Rc<Cell<u32>>,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), held: RefCell::default(), waiting: Rc::default() }
    }

    /// A place for a connection that was taken. Where there is none, the one that has been without a request for the longest
    /// time is closed; where all have one, this waits for the first to end.
    pub(super) async fn place(&self) -> Rc<Held> {
        if self.places.available_permits() == 0 {
            self.close_idlest();
        }
        let waits = Waiting::new(&self.waiting);
        let place = Arc::clone(&self.places).acquire_owned().await.expect("invariant: the places are never closed");
        drop(waits);
        let held = Rc::new(Held {
            requests: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            close: Notify::new(),
            closing: Cell::new(false),
            waiting: Rc::clone(&self.waiting),
            _place: place,
        });
        let mut all = self.held.borrow_mut();
        all.retain(|other| other.strong_count() > 0);
        all.push(Rc::downgrade(&held));
        held
    }

    fn close_idlest(&self) {
        let all = self.held.borrow();
        let idle = all.iter().filter_map(Weak::upgrade).filter(|held| held.is_idle());
        if let Some(idlest) = idle.min_by_key(|held| held.idle_since.get()) {
            idlest.end();
        }
    }
}

/// A newcomer that waits.
struct Waiting(Rc<Cell<u32>>);

impl Waiting {
    fn new(count: &Rc<Cell<u32>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Held {
    /// Whether it has no request, and is not to be closed for another newcomer already.
    fn is_idle(&self) -> bool {
        self.requests.get() == 0 && !self.closing.get()
    }

    fn end(&self) {
        self.closing.set(true);
        self.close.notify_one();
    }

    /// Ends when the connection is to be closed.
    pub(super) async fn closed(&self) {
        self.close.notified().await;
    }

    /// A request has come; it lasts until the result is dropped.
    pub(super) fn busy(self: &Rc<Self>) -> Busy {
        self.requests.set(self.requests.get() + 1);
        Busy(Rc::clone(self))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Busy(Rc<Held>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.requests.set(self.0.requests.get() - 1);
        self.0.idle_since.set(Instant::now());
        if self.0.waiting.get() > 0 && self.0.is_idle() {
            self.0.end();
        }
    }
}

/// The body of an answer, with which the request ends.
pub(super) struct Ending<B> {
    body: B,
    /// Kept for its end alone.
    _busy: Busy,
}

impl<B> Ending<B> {
    pub(super) fn new(body: B, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl<B: Body + Unpin> Body for Ending<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use super::*;

    /// What a future gives at once.
    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_longest_idle_goes_and_never_one_that_is_answered() {
        let all = Connections::new(2);
        let (first, second) = (now(all.place()).unwrap(), now(all.place()).unwrap());
        let busy = first.busy();
        assert!(now(all.place()).is_none(), "the place is not free yet");
        assert!(now(first.closed()).is_none() && now(second.closed()).is_some());
        drop(second);
        let third = now(all.place()).unwrap();
        drop(busy);
        let later = third.busy();
        drop(later);
        assert!(now(all.place()).is_none());
        assert!(now(first.closed()).is_some() && now(third.closed()).is_none());
    }

    #[test]
    fn where_all_are_answered_the_first_that_is_done_goes_for_who_waits() {
        let all = Connections::new(1);
        let only = now(all.place()).unwrap();
        let busy = only.busy();
        let mut waits = std::pin::pin!(all.place());
        assert!(waits.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
        assert!(now(only.closed()).is_none());
        drop(busy);
        assert!(now(only.closed()).is_some());
    }
}
