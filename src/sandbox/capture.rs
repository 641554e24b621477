//! Keeping the head and the tail of a stream of any length in bounded memory.

use std::collections::VecDeque;

use super::policy::Capture;

/// A stream that is being captured.
#[derive(Debug)]
pub(crate) struct Recorder {
    head: Vec<u8>,
    head_max: usize,
    tail: VecDeque<u8>,
    tail_max: usize,
    total: u64,
}

impl Recorder {
    pub(crate) const fn new(head_max: usize, tail_max: usize) -> Self {
        Self { head: Vec::new(), head_max, tail: VecDeque::new(), tail_max, total: 0 }
    }

    /// Takes the stream's next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.head_max - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.tail_max)..];
        let excess = (self.tail.len() + rest.len()).saturating_sub(self.tail_max);
        self.tail.drain(..excess);
        self.tail.extend(rest);
    }

    /// Bytes seen so far.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn finish(self) -> Capture {
        let (mut head, tail) = (self.head, Vec::from(self.tail));
        // Nothing was lost between the two: one piece is easier to read than two.
        if self.total == (head.len() + tail.len()) as u64 {
            head.extend_from_slice(&tail);
            return Capture { head, tail: Vec::new(), total_bytes: self.total };
        }
        Capture { head, tail, total_bytes: self.total }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn head_and_tail_are_the_streams_ends(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20),
            head in 0usize..30,
            tail in 0usize..30,
        ) {
            let mut recorder = Recorder::new(head, tail);
            for piece in &pieces {
                recorder.push(piece);
            }
            let whole = pieces.concat();
            let capture = recorder.finish();
            prop_assert_eq!(capture.total_bytes, whole.len() as u64);
            if whole.len() <= head + tail {
                prop_assert_eq!(capture.head, whole);
            } else {
                prop_assert_eq!(&capture.head[..], &whole[..head]);
                prop_assert_eq!(&capture.tail[..], &whole[whole.len() - tail..]);
            }
        }
    }
}
