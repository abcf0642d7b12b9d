//! What must come back.
//!
//! An endpoint may make a connection error of any stream error (RFC 9113 §5.4), and may close without a GOAWAY
//! (§5.4.1), so both pass for either. A connection error with another code than the right one is a remark, see
//! [`Http2::remarks`].

use std::time::Duration;

use crate::http2::{Event, Frame, Http2, code};
use crate::wire::Stop;

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The fields, `:status` too.
    pub fields: Vec<(String, String)>,
    /// The content.
    pub body: Vec<u8>,
    /// Fields after it.
    pub trailers: Vec<(String, String)>,
}

impl Http2 {
    /// Waits for the event that `wanted` knows. An error of the connection's or its end stops it.
    pub fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> Result<T, String> {
        self.start();
        loop {
            let event = self.event().map_err(|stop| format!("{stop:?} instead of {what}"))?;
            if let Some(found) = wanted(&event) {
                return Ok(found);
            }
            if let Event::GoAway { code, .. } = event {
                return Err(format!("GOAWAY with {} instead of {what}", code::name(code)));
            }
        }
    }

    /// GOAWAY with one of these codes and then the end of the connection, or its end alone.
    pub fn connection_error(&mut self, codes: &[u32]) -> Result<(), String> {
        self.start();
        let what = || format!("a connection error of {}", names(codes));
        loop {
            match self.event() {
                Ok(Event::GoAway { code, .. }) => return self.after_goaway(code, codes),
                Ok(_) => {}
                Err(Stop::Closed | Stop::Reset) => return Ok(()),
                Err(stop) => return Err(format!("{stop:?} instead of {}", what())),
            }
        }
    }

    /// RST_STREAM of this stream with one of these codes, or a connection error with one. What the server answered
    /// before it knew of the error does not count.
    pub fn stream_error(&mut self, stream: u32, codes: &[u32]) -> Result<(), String> {
        self.rejection(stream, codes, |_| true)
    }

    /// The stream error that a malformed request is (§8.1.1). An answer of 4xx may precede it.
    pub fn malformed(&mut self, stream: u32) -> Result<(), String> {
        self.rejection(stream, &[code::PROTOCOL_ERROR], |status| (400..500).contains(&status))
    }

    /// A malformed request, or an answer of 4xx alone: where the RFC asks for an error, but not for its form.
    pub fn refused(&mut self, stream: u32) -> Result<(), String> {
        let result = self.malformed_or_answered(stream)?;
        match result {
            None | Some(400..500) => Ok(()),
            Some(status) => Err(format!("status {status} instead of a refusal")),
        }
    }

    fn rejection(&mut self, stream: u32, codes: &[u32], may_answer: fn(u16) -> bool) -> Result<(), String> {
        self.start();
        loop {
            match self.event() {
                Ok(Event::Reset(of, code)) if of == stream => {
                    let right = codes.contains(&code);
                    let wrong = || format!("RST_STREAM with {} instead of {}", code::name(code), names(codes));
                    return if right { Ok(()) } else { Err(wrong()) };
                }
                Ok(Event::GoAway { code, .. }) => return self.after_goaway(code, codes),
                Ok(Event::Headers { stream: of, fields, .. }) if of == stream => match status(&fields) {
                    Some(status) if !may_answer(status) => return Err(format!("status {status}")),
                    _ => {}
                },
                Ok(_) => {}
                Err(Stop::Closed | Stop::Reset) => return Ok(()),
                Err(stop) => return Err(format!("{stop:?} instead of a stream error of {}", names(codes))),
            }
        }
    }

    /// The final status on a stream, none when an error came first.
    fn malformed_or_answered(&mut self, stream: u32) -> Result<Option<u16>, String> {
        self.start();
        loop {
            match self.event() {
                Ok(Event::Reset(of, code::PROTOCOL_ERROR)) if of == stream => return Ok(None),
                Ok(Event::GoAway { code, .. }) => {
                    return self.after_goaway(code, &[code::PROTOCOL_ERROR]).map(|()| None);
                }
                Ok(Event::Headers { stream: of, fields, .. }) if of == stream => match status(&fields) {
                    Some(100..200) => {}
                    status => return Ok(status),
                },
                Ok(_) => {}
                Err(Stop::Closed | Stop::Reset) => return Ok(None),
                Err(stop) => return Err(format!("{stop:?} instead of a refusal")),
            }
        }
    }

