//! Whole or not at all: what a rejected configuration must leave as it was, whatever in it was sound.

use std::net::TcpStream;

use tollgate_testkit::{Gateway, Origin, PATIENCE, eventually, free_port};

use crate::helpers::{get, log_file, stats_when};

fn yaml(admin: &str, log: &str, path: &str) -> String {
    format!(
        "workers: 1
listeners: [{{ name: web, address: \"{{listen}}\" }}]
services: [{{ name: origin, url: \"http://{{origin}}\" }}]
routes: [{{ name: all, paths: [{path}], service: origin }}]
admin: {{ address: \"{admin}\" }}
access_log: {{ path: {log} }}
"
    )
}

/// Waits until it says that it rejected something.
fn rejected(gateway: &Gateway, times: usize) {
    let said = eventually(PATIENCE, || (gateway.stderr().matches("was rejected").count() >= times).then_some(()));
    assert!(said.is_some(), "{}", gateway.stderr());
}

/// The log cannot be opened; the admin API, which would move, must be where it was.
#[test]
fn r54_a_log_that_cannot_be_opened_leaves_the_admin_api_alone() {
    let origin = Origin::ok();
    let elsewhere = format!("127.0.0.1:{}", free_port());
    let mut gateway = Gateway::start(&yaml("{admin}", "access.log", "/"), &[&origin]);
    gateway.reload(&yaml(&elsewhere, "no/such/directory/access.log", "/new"));
    rejected(&gateway, 1);
    // It may have been bound to see that it can be.
    let closed = eventually(PATIENCE, || TcpStream::connect(&elsewhere).is_err().then_some(()));
    assert!(closed.is_some(), "the new admin listener runs though its configuration was rejected");
    assert!(
        TcpStream::connect(gateway.admin()).is_ok(),
        "the old admin listener is gone though its configuration serves"
    );
    let stats = stats_when(&gateway, "a verdict", |stats| stats["config"]["rejected"] == 1);
    assert!(stats["config"]["last_error"].as_str().is_some_and(|why| why.contains("no/such/directory")), "{stats}");
    assert_eq!(get(&gateway, "/anything").status, 200);
}

/// The admin API cannot move; the log must not have moved either.
#[test]
fn r54_an_admin_address_in_use_leaves_the_log_alone() {
    let origin = Origin::ok();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut gateway = Gateway::start(&yaml("{admin}", "access.log", "/"), &[&origin]);
    gateway.reload(&yaml(&address, "other.log", "/new"));
    rejected(&gateway, 1);
    assert_eq!(get(&gateway, "/anything").status, 200);
    log_file(&gateway.dir().join("access.log"), 1);
    assert!(!gateway.dir().join("other.log").exists());
    let stats = stats_when(&gateway, "a verdict", |stats| stats["config"]["rejected"] == 1);
    assert!(stats["config"]["last_error"].as_str().is_some_and(|why| why.contains(&address)), "{stats}");
    // The next good one is taken, and takes the error away.
    gateway.reload(&yaml("{admin}", "access.log", "/new"));
    let stats = stats_when(&gateway, "the new configuration", |stats| stats["config"]["applied"] == 2);
    assert!(stats["config"]["last_error"].is_null(), "{stats}");
    assert_eq!(get(&gateway, "/new").status, 200);
}

/// The admin API moves by a reload, and its token changes.
#[test]
fn r69_the_admin_api_moves() {
    let origin = Origin::ok();
    let elsewhere = format!("127.0.0.1:{}", free_port());
    let mut gateway = Gateway::start(&yaml("{admin}", "access.log", "/"), &[&origin]);
    gateway.reload(&yaml(&elsewhere, "access.log", "/"));
    let moved = eventually(PATIENCE, || TcpStream::connect(&elsewhere).ok());
    assert!(moved.is_some(), "{}", gateway.stderr());
    let gone = eventually(PATIENCE, || TcpStream::connect(gateway.admin()).is_err().then_some(()));
    assert!(gone.is_some(), "the old address still answers");
    let token = yaml("{admin}\", token: \"secret", "access.log", "/");
    gateway.reload(&token);
    let guarded = eventually(PATIENCE, || {
        TcpStream::connect(gateway.admin()).ok()?;
        (gateway.admin_get("/stats").status == 401).then_some(())
    });
    assert!(guarded.is_some(), "{}", gateway.stderr());
    assert_eq!(gateway.admin_get_with("/stats", "Authorization: Bearer secret\r\n").status, 200);
}

/// A file that is gone for a moment, as some editors save: the running one stays, and the next is taken.
#[test]
fn r54_a_file_that_goes_and_comes_back_is_read_again() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&yaml("{admin}", "access.log", "/old"), &[&origin]);
    std::fs::remove_file(gateway.dir().join("tollgate.yaml")).expect("it is there");
    stats_when(&gateway, "a verdict", |stats| stats["config"]["rejected"].as_u64() >= Some(1));
    assert_eq!(get(&gateway, "/old").status, 200);
    gateway.reload(&yaml("{admin}", "access.log", "/new"));
    let new = eventually(PATIENCE, || (get(&gateway, "/new").status == 200).then_some(()));
    assert!(new.is_some(), "{}", gateway.stderr());
}

/// Warnings do not reject.
#[test]
fn r54_a_configuration_with_warnings_is_taken() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&yaml("{admin}", "access.log", "/old"), &[&origin]);
    let unused = "services: [{ name: spare, url: \"http://127.0.0.1:1\" }, ";
    gateway.reload(&yaml("{admin}", "access.log", "/new").replace("services: [", unused));
    let stats = stats_when(&gateway, "a verdict", |stats| stats["config"]["applied"] == 2);
    assert_eq!(stats["config"]["rejected"], 0);
    assert!(gateway.stderr().contains("no route uses the service `spare`"), "{}", gateway.stderr());
    assert_eq!(get(&gateway, "/new").status, 200);
}

/// Routes and targets that were never served are not counted either, nor do rejections pile them up.
#[test]
fn r121_a_rejected_configuration_leaves_no_metrics() {
    let origin = Origin::ok();
    let mut gateway = Gateway::start(&yaml("{admin}", "access.log", "/"), &[&origin]);
    let before = gateway.metrics().text().lines().count();
    for turn in 1..=3 {
        let ghost = yaml("{admin}", "no/such/directory/access.log", "/new")
            .replace("name: all,", &format!("name: ghost-{turn},"))
            .replace("http://{origin}", "http://127.0.0.1:9");
        gateway.reload(&ghost);
        rejected(&gateway, turn);
    }
    let metrics = gateway.metrics();
    for ghost in ["ghost-", "127.0.0.1:9\""] {
        assert!(!metrics.text().contains(ghost), "{ghost} was never served: {}", metrics.text());
    }
    assert_eq!(metrics.text().lines().count(), before);
}
