//! `tollgate demo`, as a person or a script runs it.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tollgate_testkit::{Client, eventually, free_port};

/// How long the demo may take to start, to make its round, or to end.
const LONG: Duration = Duration::from_secs(20);

fn tollgate(args: &[&str]) -> Command {
    let binary = std::env::var_os("TOLLGATE_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_tollgate").into());
    let mut command = Command::new(binary);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(args: &[&str]) -> (Output, String, String) {
    let output = tollgate(args).output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    (output, stdout, stderr)
}

/// A demo that serves, killed when the test ends early.
struct Demo(Child);

impl Demo {
    fn wait(&mut self) -> ExitStatus {
        eventually(LONG, || self.0.try_wait().expect("a child can be waited for")).expect("the demo ends")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has mostly ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn its_own_round_is_as_expected() {
    let (output, stdout, stderr) = run(&["demo", "--once", "--port", "0"]);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(!stdout.contains("FAILED"), "{stdout}");
    assert!(!stdout.contains('\u{1b}'), "colours without a terminal: {stdout}");
    let good = stdout.lines().filter(|line| line.starts_with("OK ")).count();
    assert!(good >= 20, "{stdout}");
    assert!(stdout.contains(&format!("\n{good} of {good} as expected")), "{stdout}");
    // A command for each request.
    assert_eq!(stdout.lines().filter(|line| line.contains("curl -i")).count(), good, "{stdout}");
    assert!(!stderr.contains("error") && !stderr.contains("warning"), "{stderr}");
}

#[test]
fn a_taken_port_is_an_error_that_says_what_to_do() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let (output, stdout, stderr) = run(&["demo", "--once", "--port", &port.to_string()]);
    assert_eq!(output.status.code(), Some(1), "{stdout}\n{stderr}");
    assert!(stderr.contains(&format!("port {port} of 127.0.0.1 is taken")), "{stderr}");
    assert!(stderr.contains("--port"), "{stderr}");
    assert_eq!(stdout, "");
}

#[test]
fn it_serves_until_it_is_told_to_end() {
    let port = free_port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut demo = Demo(tollgate(&["demo", "--port", &port.to_string()]).spawn().expect("the binary runs"));
    eventually(LONG, || TcpStream::connect(address).ok()).expect("it listens");
    let answer = Client::connect(address).get("/v1/users/2").expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"id":2,"name":"Grace"}"#));
    kill_process(Pid::from_child(&demo.0), Signal::TERM).expect("it runs");
    let mut stderr = demo.0.stderr.take().expect("piped");
    let mut stdout = demo.0.stdout.take().expect("piped");
    assert!(demo.wait().success());
    let mut text = String::new();
    stdout.read_to_string(&mut text).expect("text");
    assert!(text.contains(&format!("http://{address}")), "{text}");
    text.clear();
    stderr.read_to_string(&mut text).expect("text");
    assert!(text.contains("draining"), "{text}");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn its_config_is_an_example_without_a_problem() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/demo.yaml");
    let (output, _, stderr) = run(&["check", path]);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("no problems"), "{stderr}");
}
