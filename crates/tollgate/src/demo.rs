//! `tollgate demo`: three sample services, a gateway in front of them, and a first round of requests through it.
//!
//! The gateway is the one that `tollgate run` starts, with the config of `examples/demo.yaml`.

mod catalog;
mod client;
mod config;
mod orders;
mod round;
mod services;
mod show;
mod steps;
mod users;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::DemoArgs;
use crate::gateway::ApplyError;
use crate::report;
use crate::run::{self, Running, StartError};
use round::Places;
use services::Services;

/// How long requests that still run may take at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
    #[error("cannot start the sample services: {0}")]
    Services(#[source] io::Error),
    #[error(
        "port {0} of 127.0.0.1 is taken by another process: stop it, or choose another port with `--port`, such as \
         `tollgate demo --port 0` for any that is free"
    )]
    Taken(u16),
    #[error(transparent)]
    Gateway(StartError),
    #[error("the admin API did not start")]
    NoAdmin,
}

/// Runs the demo until a signal ends it, or with `--once` until its own requests are answered.
pub(crate) fn demo(args: &DemoArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(DemoError::Runtime).and_then(|runtime| runtime.block_on(serve(args)));
    outcome.unwrap_or_else(|error| {
        report::error(&error.to_string());
        ExitCode::FAILURE
    })
}

async fn serve(args: &DemoArgs) -> Result<ExitCode, DemoError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let services = Services::start().map_err(DemoError::Services)?;
    let (running, gateway) = start(args.port, &services)?;
    let admin = running.gateway.admin_address().ok_or(DemoError::NoAdmin)?;
    let places = Places { gateway, admin, services: services.addresses };
    show::overview(&places);
    let round = tokio::select! {
        as_expected = round::run(&places) => Some(as_expected),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    if round.is_some() && !args.once {
        report::note("serving until Ctrl-C, which drains: no new connections, and what runs may finish");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
    let ended = run::drain(running, DRAIN, &mut interrupt).await;
    // Not before the gateway, which needs them to the end.
    drop(services);
    Ok(if args.once && round != Some(true) { ExitCode::FAILURE } else { ended })
}

/// Starts the gateway in front of `services` and gives its address.
fn start(port: u16, services: &Services) -> Result<(Running, SocketAddr), DemoError> {
    let reserved = if port == 0 { Some(reserve()?) } else { None };
    let port = match &reserved {
        Some(socket) => socket.local_addr()?.port(),
        None => port,
    };
    let text = config::text(port, &services.addresses);
    let running = run::start(tollgate_config::parse(&text, config::FILE)).map_err(|error| match error {
        StartError::Apply(ApplyError::Bind { source, .. }) if source.kind() == io::ErrorKind::AddrInUse => {
            DemoError::Taken(port)
        }
        error => DemoError::Gateway(error),
    })?;
    Ok((running, SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
}

/// Holds a free port. As it does not listen, and allows its address to be used again, the gateway can bind the same
/// port while nobody else is given it.
fn reserve() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(socket)
}
