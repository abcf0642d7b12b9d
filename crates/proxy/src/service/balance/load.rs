//! What a target is doing right now.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After so many seconds without news, an old latency counts 1/e (Finagle's default).
const DECAY_SECONDS: f64 = 10.0;
/// One tick of a [`TargetLoad`]'s clock, in nanoseconds. 2^32 of them are 78 hours.
const TICK_NANOS: u64 = 1 << 16;
/// What a target with requests in flight, but no answer yet, is taken to need for each: seconds, more than any real latency.
const UNKNOWN_SECONDS: f64 = 1_000.0;

/// Requests in flight and a moving average of latency. All methods may be called from any thread.
#[derive(Debug)]
pub struct TargetLoad {
    in_flight: AtomicU32,
    /// Average in seconds as the bits of an `f32`, below it the tick of the last observation: one word, so that both
    /// change together. An average of 0 means that nothing was observed.
    average: AtomicU64,
    since: Instant,
}

/// One request in flight; it ends when this is dropped.
#[derive(Debug)]
pub struct InFlight<'a>(&'a TargetLoad);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl TargetLoad {
    /// An idle target of unknown latency.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        TargetLoad { in_flight: AtomicU32::new(0), average: AtomicU64::new(0), since: now }
    }

    /// Requests sent whose answers have not ended.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request as in flight for as long as the guard lives.
    #[must_use]
    pub fn enter(&self) -> InFlight<'_> {
        self.begin();
        InFlight(self)
    }

    /// Counts a request as in flight. Each call needs one of [`TargetLoad::end`].
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends what [`TargetLoad::begin`] began.
    pub fn end(&self) {
        // Saturating: one call too many must not look like four billion requests.
        let _ =
            self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| Some(count.saturating_sub(1)));
    }

    /// Notes how long an answer took. A latency above the average becomes the average at once, a lower one draws it down
    /// slowly, the more the longer ago the last one was (Finagle's peak EWMA).
    pub fn observe(&self, latency: Duration, now: Instant) {
        let seconds = latency.as_secs_f64().max(1e-9);
        let tick = self.tick(now);
        let _ = self.average.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let (average, last) = unpack(word);
            let kept = fade(last, tick);
            let next = if seconds > average { seconds } else { average * kept + seconds * (1.0 - kept) };
            // Within one tick the average hardly moves; the next one then counts the whole time since `last`.
            Some(pack(next, if kept < 1.0 || seconds > average { tick } else { last }))
        });
    }

    /// The average latency now, in seconds; `None` if nothing was ever observed.
    #[must_use]
    pub fn latency(&self, now: Instant) -> Option<f64> {
        let (average, last) = unpack(self.average.load(Ordering::Relaxed));
        if average > 0.0 { Some(average * fade(last, self.tick(now))) } else { None }
    }

    /// How long one more request would take, in seconds: the average for each request in flight and the new one. An
    /// untried target costs nothing, so that it is tried; but once only, until its first answer.
    pub(super) fn expected_latency(&self, now: Instant) -> f64 {
        let in_flight = f64::from(self.in_flight());
        match self.latency(now) {
            Some(seconds) => seconds * (in_flight + 1.0),
            None => UNKNOWN_SECONDS * in_flight,
        }
    }

    /// The clock of this target, which wraps around.
    fn tick(&self, now: Instant) -> u32 {
        let nanos = now.saturating_duration_since(self.since).as_nanos();
        let wrapped = (nanos / u128::from(TICK_NANOS)) & u128::from(u32::MAX);
        u32::try_from(wrapped).unwrap_or(0)
    }
}

/// How much of an average is left between two ticks: 1 for none passed, then less.
fn fade(last: u32, now: u32) -> f64 {
    let ticks = now.wrapping_sub(last);
    // Workers' clocks are read at slightly different moments: more than half the range means "before".
    if ticks > u32::MAX / 2 {
        return 1.0;
    }
    #[allow(clippy::cast_precision_loss)] // 2^16 is exact.
    let seconds = f64::from(ticks) * (TICK_NANOS as f64 / 1e9);
    (-seconds / DECAY_SECONDS).exp()
}

fn pack(seconds: f64, tick: u32) -> u64 {
    #[allow(clippy::cast_possible_truncation)] // Rounds to the nearest; seven digits are plenty.
    let bits = (seconds as f32).to_bits();
    u64::from(bits) << 32 | u64::from(tick)
}

fn unpack(word: u64) -> (f64, u32) {
    let bits = u32::try_from(word >> 32).unwrap_or(0);
    (f64::from(f32::from_bits(bits)), u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0))
}
