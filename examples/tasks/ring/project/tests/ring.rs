use loadwatch::load::{mean, trend, Trend};
use loadwatch::ring::Ring;

fn ring(room: usize, values: &[f64]) -> Ring<f64> {
    let mut ring = Ring::new(room);
    for value in values {
        ring.push(*value);
    }
    ring
}

fn values(ring: &Ring<f64>) -> Vec<f64> {
    ring.iter().copied().collect()
}

#[test]
fn not_yet_full() {
    assert_eq!(values(&ring(4, &[1.0, 2.0])), [1.0, 2.0]);
    assert_eq!(mean(&ring(4, &[1.0, 2.0])), Some(1.5));
    assert_eq!(mean(&ring(4, &[])), None);
}

#[test]
fn full() {
    let ring = ring(3, &[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(ring.len(), 3);
    assert_eq!(values(&ring), [2.0, 3.0, 4.0]);
}

#[test]
fn trends() {
    assert_eq!(trend(&ring(3, &[5.0, 1.0, 7.0])), Trend::Rising);
    assert_eq!(trend(&ring(3, &[])), Trend::Level);
}
