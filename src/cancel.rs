//! One flag that a task carries and everything that works for it polls or awaits.
//!
//! Cancelling is an ordinary outcome, not an error: whoever sees the flag stops at the next safe point
//! and returns what it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A clonable cancellation flag. All clones share one state; it is never reset.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    cancelled: AtomicBool,
    notify: Notify,
}

impl Cancel {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag and wakes every waiter.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::SeqCst);
        self.inner.notify.notify_waiters();
    }

    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::SeqCst)
    }

    /// Resolves when the flag is set; at once where it already is.
    pub async fn cancelled(&self) {
        loop {
            let waiter = self.inner.notify.notified();
            tokio::pin!(waiter);
            // Register before looking, so that a cancel between the two is not missed.
            waiter.as_mut().enable();
            if self.is_cancelled() {
                return;
            }
            waiter.await;
        }
    }
}
