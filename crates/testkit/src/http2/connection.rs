//! A connection: frames out, events in.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::http2::{Decoder, Event, Frame, PREFACE, flag, kind, settings};
use crate::text::latin1;
use crate::wait::PATIENCE;
use crate::wire::Stop;

/// The largest frame that a server may send to us, for our SETTINGS name no other.
const LARGEST: usize = 16_384;

/// What a connection may run over: a socket, or TLS on one.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// One connection. What a server sends must be right in itself; what the client sends is the test's affair.
pub struct Http2 {
    stream: Box<dyn Stream>,
    socket: TcpStream,
    buffer: Vec<u8>,
    decoder: Decoder,
    limit: Duration,
    deadline: Instant,
    seen: Vec<Event>,
    settings: Vec<(u16, u32)>,
    remarks: Vec<String>,
}

impl Http2 {
    /// Connects in clear text; panics where nobody listens. Nothing is sent yet.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .unwrap_or_else(|error| panic!("connecting to {address}: {error}"));
        let socket = stream.try_clone().expect("a socket can be cloned");
        Self::over(stream, socket)
    }

    /// Speaks over any stream, TLS above all; `socket` is the one below, whose time-outs bound the reads.
    pub fn over(stream: impl Stream + 'static, socket: TcpStream) -> Self {
        socket.set_nodelay(true).expect("TCP_NODELAY can be set");
        socket.set_write_timeout(Some(PATIENCE)).expect("a write time-out can be set");
        Http2 {
            stream: Box::new(stream),
            socket,
            buffer: Vec::new(),
            decoder: Decoder::default(),
            limit: PATIENCE,
            deadline: Instant::now() + PATIENCE,
            seen: Vec::new(),
            settings: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Sets how long each expectation may take; [`PATIENCE`] unless set.
    pub fn patience(&mut self, limit: Duration) {
        self.limit = limit;
        self.within(limit);
    }

    /// Lets the reads that follow take this long together.
    pub(crate) fn within(&mut self, limit: Duration) {
        self.deadline = Instant::now() + limit;
    }

    /// Starts the clock of an expectation.
    pub(crate) fn start(&mut self) {
        self.within(self.limit);
    }

    /// Sends the preface with these settings, and waits until both sides have acknowledged the other's.
    pub fn handshake(&mut self, settings: &[(u16, u32)]) -> Result<(), String> {
        self.send_bytes([PREFACE, &Frame::settings(settings).encode()].concat());
        self.start();
        let first = self.event().map_err(|stop| format!("no SETTINGS of the server's: {stop:?}"))?;
        if !matches!(first, Event::Settings(_)) {
            return Err(format!("the server's first frame is {first:?}"));
        }
        self.until("SETTINGS ACK", |event| (*event == Event::SettingsAck).then_some(()))
    }

    /// Sends frames with one write. That the server takes no more of them is no failure here: what it said before it
    /// closed is what counts.
    pub fn send(&mut self, frames: impl IntoIterator<Item = Frame>) {
        let bytes: Vec<u8> = frames.into_iter().flat_map(|frame| frame.encode()).collect();
        self.send_bytes(bytes);
    }

    /// Sends any bytes, as [`Self::send`] does.
    pub fn send_bytes(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush());
    }

    /// Ends the sending direction of the socket.
    pub fn half_close(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// All that the server has said so far.
    pub fn seen(&self) -> &[Event] {
        &self.seen
    }

    /// What the server did almost right.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    pub(crate) fn remark(&mut self, text: String) {
        self.remarks.push(text);
    }

    /// A setting of the server's, if it named that.
    pub fn setting(&self, name: u16) -> Option<u32> {
        self.settings.iter().rev().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    /// The largest payload that the server takes.
    pub fn largest_frame(&self) -> usize {
        let named = self.setting(settings::MAX_FRAME_SIZE).and_then(|size| usize::try_from(size).ok());
        named.unwrap_or(LARGEST)
    }

    /// The next thing that the server says, before the deadline. SETTINGS and PING are acknowledged.
    pub fn event(&mut self) -> Result<Event, Stop> {
        let frame = self.frame()?;
        let event = self.interpret(frame)?;
        match &event {
            Event::Settings(settings) => {
                self.settings.extend(settings);
                self.send([Frame::settings_ack()]);
            }
            Event::Ping(bytes) => self.send([Frame::new(kind::PING, flag::ACK, 0, bytes.clone())]),
            _ => {}
        }
        self.seen.push(event.clone());
        Ok(event)
    }

    /// Bytes that need not be frames, until the server closes.
    pub fn bytes_to_close(&mut self) -> (Vec<u8>, Stop) {
        self.start();
        loop {
            if let Err(stop) = self.fill() {
                return (std::mem::take(&mut self.buffer), stop);
            }
        }
    }

    fn interpret(&mut self, frame: Frame) -> Result<Event, Stop> {
        let Frame { kind, flags, stream, payload } = frame;
        let ack = flags & flag::ACK != 0;
        let end = flags & flag::END_STREAM != 0;
        let on_stream = matches!(kind, kind::DATA | kind::HEADERS | kind::PRIORITY | kind::RST_STREAM);
        let on_connection = matches!(kind, kind::SETTINGS | kind::PING | kind::GOAWAY);
        if on_stream && stream % 2 == 0 || on_connection && stream != 0 {
            return Err(Stop::Malformed(format!("a frame of type {kind} on stream {stream}")));
        }
        Ok(match (kind, payload.len()) {
            (kind::DATA, _) => Event::Data { stream, bytes: unpadded(flags, &payload)?.to_vec(), end },
            (kind::HEADERS, _) => Event::Headers { stream, fields: self.fields(flags, stream, &payload)?, end },
            (kind::RST_STREAM, 4) => Event::Reset(stream, word(&payload)),
            (kind::SETTINGS, 0) if ack => Event::SettingsAck,
            (kind::SETTINGS, length) if !ack && length % 6 == 0 => Event::Settings(pairs(&payload)?),
            (kind::PING, 8) if ack => Event::PingAck(payload),
            (kind::PING, 8) => Event::Ping(payload),
            (kind::GOAWAY, 8..) => {
                Event::GoAway { last: word(&payload), code: word(&payload[4..]), debug: payload[8..].to_vec() }
            }
            (kind::WINDOW_UPDATE, 4) if word(&payload) != 0 => Event::WindowUpdate(stream, word(&payload)),
            (kind::PRIORITY, 5) | (kind::UNKNOWN.., _) | (10.., _) => Event::Other(kind),
            (_, length) => return Err(Stop::Malformed(format!("a frame of type {kind} with {length} bytes"))),
        })
    }

    /// The fields of a block, the rest of which may follow in CONTINUATION.
    fn fields(&mut self, mut flags: u8, stream: u32, payload: &[u8]) -> Result<Vec<(String, String)>, Stop> {
        let mut block = unpadded(flags, payload)?.to_vec();
        if flags & flag::PRIORITY != 0 {
            block = block.split_off(block.len().min(5));
        }
        while flags & flag::END_HEADERS == 0 {
            let next = self.frame()?;
            if (next.kind, next.stream) != (kind::CONTINUATION, stream) {
                return Err(Stop::Malformed(format!("{next:?} within a field block")));
            }
            flags = next.flags;
            block.extend(next.payload);
        }
        let fields = self.decoder.decode(&block).map_err(Stop::Malformed)?;
        let hop = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
        let wrong = |(name, _): &&(String, String)| {
            name.bytes().any(|byte| byte.is_ascii_uppercase()) || hop.contains(&name.as_str())
        };
        match fields.iter().find(wrong) {
            Some((name, _)) => Err(Stop::Malformed(format!("the field {name} in an answer"))),
            None => Ok(fields),
        }
    }

    fn frame(&mut self) -> Result<Frame, Stop> {
        let head = self.take(9)?;
        let length = usize::try_from(word(&head) >> 8).unwrap_or(usize::MAX);
        if length > LARGEST {
            return Err(Stop::Malformed(format!("no frame: {:?}", latin1(&[head, self.buffer.clone()].concat()))));
        }
        let payload = self.take(length)?;
        Ok(Frame { kind: head[3], flags: head[4], stream: word(&head[5..]) & 0x7fff_ffff, payload })
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Stop> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn fill(&mut self) -> Result<(), Stop> {
        let mut part = [0; 16 * 1024];
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Stop::TimedOut);
            }
            self.socket.set_read_timeout(Some(left)).expect("a read time-out above zero");
            match self.stream.read(&mut part) {
                Ok(0) => return Err(Stop::Closed),
                Ok(read) => {
                    self.buffer.extend_from_slice(&part[..read]);
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(Stop::TimedOut),
                    // TLS that ends without a close_notify is an end of a connection all the same.
                    _ => return Err(Stop::Reset),
                },
            }
        }
    }
}

