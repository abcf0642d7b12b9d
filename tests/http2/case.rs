//! A case: what is sent on a connection of its own, and what must come of it.

use tollgate_testkit::http2::{Block, Frame, Http2, code};

/// What the server answers to every request, with 200.
pub(crate) const BODY: &str = "0123456789abcdef";

/// A stream that no case uses, above all that they use.
const LATER: u32 = 99_999;

/// What must come. An error of a stream may be one of the connection too, and may come without words (see the testkit).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expect {
    /// A connection error with one of these codes.
    Connection(&'static [u32]),
    /// A stream error on this stream with one of these codes.
    Stream(u32, &'static [u32]),
    /// The stream error of a malformed request, which must not be served.
    Malformed(u32),
    /// The same, where an answer may be on its way before the request turns out to be malformed.
    MalformedLate(u32),
    /// The same, or an answer of 4xx alone.
    Refused(u32),
    /// An answer of 200 with [`BODY`] on this stream, and a connection that still works.
    Answer(u32),
    /// No error at all, and a later request is answered.
    Alive,
    /// The server hangs up, with or without words.
    HangsUp,
    /// What the function says.
    Check(fn(&mut Talk) -> Result<(), String>),
}

/// One case.
pub(crate) struct Case {
    /// Section and what happens.
    pub(crate) name: &'static str,
    /// Sends what is to be sent.
    pub(crate) act: fn(&mut Talk),
    pub(crate) expect: Expect,
    /// The client's settings; none when the case itself starts the connection.
    pub(crate) handshake: Option<&'static [(u16, u32)]>,
}

/// A case on a connection that both sides have opened.
pub(crate) const fn case(name: &'static str, expect: Expect, act: fn(&mut Talk)) -> Case {
    Case { name, act, expect, handshake: Some(&[]) }
}

/// A case that looks for itself.
pub(crate) const fn check(name: &'static str, look: fn(&mut Talk) -> Result<(), String>) -> Case {
    case(name, Expect::Check(look), |_| {})
}

impl Case {
    /// The case begins where nothing but TCP (or TLS) is connected.
    pub(crate) const fn raw(mut self) -> Self {
        self.handshake = None;
        self
    }

    /// The client opens with these settings.
    pub(crate) const fn with(mut self, settings: &'static [(u16, u32)]) -> Self {
        self.handshake = Some(settings);
        self
    }

    /// Runs it; `None` where this server's settings leave nothing to test.
    pub(crate) fn run(&self, talk: &mut Talk) -> Option<Result<(), String>> {
        if let Some(settings) = self.handshake
            && let Err(error) = talk.http2.handshake(settings)
        {
            return Some(Err(error));
        }
        (self.act)(talk);
        let result = self.expect.meet(talk);
        (!talk.skipped).then_some(result)
    }
}

impl Expect {
    fn meet(self, talk: &mut Talk) -> Result<(), String> {
        if talk.skipped {
            return Ok(());
        }
        match self {
            Expect::Connection(codes) => talk.http2.connection_error(codes),
            Expect::Stream(stream, codes) => talk.http2.stream_error(stream, codes),
            Expect::Malformed(stream) => talk.http2.malformed(stream),
            Expect::MalformedLate(stream) => talk.http2.stream_error(stream, &[code::PROTOCOL_ERROR]),
            Expect::Refused(stream) => talk.http2.refused(stream),
            Expect::Answer(stream) => talk.answered(stream).and_then(|()| talk.http2.pong()),
            Expect::Alive => talk.alive(),
            Expect::HangsUp => talk.http2.hangs_up(),
            Expect::Check(look) => look(talk),
        }
    }

    /// Whether a whole request must never reach the origin.
    pub(crate) fn forbids_serving(self) -> bool {
        matches!(self, Expect::Malformed(_) | Expect::MalformedLate(_) | Expect::Refused(_))
    }
}

/// The connection of a case, and the path that its requests have.
pub(crate) struct Talk {
    pub(crate) http2: Http2,
    pub(crate) path: String,
    skipped: bool,
}

impl Talk {
    pub(crate) fn new(http2: Http2, path: String) -> Self {
        Talk { http2, path, skipped: false }
    }

    /// Says that the server leaves nothing to test here.
    pub(crate) fn skip(&mut self) {
        self.skipped = true;
    }

    pub(crate) fn send(&mut self, frames: impl IntoIterator<Item = Frame>) {
        self.http2.send(frames);
    }

    /// The fields of a `GET`.
    pub(crate) fn block(&self) -> Block {
        Block::get(&self.path)
    }

    /// A whole `GET`.
    pub(crate) fn get(&self, stream: u32) -> Frame {
        Frame::headers(stream, self.block()).end()
    }

    /// The head of a `POST`; content follows.
    pub(crate) fn open(&self, stream: u32) -> Frame {
        Frame::headers(stream, Block::post(&self.path))
    }

    /// Sends a `GET` with one more field.
    pub(crate) fn get_with(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.send([Frame::headers(1, self.block().field(name, value)).end()]);
    }

    /// Sends a request whose block is this.
    pub(crate) fn ask(&mut self, block: Block) {
        self.send([Frame::headers(1, block).end()]);
    }

    /// Demands the answer of 200.
    pub(crate) fn answered(&mut self, stream: u32) -> Result<(), String> {
        let answer = self.http2.answer(stream)?;
        let right = answer.status == 200 && answer.body == BODY.as_bytes();
        let wrong = || format!("{} with {} bytes is not the origin's answer", answer.status, answer.body.len());
        if right { Ok(()) } else { Err(wrong()) }
    }

    /// Demands that nothing is broken.
    pub(crate) fn alive(&mut self) -> Result<(), String> {
        self.http2.pong()?;
        self.send([self.get(LATER)]);
        self.answered(LATER)
    }
}
