//! Where the access log's bytes end up: opened, written, opened again, and its failures counted and told once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tollgate_core::metrics::Metrics;

use super::{AccessLogError, Destination};

/// How long to wait when a pipe that was made non-blocking by someone else is full.
const PIPE_FULL: Duration = Duration::from_millis(5);

/// Failures are told at most this often, however they come and go.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// What follows when nothing can be written.
const LOST: &str = "lines are lost, and counted, until that is mended";

/// An open destination.
pub(super) struct Output {
    destination: Destination,
    /// Nothing while a FIFO waits for its reader, or could not be opened.
    file: Option<File>,
    metrics: Arc<Metrics>,
    /// The last write ended amid a line.
    torn: bool,
    /// Writes have failed since the last one that went well.
    failing: bool,
    reported: Option<Instant>,
}

impl Output {
    /// Opens the destination; a FIFO only in [`Output::ready`].
    pub(super) fn open(destination: Destination, metrics: Arc<Metrics>) -> Result<Self, AccessLogError> {
        let file = match &destination {
            Destination::File(path) if is_fifo(path) => None,
            other => Some(open(other).map_err(|source| AccessLogError::Open { path: name(other), source })?),
        };
        Ok(Self { destination, file, metrics, torn: false, failing: false, reported: None })
    }

    /// Opens what could not be opened before without waiting. Waits for a FIFO's reader.
    pub(super) fn ready(&mut self) {
        if self.file.is_none() {
            self.reopen();
        }
    }

    /// Opens the file anew, or keeps the old one.
    pub(super) fn reopen(&mut self) {
        match open(&self.destination) {
            Ok(file) => {
                self.file = Some(file);
                self.torn = false;
            }
            Err(error) if self.file.is_some() => self.report(&error, "the file that is open is kept"),
            Err(error) => self.report(&error, LOST),
        }
    }

    /// Writes whole lines. What cannot be written is counted and forgotten.
    pub(super) fn write(&mut self, lines: &[u8]) {
        match self.try_write(lines) {
            Ok(()) => self.failing = false,
            Err((written, error)) => {
                let rest = lines.get(written..).unwrap_or_default();
                let lost = rest.iter().filter(|byte| **byte == b'\n').count();
                self.metrics.lose_log_lines(lost as u64);
                if written > 0 {
                    self.torn = lines.get(written - 1) != Some(&b'\n');
                }
                self.report(&error, LOST);
                self.failing = true;
            }
        }
    }

    /// Writes them, after ending a line that was torn; or says how far it came.
    fn try_write(&mut self, lines: &[u8]) -> Result<(), (usize, io::Error)> {
        let Some(file) = &mut self.file else {
            return Err((0, io::ErrorKind::NotConnected.into()));
        };
        if self.torn {
            write_all(file, b"\n")?;
            self.torn = false;
        }
        write_all(file, lines)
    }

    /// Says so on stderr, unless it was said for this run of failures or a moment ago.
    fn report(&mut self, error: &io::Error, so: &str) {
        let recent = self.reported.is_some_and(|at| at.elapsed() < REPORT_EVERY);
        if self.failing || recent {
            return;
        }
        self.reported = Some(Instant::now());
        let path = name(&self.destination);
        // Where stderr is gone too, nobody is left to tell.
        let _ = writeln!(io::stderr(), "tollgate: cannot write the access log {}: {error}; {so}", path.display());
    }
}

/// `write_all` that knows how far it came when it fails.
fn write_all(file: &mut impl Write, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PIPE_FULL),
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

/// A file of our own for the destination, so that no lock and no line buffer of std's handles comes between.
fn open(destination: &Destination) -> io::Result<File> {
    match destination {
        Destination::Stdout => Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
        Destination::Stderr => Ok(File::from(io::stderr().as_fd().try_clone_to_owned()?)),
        // Client addresses are nobody's business but the owner's and the group's.
        Destination::File(path) => OpenOptions::new().append(true).create(true).mode(0o640).open(path),
    }
}

fn is_fifo(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo())
}

fn name(destination: &Destination) -> PathBuf {
    match destination {
        Destination::Stdout => "stdout".into(),
        Destination::Stderr => "stderr".into(),
        Destination::File(path) => path.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then fails.
    struct Full(usize, Vec<u8>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.0).min(3);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= count;
            self.1.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_failed_write_says_how_far_it_came() {
        let mut file = Full(7, Vec::new());
        let (written, error) = write_all(&mut file, b"one\ntwo\nthree\n").unwrap_err();
        assert_eq!((written, error.kind()), (7, io::ErrorKind::StorageFull));
        assert_eq!(file.1, b"one\ntwo");
        file.0 = 100;
        assert!(write_all(&mut file, b"four\n").is_ok());
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let metrics = Arc::new(Metrics::new(1));
        let mut output = Output::open(Destination::File(path.clone()), metrics).unwrap();
        output.write(b"whole\n");
        output.torn = true;
        output.write(b"next\n");
        assert_eq!(fs::read_to_string(path).unwrap(), "whole\n\nnext\n");
    }
}
