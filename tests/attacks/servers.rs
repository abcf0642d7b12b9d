//! A back end that keeps nothing of the many requests it gets.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// What `/large` is answered with.
pub(super) const LARGE: usize = 64 * 1024;
/// What `/huge` is answered with: more than any kernel holds for a reader.
pub(super) const HUGE: usize = 16 * 1024 * 1024;

/// Starts it; it lasts as long as the process.
pub(super) fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Answers until the gateway hangs up. Bodies are not read: whoever sends one gets no second answer here.
fn serve(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::with_capacity(1024, stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let length = match line.split(' ').nth(1)? {
            "/large" => LARGE,
            "/huge" => HUGE,
            _ => 2,
        };
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        }
        let mut left = length;
        let piece = "ok".repeat(length.min(LARGE) / 2);
        write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").ok()?;
        while left > 0 {
            let some = left.min(piece.len());
            writer.write_all(piece.as_bytes().get(..some)?).ok()?;
            left -= some;
        }
    }
}
