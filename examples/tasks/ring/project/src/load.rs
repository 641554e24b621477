//! What the readings say.

use crate::ring::Ring;

#[derive(Debug, PartialEq)]
pub enum Trend {
    Rising,
    Falling,
    Level,
}

/// The mean of the readings; `None` when there are none.
pub fn mean(readings: &Ring<f64>) -> Option<f64> {
    if readings.is_empty() {
        return None;
    }
    Some(readings.iter().sum::<f64>() / readings.len() as f64)
}

/// Whether the newest reading is above or below the oldest.
pub fn trend(readings: &Ring<f64>) -> Trend {
    let mut readings = readings.iter();
    let Some(oldest) = readings.next() else {
        return Trend::Level;
    };
    let newest = readings.last().unwrap_or(oldest);
    if newest > oldest {
        Trend::Rising
    } else if newest < oldest {
        Trend::Falling
    } else {
        Trend::Level
    }
}
