//! Plugins and their chain: an onion of async functions around the service.
//!
//! A plugin is one `call`: what it does before `next.run(..)` happens to the request, what it does after happens to
//! the answer, and what it must remember in between are local variables. [`Next::run`] returns a plain [`Response`]:
//! a rejection from within has become an answer already, so that no `?` can skip what an outer plugin adds to answers.

use std::pin::Pin;

use crate::context::Context;
use crate::reject::Reject;
use crate::request::Request;
use crate::response::Response;

/// What a call comes to: an answer, or a reason why there is none.
pub type Outcome = Result<Response, Reject>;

/// One policy, compiled from its config; the same instance serves all workers.
pub trait Plugin: Send + Sync + 'static {
    /// The name by which the config calls it.
    fn name(&self) -> &'static str;

    /// Handles one request: changes it, passes it on by `next.run`, changes the answer; or answers itself.
    ///
    /// Runs on the worker's thread and must not block it.
    fn call(&self, cx: &mut Context<'_>, request: Request, next: Next<'_>) -> impl Future<Output = Outcome>;

    /// True if it answers CORS preflights, so that they reach its route whatever the route's methods.
    fn answers_preflight(&self) -> bool {
        false
    }

    /// True if it answers every request itself, so that its route needs no service.
    fn terminates(&self) -> bool {
        false
    }

    /// True if it reads [`Context::captures`], which are empty where nobody does.
    fn uses_captures(&self) -> bool {
        false
    }
}

/// What stands at the end of the chain: the service.
pub trait Terminal {
    /// Gets an answer for the request.
    fn call<'a>(&'a self, cx: &'a mut Context<'_>, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;
}

/// [`Plugin`] with its future boxed: the one seam at which types are erased.
trait Erased: Send + Sync {
    fn name(&self) -> &'static str;
    fn call<'a>(
        &'a self,
        cx: &'a mut Context<'_>,
        request: Request,
        next: Next<'a>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;
    fn answers_preflight(&self) -> bool;
    fn terminates(&self) -> bool;
    fn uses_captures(&self) -> bool;
}

impl<P: Plugin> Erased for P {
    fn name(&self) -> &'static str {
        Plugin::name(self)
    }
    fn call<'a>(
        &'a self,
        cx: &'a mut Context<'_>,
        request: Request,
        next: Next<'a>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + 'a>> {
        Box::pin(Plugin::call(self, cx, request, next))
    }
    fn answers_preflight(&self) -> bool {
        Plugin::answers_preflight(self)
    }
    fn terminates(&self) -> bool {
        Plugin::terminates(self)
    }
    fn uses_captures(&self) -> bool {
        Plugin::uses_captures(self)
    }
}

/// A plugin in a chain, shared by the routes that use it with the same config.
#[derive(Clone)]
pub struct Link(std::sync::Arc<dyn Erased>);

impl Link {
    /// Wraps a compiled plugin.
    pub fn new(plugin: impl Plugin) -> Self {
        Self(std::sync::Arc::new(plugin))
    }

    /// The plugin's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name()
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The plugins of a route in the order in which they run.
#[derive(Clone, Debug, Default)]
pub struct Chain(Box<[Link]>);

impl Chain {
    /// A chain that runs `links` first to last.
    #[must_use]
    pub fn new(links: Vec<Link>) -> Self {
        Self(links.into_boxed_slice())
    }

    /// True if one of its plugins answers preflights.
    #[must_use]
    pub fn answers_preflight(&self) -> bool {
        self.0.iter().any(|link| link.0.answers_preflight())
    }

    /// True if one of its plugins answers every request.
    #[must_use]
    pub fn terminates(&self) -> bool {
        self.0.iter().any(|link| link.0.terminates())
    }

    /// True if one of its plugins reads what the route's path captured.
    #[must_use]
    pub fn uses_captures(&self) -> bool {
        self.0.iter().any(|link| link.0.uses_captures())
    }

    /// The plugins' names in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(Link::name)
    }

    /// Runs the chain with `terminal` at its end.
    pub fn run<'a>(
        &'a self,
        cx: &'a mut Context<'_>,
        request: Request,
        terminal: &'a dyn Terminal,
    ) -> impl Future<Output = Response> + 'a {
        Next { rest: &self.0, terminal }.run(cx, request)
    }
}

/// The rest of the chain, as a plugin sees it.
pub struct Next<'a> {
    rest: &'a [Link],
    terminal: &'a dyn Terminal,
}

impl Next<'_> {
    /// Runs the rest of the chain. A rejection in there comes back as the answer that the client will see.
    pub async fn run(self, cx: &mut Context<'_>, request: Request) -> Response {
        let outcome = match self.rest.split_first() {
            Some((link, rest)) => {
                let next = Next { rest, terminal: self.terminal };
                let outcome = link.0.call(cx, request, next).await;
                if outcome.is_err() && cx.answered_by.is_none() {
                    cx.answered_by = Some(link.name());
                }
                outcome
            }
            None => self.terminal.call(cx, request).await,
        };
        outcome.unwrap_or_else(|reject| reject.into_response(cx))
    }
}
