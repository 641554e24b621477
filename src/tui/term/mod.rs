//! The terminal itself: painting frames as bytes, owning and giving back the device, asking it questions.
//!
//! Not for: what is on the screen (`view/`) or why (`app/`). [`screen`] is pure, bytes out; the other files
//! are the edge.

pub mod guard;
pub mod paint;
pub mod probe;
pub mod screen;
pub mod signals;

pub use guard::Guard;
pub use screen::{Cursor, Screen};
