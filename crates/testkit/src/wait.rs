//! Bounded waiting for what sends no event.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that should come at once.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Asks `probe` again and again until it gives a value or `limit` has passed.
///
/// For states of another process that announce nothing (a listening port, its memory); in this process await the event.
pub fn eventually<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(3));
    }
}
