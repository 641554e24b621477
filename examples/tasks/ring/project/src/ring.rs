//! A ring that keeps the newest values.

/// Keeps as many values as it has room for; a new one takes the place of the oldest.
pub struct Ring<T> {
    values: Vec<T>,
    room: usize,
    /// Where the oldest value is, once the ring is full.
    oldest: usize,
}

impl<T> Ring<T> {
    /// # Panics
    ///
    /// When `room` is 0.
    pub fn new(room: usize) -> Self {
        assert!(room > 0, "a ring has room for one value at least");
        Ring { values: Vec::with_capacity(room), room, oldest: 0 }
    }

    pub fn push(&mut self, value: T) {
        if self.values.len() < self.room {
            self.values.push(value);
        } else {
            self.values[self.oldest] = value;
            self.oldest = (self.oldest + 1) % self.room;
        }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values from the oldest to the newest.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.values.iter()
    }
}
