//! The real binary, run from YAML text.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;
use crate::origin::Origin;
use crate::ports::free_port;
use crate::wait::{PATIENCE, eventually};

/// How long a gateway may take to start to listen.
const START: Duration = Duration::from_secs(10);

/// Why a gateway did not start: its exit status, if it exited, and what it wrote.
#[derive(Debug, Clone)]
pub struct StartError {
    /// The status, none when it runs but does not listen.
    pub status: Option<ExitStatus>,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// What a gateway is started with. In the YAML these words are replaced: `{listen}` (address and port), `{port}`,
/// `{admin}` (address and port), `{dir}` (its directory), `{origin}`, `{origin2}`… and those given by [`Self::var`].
pub struct GatewayBuilder {
    yaml: String,
    vars: Vec<(String, String)>,
    args: Vec<String>,
    envs: Vec<(String, String)>,
    files: Vec<(String, String)>,
    origins: usize,
    linked: bool,
}

impl GatewayBuilder {
    /// Names the next origin: `{origin}`, then `{origin2}`…
    pub fn origin(mut self, origin: &Origin) -> Self {
        self.origins += 1;
        let name = if self.origins == 1 { "origin".into() } else { format!("origin{}", self.origins) };
        self.vars.push((name, origin.address().to_string()));
        self
    }

    /// Replaces `{name}` in the YAML.
    pub fn var(mut self, name: &str, value: impl Into<String>) -> Self {
        self.vars.push((name.into(), value.into()));
        self
    }

    /// Adds an argument of the command line.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// Writes another file into the gateway's directory.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.into(), text.into()));
        self
    }

    /// Reads the configuration through symbolic links, as Kubernetes mounts it: `tollgate.yaml` → `..data/tollgate.yaml`
    /// and `..data` → a directory of its own for each version. [`Gateway::reload`] then swaps `..data`.
    pub fn as_config_map(mut self) -> Self {
        self.linked = true;
        self
    }

    /// Starts it and waits until it listens; panics with its standard error otherwise.
    pub fn start(self) -> Gateway {
        self.try_start().unwrap_or_else(|error| {
            panic!("the gateway does not listen ({:?}); it wrote:\n{}", error.status, error.stderr)
        })
    }

    /// Starts it and waits until it listens or exits.
    pub fn try_start(mut self) -> Result<Gateway, StartError> {
        let dir = tempfile::Builder::new().prefix("tollgate-test").tempdir().expect("a temporary directory");
        let (port, admin) = (free_port(), free_port());
        let has_admin = self.yaml.contains("{admin}");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.vars.push(("listen".into(), address.to_string()));
        self.vars.push(("port".into(), port.to_string()));
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, admin));
        self.vars.push(("admin".into(), admin.to_string()));
        self.vars.push(("dir".into(), dir.path().display().to_string()));
        for (name, text) in &self.files {
            fs::write(dir.path().join(name), fill(text, &self.vars)).expect("a file can be written");
        }
        let config = dir.path().join("tollgate.yaml");
        let mut version = 0;
        install(&config, &fill(&self.yaml, &self.vars), self.linked, &mut version);

        let mut command = Command::new(binary());
        command.args(["run", "-c"]).arg(&config).args(&self.args);
        command.envs(self.envs.iter().map(|(n, v)| (n, v)));
        command.current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{} does not run ({error}); TOLLGATE_BIN names another", binary().display())
        });
        let stdout = Output::follow(child.stdout.take().expect("piped"));
        let stderr = Output::follow(child.stderr.take().expect("piped"));
        let linked = self.linked;
        let vars = self.vars;
        let mut gateway = Gateway { child, address, admin, dir, config, vars, version, linked, stdout, stderr };
        let listens = eventually(START, || match gateway.child.try_wait().expect("a child can be waited for") {
            Some(status) => Some(Err(status)),
            // The admin API comes up a moment after the sockets of the listeners.
            None => (TcpStream::connect(address).is_ok() && (!has_admin || TcpStream::connect(admin).is_ok()))
                .then_some(Ok(())),
        });
        match listens {
            Some(Ok(())) => Ok(gateway),
            Some(Err(status)) => {
                gateway.stderr.finish();
                Err(StartError { status: Some(status), stderr: gateway.stderr() })
            }
            None => Err(StartError { status: None, stderr: gateway.stderr() }),
        }
    }
}

/// A running gateway. Dropped, it is told to stop, and killed when it does not.
pub struct Gateway {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    dir: TempDir,
    config: PathBuf,
    vars: Vec<(String, String)>,
    version: u32,
    linked: bool,
    stdout: Output,
    stderr: Output,
}

