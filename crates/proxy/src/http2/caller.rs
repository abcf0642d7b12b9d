//! A stream of HTTP/2, as an exchange sees its client.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::StatusCode;
use tollgate_core::Headers;

use super::fields;
use crate::caller::{Caller, Peer};
use crate::timer::{Deadline, Timers};

/// One stream: a request and its answer.
pub(crate) struct Stream {
    peer: Rc<Peer>,
    local: Option<SocketAddr>,
    deadline: Deadline,
    sender: RefCell<Sender>,
}

/// Where the answer goes.
enum Sender {
    /// Its head is still to be sent.
    Head(SendResponse<Bytes>),
    /// Its body is.
    Body(SendStream<Bytes>),
}

impl Stream {
    pub(crate) fn new(
        peer: Rc<Peer>,
        local: Option<SocketAddr>,
        timers: &Rc<Timers>,
        respond: SendResponse<Bytes>,
    ) -> Rc<Self> {
        Rc::new(Self { peer, local, deadline: Deadline::new(timers), sender: RefCell::new(Sender::Head(respond)) })
    }

    /// Sends the head of the answer; false if the client is gone.
    pub(crate) fn send_head(&self, head: http::Response<()>, end: bool) -> bool {
        let mut sender = self.sender.borrow_mut();
        let Sender::Head(respond) = &mut *sender else { return false };
        match respond.send_response(head, end) {
            Ok(stream) => {
                *sender = Sender::Body(stream);
                true
            }
            Err(_) => false,
        }
    }

    /// The stream for the body, once the head was sent.
    pub(crate) fn with_body<T>(&self, act: impl FnOnce(&mut SendStream<Bytes>) -> T) -> Option<T> {
        match &mut *self.sender.borrow_mut() {
            Sender::Body(stream) => Some(act(stream)),
            Sender::Head(_) => None,
        }
    }

    /// Ends the stream at once.
    pub(crate) fn reset(&self, reason: Reason) {
        match &mut *self.sender.borrow_mut() {
            Sender::Head(respond) => respond.send_reset(reason),
            Sender::Body(stream) => stream.send_reset(reason),
        }
    }
}

impl Caller for Stream {
    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    fn local_address(&self) -> Option<SocketAddr> {
        self.local
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> bool {
        match &mut *self.sender.borrow_mut() {
            Sender::Head(respond) => respond.poll_reset(cx).is_ready(),
            Sender::Body(stream) => stream.poll_reset(cx).is_ready(),
        }
    }

    fn send_interim<'a>(
        &'a self,
        status: StatusCode,
        headers: &'a Headers,
    ) -> Pin<Box<dyn Future<Output = bool> + 'a>> {
        let mut head = http::Response::new(());
        *head.status_mut() = status;
        *head.headers_mut() = fields::to_map(headers);
        let sent = match &mut *self.sender.borrow_mut() {
            Sender::Head(respond) => respond.send_informational(head).is_ok(),
            Sender::Body(_) => false,
        };
        Box::pin(std::future::ready(sent))
    }
}
