//! What fuzzing found once stays found: every seed and every file of the corpora, without libFuzzer. And what it hardly
//! gets to, because it is long.

use std::panic::catch_unwind;
use std::path::Path;

use crate::seeds::TARGETS;

#[test]
fn seeds_and_corpora_hold() {
    let mut failed = 0;
    for target in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        let files = std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
        let corpus = files.map(|file| std::fs::read(file.path()).unwrap());
        for input in target.seeds().chain(corpus) {
            if catch_unwind(|| (target.check)(&input)).is_err() {
                failed += 1;
                eprintln!("{}: \"{}\"\n", target.name, input.escape_ascii());
            }
        }
    }
    assert_eq!(failed, 0, "inputs break a property");
}

#[test]
fn long_messages_hold() {
    let around = |limit: usize| limit - 40..limit + 3;
    for n in around(8 * 1024) {
        crate::request_head(format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(n)).as_bytes());
        crate::chunked_body(format!("1\r\na\r\n0\r\nX: {}\r\n\r\nrest", "a".repeat(n)).as_bytes());
    }
    for n in around(32 * 1024) {
        crate::request_head(format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\nrest", "a".repeat(n)).as_bytes());
    }
    for n in around(64 * 1024) {
        crate::response_head(format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\nrest", "a".repeat(n)).as_bytes());
    }
    for n in [98, 99, 100, 101, 149, 150, 199, 200, 201] {
        let fields = "A: b\r\n".repeat(n);
        crate::request_head(format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes());
        crate::response_head(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes());
        crate::chunked_body(format!("0\r\n{fields}\r\n").as_bytes());
    }
    for n in around(256) {
        crate::chunked_body(format!("1;{}\r\na\r\n0\r\n\r\n", "a".repeat(n)).as_bytes());
        crate::chunked_body(format!("1;{}", "a".repeat(n)).as_bytes());
        crate::authority("a.".repeat(n / 2).as_bytes());
        crate::authority(format!("{}.:80", "a".repeat(n)).as_bytes());
    }
}

#[test]
fn names_that_nearly_are_others_hold() {
    const NAMES: &str = "te via host date close proxy expect origin cookie upgrade trailer refresh location x-tenant \
        x-user-id forwarded connection keep-alive set-cookie x-request-id max-forwards authorization content-length \
        http2-settings x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-forwarded-prefix \
        x-forwarded- x-consumer-name x-consumer-groups x-credential-id proxy-connection content-location \
        x-forwarded-client-cert transfer-encoding";
    let hold = |name: &[u8]| {
        let name = String::from_utf8_lossy(name);
        for value in ["1", "chunked"] {
            let fields = format!("{name}: {value}\r\nConnection: x\r\n\r\n");
            crate::request_head(format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}").as_bytes());
            crate::response_head(format!("HTTP/1.1 200 OK\r\n{fields}").as_bytes());
        }
        crate::chunked_body(format!("0\r\n{name}: 1\r\n\r\n").as_bytes());
    };
    for name in NAMES.split(' ').map(str::as_bytes) {
        hold(name);
        hold(&name.to_ascii_uppercase());
        hold(&name[1..]);
        hold(&[name, b"x"].concat());
        for at in 0..name.len() {
            // Upper case, an underscore for a hyphen, and bytes that differ by the bit of the case or the lowest.
            for byte in [name[at] ^ 0x20, name[at] ^ 0x40, name[at] ^ 1, b'_', b'-', b'.'] {
                let mut other = name.to_vec();
                other[at] = byte;
                hold(&other);
            }
        }
        let hyphens: Vec<usize> = (0..name.len()).filter(|at| name[*at] == b'-').collect();
        if let [.., last] = hyphens[..] {
            let mut other: Vec<u8> = name.iter().map(|byte| if *byte == b'-' { b'_' } else { *byte }).collect();
            hold(&other);
            other[last] = b'-';
            hold(&other);
        }
    }
}
