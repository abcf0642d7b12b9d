//! The proxies that are compared: which are installed, how each is configured, started and checked.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;

use crate::Result;
use crate::lab::Lab;
use crate::process::{Process, Spec, find, free_port};
use crate::tollgate_config;

/// A proxy by name, as `--proxies` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Proxy {
    /// A bare TCP relay: the floor
    Relay,
    Tollgate,
    Haproxy,
    Nginx,
    Envoy,
}

impl Proxy {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Tollgate => "tollgate",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
        }
    }

    /// Its program when it is installed.
    pub(crate) fn locate(self, lab: &Lab, tollgate: &Path) -> Option<Installed> {
        let program = match self {
            Self::Relay => Some(lab.relay()),
            Self::Tollgate => find(&tollgate.to_string_lossy()),
            Self::Envoy => {
                let named = std::env::var("ENVOY").ok().and_then(|path| find(&path));
                named.or_else(|| find("envoy"))
            }
            Self::Haproxy | Self::Nginx => find(self.name()),
        }?;
        let version = match self {
            Self::Relay => "bench/peers/relay.c".to_owned(),
            Self::Tollgate => version_text(&program, "version"),
            Self::Haproxy | Self::Nginx => version_text(&program, "-v"),
            Self::Envoy => version_text(&program, "--version"),
        };
        Some(Installed { proxy: self, program, version })
    }
}

/// A proxy that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) proxy: Proxy,
    pub(crate) program: PathBuf,
    pub(crate) version: String,
}

/// What a program says about its version, on whichever stream.
fn version_text(program: &Path, argument: &str) -> String {
    let Ok(output) = Command::new(program).arg(argument).stdin(Stdio::null()).output() else {
        return String::new();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    version_of(&text).to_owned()
}

/// The first line, from behind the word "version" where it has it.
fn version_of(text: &str) -> &str {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    first.split_once("version").map_or(first, |(_, version)| version.trim_start_matches([':', ' ']))
}

/// What differs between the configurations of a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Routes; only tollgate has them.
    pub(crate) routes: usize,
    /// Client connections that a peer must be told of in advance.
    pub(crate) connections: usize,
    /// Whether nginx may write what a slow reader doesn't take to disk, as it does by default.
    pub(crate) spill: bool,
}

/// A proxy that serves.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

impl Installed {
    /// Starts it and waits until it listens.
    pub(crate) fn start(&self, lab: &Lab, settings: &Settings) -> Result<Running> {
        let port = free_port()?;
        let config = self.configure(lab, settings, port)?;
        let name = self.proxy.name();
        let argv = self.arguments(&config, lab.origin_port, port);
        let mut process = Process::start(&Spec {
            name,
            argv: argv.iter().map(OsString::as_os_str).collect(),
            env: &[("TOLLGATE_WORKERS", "1")],
            core: lab.proxy_core,
            dir: lab.dir(),
            piped: false,
        })?;
        process.wait_listening(port, Duration::from_secs(20))?;
        Ok(Running { process, port })
    }

    /// Writes its configuration file.
    fn configure(&self, lab: &Lab, settings: &Settings, port: u16) -> Result<PathBuf> {
        let template = match self.proxy {
            Proxy::Relay => return Ok(PathBuf::new()),
            Proxy::Tollgate => "",
            Proxy::Haproxy => include_str!("../peers/haproxy.cfg"),
            Proxy::Nginx => include_str!("../peers/nginx.conf"),
            Proxy::Envoy => include_str!("../peers/envoy.yaml"),
        };
        let text = if self.proxy == Proxy::Tollgate {
            tollgate_config::yaml(port, lab.origin_port, settings.routes)
        } else {
            fill(template, lab, settings, port)
        };
        let extension = if matches!(self.proxy, Proxy::Tollgate | Proxy::Envoy) { "yaml" } else { "conf" };
        let path = lab.dir().join(format!("{}.{extension}", self.proxy.name()));
        fs::write(&path, text)?;
        Ok(path)
    }

    fn arguments(&self, config: &Path, origin: u16, port: u16) -> Vec<OsString> {
        let config = config.as_os_str();
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let mut argv = vec![self.program.as_os_str().to_owned()];
        argv.extend(match self.proxy {
            Proxy::Relay => words(&[&port.to_string(), &origin.to_string()]),
            Proxy::Tollgate => words(&["run", "-c"]),
            Proxy::Haproxy => words(&["-db", "-f"]),
            Proxy::Nginx => words(&["-e", "stderr", "-c"]),
            Proxy::Envoy => words(&["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]),
        });
        if self.proxy != Proxy::Relay {
            argv.push(OsStr::to_owned(config));
        }
        argv
    }
}

/// Fills a peer's template in.
fn fill(template: &str, lab: &Lab, settings: &Settings, port: u16) -> String {
    template
        .replace("@DIR@", &lab.dir().to_string_lossy())
        .replace("@PORT@", &port.to_string())
        .replace("@ORIGIN@", &lab.origin_port.to_string())
        .replace("@CONNECTIONS@", &settings.connections.to_string())
        .replace("@SPILL@", if settings.spill { "1024m" } else { "0" })
}

#[cfg(test)]
mod tests {
    use super::version_of;

    #[test]
    fn versions_are_picked_from_what_programs_say() {
        assert_eq!(version_of("nginx version: nginx/1.22.1\n"), "nginx/1.22.1");
        assert_eq!(version_of("\n/x/envoy  version: 9e55/1.40.0/Clean\n"), "9e55/1.40.0/Clean");
        assert_eq!(version_of("HAProxy version 2.6.12-1 2026/10/17\nStatus: x\n"), "2.6.12-1 2026/10/17");
        assert_eq!(version_of("tollgate 0.1.0\n"), "tollgate 0.1.0");
    }
}