fn unpadded(flags: u8, payload: &[u8]) -> Result<&[u8], Stop> {
    if flags & flag::PADDED == 0 {
        return Ok(payload);
    }
    let content = payload.split_first().and_then(|(pad, rest)| rest.get(..rest.len().checked_sub((*pad).into())?));
    content.ok_or_else(|| Stop::Malformed("more padding than payload".into()))
}

fn pairs(payload: &[u8]) -> Result<Vec<(u16, u32)>, Stop> {
    let pairs: Vec<_> =
        payload.chunks(6).map(|pair| (u16::from_be_bytes([pair[0], pair[1]]), word(&pair[2..]))).collect();
    let wrong = |(name, value): &&(u16, u32)| match *name {
        // §6.5.2: a server must not say 1.
        settings::ENABLE_PUSH => *value != 0,
        settings::INITIAL_WINDOW_SIZE => *value > 0x7fff_ffff,
        settings::MAX_FRAME_SIZE => !(16_384..=16_777_215).contains(value),
        _ => false,
    };
    match pairs.iter().find(wrong) {
        Some((name, value)) => Err(Stop::Malformed(format!("setting {name} is {value}"))),
        None => Ok(pairs),
    }
}

fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().copied().map(u32::from_be_bytes).unwrap_or_default()
}
