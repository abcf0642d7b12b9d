//! The access log against real files, FIFOs and devices.

use std::fs::{self, File};
use std::io::Read;
use std::process::Command;
use std::time::Instant;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn start(path: &std::path::Path, capacity: usize) -> (AccessLog, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new(1));
    let destination = Destination::File(path.to_owned());
    (AccessLog::start(destination, capacity, metrics.clone()).unwrap(), metrics)
}

/// Waits for something that another thread does.
fn until(mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "it did not happen in time");
        thread::yield_now();
    }
}

#[test]
fn lines_arrive_whole_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    fs::write(&path, "before\n").unwrap();
    let (log, metrics) = start(&path, 1024);
    let sender = log.sender();
    let mut expected = "before\n".to_owned();
    for number in 0..1000 {
        // Half of them bring their newline.
        let end = if number % 2 == 0 { "\n" } else { "" };
        assert!(sender.try_send(format!("line {number}{end}").into_bytes()));
        expected.push_str(&format!("line {number}\n"));
    }
    assert!(log.shutdown(PATIENCE));
    assert_eq!(fs::read_to_string(path).unwrap(), expected);
    assert!(!sender.try_send(b"late".to_vec()));
    assert_eq!(metrics.lost_log_lines(), 0);
}

#[test]
fn a_pipe_that_nobody_reads_costs_lines_but_no_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let (log, _) = start(&path, 16);
    let sender = log.sender();
    let mut reader = File::open(&path).unwrap();

    let line = vec![b'x'; 1023];
    let (mut taken, mut refused) = (0, 0);
    // More than a pipe holds (64 KiB) must have been taken before a refusal means what it should.
    until(|| {
        let before = Instant::now();
        if sender.try_send(line.clone()) {
            taken += 1;
        } else {
            refused += 1;
        }
        assert!(before.elapsed() < Duration::from_secs(1), "try_send blocked");
        taken > 64 && refused > 0
    });

    // The writer is in a write that cannot go on: shutting down has its bound.
    let started = Instant::now();
    assert!(!log.shutdown(Duration::from_millis(50)));
    assert!(started.elapsed() < PATIENCE);

    // Nothing that was taken is lost once someone reads.
    let mut text = Vec::new();
    drop(sender);
    reader.read_to_end(&mut text).unwrap();
    assert_eq!(text.len(), taken * 1024);
}

#[test]
fn a_fifo_without_a_reader_does_not_stop_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let (log, _) = start(&path, 4);
    let sender = log.sender();
    assert_eq!((0..10).filter(|_| sender.try_send(b"x".to_vec())).count(), 4);
    assert!(!log.shutdown(Duration::from_millis(20)));
}

#[test]
fn a_rotated_file_is_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (path, old) = (directory.path().join("access.log"), directory.path().join("access.log.1"));
    let (log, _) = start(&path, 16);
    let sender = log.sender();
    assert!(sender.try_send(b"first".to_vec()));
    until(|| fs::read_to_string(&path).is_ok_and(|text| text == "first\n"));

    fs::rename(&path, &old).unwrap();
    log.reopen();
    until(|| path.exists());
    assert!(sender.try_send(b"second".to_vec()));
    assert!(log.shutdown(PATIENCE));
    assert_eq!(fs::read_to_string(old).unwrap(), "first\n");
    assert_eq!(fs::read_to_string(path).unwrap(), "second\n");
}

#[test]
fn the_old_file_is_kept_when_the_new_one_cannot_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    let (inside, moved) = (directory.path().join("a"), directory.path().join("b"));
    fs::create_dir(&inside).unwrap();
    let (log, metrics) = start(&inside.join("access.log"), 16);
    fs::rename(&inside, &moved).unwrap();
    log.reopen();
    assert!(log.sender().try_send(b"still here".to_vec()));
    assert!(log.shutdown(PATIENCE));
    assert_eq!(fs::read_to_string(moved.join("access.log")).unwrap(), "still here\n");
    assert_eq!(metrics.lost_log_lines(), 0);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_counted_and_stops_nothing() {
    let (log, metrics) = start(std::path::Path::new("/dev/full"), 64);
    let sender = log.sender();
    for _ in 0..50 {
        assert!(sender.try_send(b"lost".to_vec()));
    }
    assert!(log.shutdown(PATIENCE));
    assert_eq!(metrics.lost_log_lines(), 50);
}

#[test]
fn what_cannot_be_opened_is_an_error_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let destination = Destination::File(directory.path().join("missing/access.log"));
    let error = AccessLog::start(destination, 1, Arc::new(Metrics::new(1))).err().unwrap();
    assert!(matches!(&error, AccessLogError::Open { path, .. } if path.ends_with("missing/access.log")), "{error}");
    assert_eq!("stdout".parse(), Ok(Destination::Stdout));
    assert_eq!("stderr".parse(), Ok(Destination::Stderr));
    assert_eq!("/var/log/a".parse(), Ok(Destination::File("/var/log/a".into())));
}
