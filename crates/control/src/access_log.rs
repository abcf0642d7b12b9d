//! The access log: a bounded queue from the workers to one writer thread.
//!
//! A worker never waits for it. [`LogSender::try_send`] takes a line or refuses it, and the worker counts what is
//! refused. The writer gathers what the queue holds into one write. A disk that is full, a pipe that nobody reads and a
//! file that cannot be opened again cost lines, which are counted, and one message on stderr; never traffic.

mod output;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tollgate_core::metrics::Metrics;

use output::Output;

/// How long the writer lets lines gather after the first one. Meanwhile a worker's `try_send` wakes nobody, which
/// keeps a system call out of its path; the queue must hold what arrives in this time.
const LINGER: Duration = Duration::from_millis(5);

/// A batch is written once it is this long.
const BATCH_BYTES: usize = 64 * 1024;

/// Where the lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The process's standard output.
    Stdout,
    /// The process's standard error.
    Stderr,
    /// A file, made if need be and appended to; or a FIFO.
    File(PathBuf),
}

impl FromStr for Destination {
    type Err = std::convert::Infallible;

    /// `stdout`, `stderr`, or a path, as `access_log.path` has it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            path => Self::File(path.into()),
        })
    }
}

/// Why the access log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogError {
    /// The destination cannot be opened for writing.
    #[error("cannot open the access log {path:?} for writing: {source}")]
    Open {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The writer's thread cannot be started.
    #[error("cannot start the access log's thread: {0}")]
    Thread(#[source] std::io::Error),
}

enum Message {
    Line(Vec<u8>),
    /// Look at the flags.
    Wake,
}

#[derive(Default)]
struct Flags {
    reopen: AtomicBool,
    stop: AtomicBool,
}

/// A running access log. Dropping it stops the writer without waiting for it; [`AccessLog::shutdown`] waits.
pub struct AccessLog {
    queue: SyncSender<Message>,
    flags: Arc<Flags>,
    done: Receiver<()>,
}

/// Takes lines to the writer. Each worker has its own clone.
#[derive(Clone)]
pub struct LogSender {
    queue: SyncSender<Message>,
    flags: Arc<Flags>,
}

impl LogSender {
    /// Hands a line over, with its newline or without. `false`: it was dropped, because the queue is full or the log
    /// was shut down. Never blocks.
    #[must_use]
    pub fn try_send(&self, line: Vec<u8>) -> bool {
        !self.flags.stop.load(Ordering::Relaxed) && self.queue.try_send(Message::Line(line)).is_ok()
    }
}

impl AccessLog {
    /// Opens the destination and starts its writer. The queue holds `capacity` lines; lines that were taken but could
    /// not be written are counted in `metrics`.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread not be started. A FIFO is opened by the writer, since that waits
    /// for a reader.
    pub fn start(destination: Destination, capacity: usize, metrics: Arc<Metrics>) -> Result<Self, AccessLogError> {
        let output = Output::open(destination, metrics)?;
        let (queue, lines) = sync_channel(capacity.max(1));
        let (finished, done) = sync_channel(1);
        let flags = Arc::new(Flags::default());
        let writer = Writer { output, lines, flags: flags.clone(), batch: Vec::with_capacity(BATCH_BYTES) };
        thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                writer.run();
                // Nobody may be waiting for it.
                let _ = finished.send(());
            })
            .map_err(AccessLogError::Thread)?;
        Ok(Self { queue, flags, done })
    }

    /// A sender for one worker.
    #[must_use]
    pub fn sender(&self) -> LogSender {
        LogSender { queue: self.queue.clone(), flags: self.flags.clone() }
    }

    /// Has the file opened anew before the next write, after it was moved away by a log rotation. If it cannot be, the
    /// open one is kept. Does nothing to stdout and stderr. Does not wait.
    pub fn reopen(&self) {
        self.flags.reopen.store(true, Ordering::Release);
        self.wake();
    }

    /// Takes no more lines, writes those in the queue and ends the writer. `false`: it was not done in time, and goes
    /// on by itself.
    #[must_use = "lines are lost when the process ends before the writer does"]
    pub fn shutdown(self, within: Duration) -> bool {
        self.flags.stop.store(true, Ordering::Release);
        self.wake();
        // The writer's end of the channel also goes when its thread does.
        !matches!(self.done.recv_timeout(within), Err(RecvTimeoutError::Timeout))
    }

    fn wake(&self) {
        // A full queue keeps the writer awake anyway.
        let _ = self.queue.try_send(Message::Wake);
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flags.stop.store(true, Ordering::Release);
        self.wake();
    }
}

/// The thread's side.
struct Writer {
    output: Output,
    lines: Receiver<Message>,
    flags: Arc<Flags>,
    batch: Vec<u8>,
}

impl Writer {
    fn run(mut self) {
        self.output.ready();
        while let Ok(message) = self.lines.recv() {
            let waits = matches!(message, Message::Line(_));
            self.gather(message);
            if waits && !self.flags.stop.load(Ordering::Acquire) {
                thread::sleep(LINGER);
            }
            self.drain();
            if self.flags.stop.load(Ordering::Acquire) {
                // Lines that a worker sent before it saw the flag.
                self.drain();
                return;
            }
        }
    }

    /// Writes all that is in the queue, in as few writes as their length allows.
    fn drain(&mut self) {
        while let Ok(message) = self.lines.try_recv() {
            self.gather(message);
            if self.batch.len() >= BATCH_BYTES {
                self.write();
            }
        }
        self.write();
    }

    fn gather(&mut self, message: Message) {
        if let Message::Line(line) = message {
            self.batch.extend_from_slice(&line);
            if line.last() != Some(&b'\n') {
                self.batch.push(b'\n');
            }
        }
    }

    fn write(&mut self) {
        if self.flags.reopen.swap(false, Ordering::AcqRel) {
            self.output.reopen();
        }
        if !self.batch.is_empty() {
            self.output.write(&self.batch);
            self.batch.clear();
            // One line of a megabyte must not be paid for ever after.
            self.batch.shrink_to(2 * BATCH_BYTES);
        }
    }
}

#[cfg(test)]
mod tests;
