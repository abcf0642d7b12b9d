//! When to call: changes that come together make one call, and none is made amid a write if that can be helped.

use std::time::{Duration, Instant};

/// After the last event, how long it must be quiet.
const QUIET: Duration = Duration::from_millis(5);
/// After the first event, how long it may at most take.
const AT_MOST: Duration = Duration::from_millis(20);
/// How long to wait for a writer that wrote something to close the file; some never do.
const WRITING: Duration = Duration::from_millis(50);
/// How long such writers can put the call off.
const WRITING_AT_MOST: Duration = Duration::from_millis(250);
/// How long to wait for a file that was deleted to be made again.
const GONE: Duration = Duration::from_millis(200);

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is there whole, or gone: closed by its writer, renamed, linked, deleted.
    Whole,
    /// Bytes were written, and more may follow.
    Partial,
    /// Its owner, mode or times changed.
    Attributes,
}

/// The changes since the last call.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// When the first and the last were seen.
    span: Option<(Instant, Instant)>,
    writing: bool,
    noted: u64,
}

impl Pending {
    /// Notes a change.
    pub(super) fn note(&mut self, change: Change, now: Instant) {
        self.span = Some((self.span.map_or(now, |(first, _)| first), now));
        self.noted = self.noted.wrapping_add(1);
        match change {
            Change::Whole => self.writing = false,
            Change::Partial => self.writing = true,
            Change::Attributes => {}
        }
    }

    /// A number that grows with each change noted.
    pub(super) fn noted(&self) -> u64 {
        self.noted
    }

    /// When to call. `gone`: a file that was there is not.
    pub(super) fn due(&self, gone: bool) -> Option<Instant> {
        let (first, last) = self.span?;
        Some(match (gone, self.writing) {
            (true, _) => first + GONE,
            (false, true) => (last + WRITING).min(first + WRITING_AT_MOST),
            (false, false) => (last + QUIET).min(first + AT_MOST),
        })
    }

    /// Whether to call now; then nothing is pending any more.
    pub(super) fn take_if_due(&mut self, now: Instant, gone: bool) -> bool {
        let due = self.due(gone).is_some_and(|due| due <= now);
        if due {
            self.span = None;
            self.writing = false;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a call is due after these changes, each so many milliseconds from the start.
    fn due(changes: &[(u64, Change)], gone: bool) -> u128 {
        let start = Instant::now();
        let mut pending = Pending::default();
        for (at, change) in changes {
            pending.note(*change, start + Duration::from_millis(*at));
        }
        let due = pending.due(gone).unwrap();
        assert!(!pending.take_if_due(due - Duration::from_millis(1), gone));
        assert!(pending.take_if_due(due, gone));
        assert_eq!(pending.due(gone), None);
        (due - start).as_millis()
    }

    #[test]
    fn changes_that_come_together_make_one_call() {
        assert_eq!(due(&[(0, Change::Whole)], false), 5);
        assert_eq!(due(&[(0, Change::Whole), (4, Change::Whole)], false), 9);
        let steady: Vec<_> = (0..30).map(|at| (at, Change::Whole)).collect();
        assert_eq!(due(&steady, false), 20);
    }

    #[test]
    fn a_write_is_waited_for_but_not_for_ever() {
        assert_eq!(due(&[(0, Change::Partial), (1, Change::Partial), (2, Change::Whole)], false), 7);
        assert_eq!(due(&[(0, Change::Partial)], false), 50);
        assert_eq!(due(&[(0, Change::Partial), (1, Change::Attributes)], false), 51);
        let steady: Vec<_> = (0..40).map(|at| (at * 10, Change::Partial)).collect();
        assert_eq!(due(&steady, false), 250);
    }

    #[test]
    fn a_deleted_file_has_time_to_come_back() {
        assert_eq!(due(&[(0, Change::Whole)], true), 200);
        assert_eq!(due(&[(0, Change::Whole), (40, Change::Partial), (41, Change::Whole)], false), 20);
    }
}