    /// After GOAWAY for an error the connection must end (§5.4.1). If it does, a less exact code is no more than a
    /// remark, unless it tells the client to try again.
    fn after_goaway(&mut self, code: u32, codes: &[u32]) -> Result<(), String> {
        if !codes.contains(&code) {
            let text = format!("GOAWAY with {} instead of {}", code::name(code), names(codes));
            if matches!(code, code::NO_ERROR | code::REFUSED_STREAM) {
                return Err(text);
            }
            self.remark(text);
        }
        loop {
            match self.event() {
                Ok(_) => {}
                Err(Stop::Closed | Stop::Reset) => return Ok(()),
                Err(stop) => return Err(format!("{stop:?} instead of the connection's end after GOAWAY")),
            }
        }
    }

    /// The end of a connection that need not speak HTTP/2 yet; no answer of success before it.
    pub fn hangs_up(&mut self) -> Result<(), String> {
        match self.bytes_to_close() {
            (bytes, Stop::Closed | Stop::Reset) if !bytes.starts_with(b"HTTP/1.1 2") => Ok(()),
            (bytes, stop) => Err(format!("{stop:?} after {} bytes instead of a closed connection", bytes.len())),
        }
    }

    /// The whole answer on a stream.
    pub fn answer(&mut self, stream: u32) -> Result<Answer, String> {
        let mut answer = Answer { status: 0, fields: Vec::new(), body: Vec::new(), trailers: Vec::new() };
        let what = format!("an answer on stream {stream}");
        self.until(&what, |event| match event {
            Event::Headers { stream: of, fields, end } if *of == stream => {
                match status(fields) {
                    Some(100..200) => return None,
                    Some(status) if answer.status == 0 => (answer.status, answer.fields) = (status, fields.clone()),
                    Some(_) => return Some(Err("two answers on one stream".to_owned())),
                    None => answer.trailers.clone_from(fields),
                }
                end.then_some(Ok(()))
            }
            Event::Data { stream: of, bytes, end } if *of == stream => {
                answer.body.extend(bytes);
                end.then_some(Ok(()))
            }
            Event::Reset(of, code) if *of == stream => Some(Err(format!("RST_STREAM with {}", code::name(*code)))),
            _ => None,
        })??;
        Ok(answer)
    }

    /// That PING is answered with its bytes, and nothing was reset before.
    pub fn pong(&mut self) -> Result<(), String> {
        let bytes = *b"tollgate";
        self.send([Frame::ping(bytes)]);
        self.until("PING ACK", |event| match event {
            Event::PingAck(answer) if *answer == bytes => Some(Ok(())),
            Event::Reset(stream, code) => Some(Err(format!("RST_STREAM({stream}, {})", code::name(*code)))),
            _ => None,
        })?
    }

    /// So many bytes of content on a stream, whether more follow or not.
    pub fn content(&mut self, stream: u32, length: usize) -> Result<Vec<u8>, String> {
        let mut content = Vec::new();
        self.until(&format!("{length} bytes on stream {stream}"), |event| {
            if let Event::Data { stream: of, bytes, .. } = event
                && *of == stream
            {
                content.extend(bytes);
            }
            (content.len() >= length).then_some(())
        })?;
        Ok(content)
    }

    /// That no more DATA comes for a moment.
    pub fn no_content(&mut self, moment: Duration) -> Result<(), String> {
        self.within(moment);
        loop {
            match self.event() {
                Ok(event @ (Event::Data { .. } | Event::Reset(..) | Event::GoAway { .. })) => {
                    return Err(format!("{event:?} instead of nothing"));
                }
                Ok(_) => {}
                Err(Stop::TimedOut) => return Ok(()),
                Err(stop) => return Err(format!("{stop:?} instead of nothing")),
            }
        }
    }
}

fn status(fields: &[(String, String)]) -> Option<u16> {
    fields.iter().find(|(name, _)| name == ":status").and_then(|(_, value)| value.parse().ok())
}

fn names(codes: &[u32]) -> String {
    codes.iter().map(|code| code::name(*code)).collect::<Vec<_>>().join(" or ")
}
