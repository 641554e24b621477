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

#[test]
fn after_every_push() {
    let mut ring = Ring::new(4);
    for value in 0..13 {
        ring.push(f64::from(value));
        let expected: Vec<f64> = ((value - 3).max(0)..=value).map(f64::from).collect();
        assert_eq!(values(&ring), expected);
        assert_eq!(ring.iter().count(), ring.len());
    }
}

#[test]
fn room_for_one() {
    assert_eq!(values(&ring(1, &[1.0, 2.0, 3.0])), [3.0]);
}

#[test]
fn exactly_full() {
    assert_eq!(values(&ring(3, &[1.0, 2.0, 3.0])), [1.0, 2.0, 3.0]);
}

#[test]
fn trends_of_a_full_ring() {
    assert_eq!(trend(&ring(3, &[9.0, 1.0, 2.0, 3.0, 4.0])), Trend::Rising);
    assert_eq!(trend(&ring(3, &[0.0, 9.0, 8.0, 7.0])), Trend::Falling);
    assert_eq!(mean(&ring(2, &[1.0, 2.0, 4.0])), Some(3.0));
}

#[test]
fn other_values() {
    let mut words = Ring::new(2);
    for word in ["a", "b", "c"] {
        words.push(String::from(word));
    }
    assert_eq!(words.iter().map(String::as_str).collect::<Vec<_>>(), ["b", "c"]);
}