impl Gateway {
    /// Starts one from YAML text with these origins; panics when it does not listen.
    pub fn start(yaml: &str, origins: &[&Origin]) -> Self {
        origins.iter().fold(Self::builder(yaml), |builder, origin| builder.origin(origin)).start()
    }

    /// What [`Self::start`] does, with more to set.
    pub fn builder(yaml: &str) -> GatewayBuilder {
        let (vars, args, envs, files) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        GatewayBuilder { yaml: yaml.into(), vars, args, envs, files, origins: 0, linked: false }
    }

    /// Where `{listen}` is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where `{admin}` is, if the YAML uses it.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// A new connection to `{listen}`.
    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// The directory it runs in, which holds its files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory.
    pub fn rss_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the gateway runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS is there");
        line.trim().trim_end_matches(" kB").trim().parse().expect("VmRSS is a number")
    }

    /// Puts new YAML in the place of the old in one step, and returns at once: the gateway notices by itself.
    pub fn reload(&mut self, yaml: &str) {
        install(&self.config, &fill(yaml, &self.vars), self.linked, &mut self.version);
    }

    /// Adds a placeholder for [`Self::reload`].
    pub fn var(&mut self, name: &str, value: impl Into<String>) {
        self.vars.push((name.into(), value.into()));
    }

    /// Tells it to read its configuration again.
    pub fn sighup(&self) {
        self.signal(Signal::HUP);
    }

    /// Tells it to finish what it does and stop.
    pub fn sigterm(&self) {
        self.signal(Signal::TERM);
    }

    /// What a person presses Ctrl-C for.
    pub fn sigint(&self) {
        self.signal(Signal::INT);
    }

    /// Whether the binary under test was built for release, which is when its speed may be judged.
    pub fn is_release() -> bool {
        binary().components().any(|part| part.as_os_str() == "release")
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the gateway runs");
    }

    /// Waits for it to exit; panics after `limit`.
    pub fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let exited = eventually(limit, || self.child.try_wait().expect("a child can be waited for"));
        exited.unwrap_or_else(|| panic!("the gateway still runs after {limit:?}; it wrote:\n{}", self.stderr()))
    }

    /// What it has written to standard output.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // A gateway that exits between the two lines is what is wanted.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            if eventually(Duration::from_secs(1), || self.child.try_wait().ok().flatten()).is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        if thread::panicking() {
            eprint_tail("stderr", &self.stderr());
        }
    }
}

#[allow(clippy::print_stderr, reason = "the test runner shows it with the failure")]
fn eprint_tail(name: &str, text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(30)..).unwrap_or_default();
    if !tail.is_empty() {
        eprintln!("--- the gateway's {name}:\n{}\n---", tail.join("\n"));
    }
}

/// The binary under test: `TOLLGATE_BIN`, or the one beside this test's directory.
pub(crate) fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("TOLLGATE_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("a running program has a path");
    let profile = test.parent().and_then(Path::parent).expect("tests run from target/PROFILE/deps");
    profile.join("tollgate")
}

fn fill(text: &str, vars: &[(String, String)]) -> String {
    vars.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Replaces the file whole: by rename, or by swapping the directory that a symbolic link names.
fn install(config: &Path, text: &str, linked: bool, version: &mut u32) {
    let dir = config.parent().expect("the file is in a directory");
    *version += 1;
    if !linked {
        let new = dir.join(".tollgate.yaml.new");
        fs::write(&new, text).expect("a file can be written");
        fs::rename(&new, config).expect("a file can be renamed");
        return;
    }
    let name = format!("..v{version}");
    fs::create_dir(dir.join(&name)).expect("a directory can be made");
    fs::write(dir.join(&name).join("tollgate.yaml"), text).expect("a file can be written");
    let link = dir.join("..data_tmp");
    std::os::unix::fs::symlink(&name, &link).expect("a link can be made");
    fs::rename(&link, dir.join("..data")).expect("a link can be renamed");
    if !config.is_symlink() {
        std::os::unix::fs::symlink("..data/tollgate.yaml", config).expect("a link can be made");
    }
    if *version > 1 {
        let old = dir.join(format!("..v{}", *version - 1));
        fs::remove_dir_all(old).expect("the old version can be removed");
    }
}

/// A pipe's text, gathered by a thread.
struct Output {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    fn follow(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(read @ 1..) = pipe.read(&mut part) {
                into.lock().unwrap().extend_from_slice(part.get(..read).unwrap_or_default());
            }
        });
        Output { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    /// Waits for the end of the pipe, which comes with the end of the process.
    fn finish(&mut self) {
        let reader = &mut self.reader;
        eventually(PATIENCE, || reader.as_ref().is_none_or(JoinHandle::is_finished).then_some(()));
    }
}
