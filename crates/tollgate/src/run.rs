//! `tollgate run`: from a config file to a gateway that serves it, until it is told to end.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tollgate_config::Loaded;
use tollgate_control::watch::Watcher;
use tollgate_core::metrics::Metrics;

use crate::cli::RunArgs;
use crate::compile;
use crate::gateway::{ApplyError, Gateway, Ready, WorkerThread};
use crate::report;
use crate::sources::Sources;

/// The environment variable that overrides `workers`.
const WORKERS: &str = "TOLLGATE_WORKERS";

/// How long the access log may take to be written at the end.
const LAST_LINES: Duration = Duration::from_secs(2);

/// A gateway and its worker threads.
pub(crate) struct Running {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) workers: Vec<WorkerThread>,
}

/// Why a gateway does not start. What is wrong with a config was reported already.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("the config cannot be used: {0}")]
    Config(String),
    #[error("{WORKERS} is `{0}`, which is not a number from 1 to 1024")]
    Workers(String),
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// Serves the config in a file until a signal ends it.
pub(crate) fn run(args: &RunArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            report::error(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        match serve(args).await {
            Ok(code) => code,
            Err(error) => {
                report::error(&error.to_string());
                ExitCode::FAILURE
            }
        }
    })
}

async fn serve(args: &RunArgs) -> Result<ExitCode, Box<dyn std::error::Error>> {
    raise_descriptor_limit();
    let (changes, mut changed) = tokio::sync::mpsc::channel(1);
    // Watching begins before the file is read, so that no change falls in between. One pending change is enough.
    let watcher = Watcher::new([&args.config], move || {
        // Full: a change is pending already. Closed: the gateway ends.
        let _ = changes.try_send(());
    })?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let loaded = tollgate_config::load(&args.config);
    let mut sources = Sources::of(&loaded);
    let running = start(loaded)?;
    announce(&running.gateway);
    loop {
        watch(&watcher, &args.config, &sources);
        sources = tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                running.gateway.reopen_log();
                reload(&args.config, &running.gateway, None)
            }
            Some(()) = changed.recv() => reload(&args.config, &running.gateway, Some(&sources)),
        };
    }
    drop(watcher);
    Ok(drain(running, args.drain.get(), &mut interrupt).await)
}

/// Starts a gateway for a config that was read.
pub(crate) fn start(loaded: Loaded) -> Result<Running, StartError> {
    let workers = worker_count(&loaded)?;
    let metrics = Arc::new(Metrics::new(workers));
    let (loaded, compiled) = compile::finish(loaded, &metrics, &compile::Before::default());
    report::problems(&loaded);
    let Some(compiled) = compiled else { return Err(StartError::Config(report::count(&loaded))) };
    let (gateway, workers) = Gateway::start(Ready { loaded, compiled }, workers, metrics)?;
    Ok(Running { gateway, workers })
}

/// Watches the config and the files that it names.
fn watch(watcher: &Watcher, config: &Path, sources: &Sources) {
    if let Err(error) = watcher.set_paths(sources.files().chain([config])) {
        report::warn(&error.to_string());
    }
}

/// Reads the config again and serves it, if it is good and new; gives what it was read from.
fn reload(path: &Path, gateway: &Arc<Gateway>, before: Option<&Sources>) -> Sources {
    let begun = Instant::now();
    let loaded = tollgate_config::load(path);
    let sources = Sources::of(&loaded);
    if before == Some(&sources) {
        return sources;
    }
    let metrics = tollgate_core::control::Control::metrics(&**gateway);
    let (loaded, compiled) = compile::finish(loaded, &metrics, &gateway.before());
    report::problems(&loaded);
    let count = report::count(&loaded);
    let outcome = match compiled {
        Some(compiled) => gateway.apply(Ready { loaded, compiled }).map_err(|error| error.to_string()),
        None => Err(first_error(&loaded)),
    };
    match outcome {
        Ok(()) => report::note(&format!("reloaded in {} ms ({count})", begun.elapsed().as_millis())),
        Err(why) => {
            report::error(&format!("the new config was rejected, the running one stays: {why}"));
            gateway.reject(why);
        }
    }
    sources
}

/// What the admin API says of a rejected config: its first error, and how many there are.
fn first_error(loaded: &Loaded) -> String {
    let first = loaded.problems.iter().find(|problem| problem.is_error());
    let place = first.map(|problem| match problem.span {
        Some(span) => format!("line {}: {}: {}", span.start.line, problem.path, problem.message),
        None => problem.message.clone(),
    });
    format!("{} ({})", place.unwrap_or_default(), report::count(loaded))
}

fn worker_count(loaded: &Loaded) -> Result<usize, StartError> {
    if let Ok(text) = std::env::var(WORKERS) {
        return match text.parse() {
            Ok(count @ 1..=1024) => Ok(count),
            _ => Err(StartError::Workers(text)),
        };
    }
    let written = loaded.config.as_ref().and_then(|config| config.workers).map(usize::from);
    // Where the number of cores is not known, one worker serves.
    Ok(written.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into)))
}

fn announce(gateway: &Gateway) {
    for listener in gateway.listeners() {
        report::note(&format!("listener {} on {}", report::bold(&listener.name), listener.address));
    }
    if let Some(address) = gateway.admin_address() {
        report::note(&format!("admin API on http://{address}"));
    }
}

/// Finishes what runs, for as long as `limit`; a second interrupt ends it at once.
pub(crate) async fn drain(running: Running, limit: Duration, interrupt: &mut tokio::signal::unix::Signal) -> ExitCode {
    report::note(&format!("draining, for up to {} s", limit.as_secs()));
    running.gateway.drain();
    let (done, finished) = tokio::sync::oneshot::channel();
    let workers = running.workers;
    std::thread::spawn(move || {
        let clean = workers.into_iter().all(|worker| matches!(worker.join(), Ok(Ok(()))));
        // The wait may be over already.
        let _ = done.send(clean);
    });
    let outcome = tokio::select! {
        outcome = tokio::time::timeout(limit, finished) => outcome,
        _ = interrupt.recv() => Ok(Ok(false)),
    };
    running.gateway.finish(LAST_LINES);
    match outcome {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(_) => {
            report::warn("some requests were still running; they were cut");
            ExitCode::SUCCESS
        }
    }
}

/// Connections are descriptors: as many as the system allows.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // If the limit cannot be raised the one in force holds; running out of descriptors is handled where it happens.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
