//! ip-restriction by country and by autonomous system, with databases that are replaced while they are in use.

use std::fs;
use std::os::unix::fs::symlink;

use tollgate_testkit::{Client, Gateway, Mmdb, Origin, PATIENCE, Workplace, eventually};

use super::plugins_yaml;
use crate::helpers::{ask, problem, stats_when};

const COUNTRIES: [(&str, &str); 3] = [("203.0.113.0/24", "DE"), ("198.51.100.0/24", "KP"), ("2001:db8::/32", "AT")];
const ASNS: [(&str, u32); 2] = [("203.0.113.64/26", 64496), ("192.0.2.0/24", 64497)];

/// A directory with both databases, `{geo}` in YAML.
fn databases() -> Workplace {
    let place = Workplace::new();
    place.file("country.mmdb", Mmdb::countries(&COUNTRIES).bytes()).file("asn.mmdb", Mmdb::asns(&ASNS).bytes());
    place
}

fn yaml(lists: &str) -> String {
    let database = "database: { country: \"{geo}/country.mmdb\", asn: \"{geo}/asn.mmdb\" }";
    let admin = "admin: { address: \"{admin}\" }\n";
    plugins_yaml(&format!("{{ name: ip-restriction, config: {{ {lists}, {database} }} }}")) + admin
}

fn start(yaml: &str, place: &Workplace, origin: &Origin) -> Gateway {
    Gateway::builder(yaml).origin(origin).var("geo", place.path().display().to_string()).start()
}

/// Puts a file in its place in one step.
fn replace(place: &Workplace, name: &str, content: impl AsRef<[u8]>) {
    place.file("new", content);
    fs::rename(place.path().join("new"), place.path().join(name)).unwrap();
}

/// The status that a client from this address gets.
fn status(client: &mut Client, address: &str) -> u16 {
    ask(client, "GET /", &format!("X-Forwarded-For: {address}\r\n")).status
}

/// Waits until a client from this address gets this status, on a connection that goes on all the time.
fn until(gateway: &Gateway, client: &mut Client, address: &str, wanted: u16) {
    let found = eventually(PATIENCE, || (status(client, address) == wanted).then_some(()));
    found.unwrap_or_else(|| panic!("{address} never got {wanted}; the gateway wrote:\n{}", gateway.stderr()));
}

#[test]
fn r21_r22_countries_and_systems_are_allowed_and_denied() {
    let (origin, place) = (Origin::ok(), databases());
    for (lists, passing, refused) in [
        (
            "deny_countries: [kp], deny_asns: [AS64496]",
            &["203.0.113.7", "192.0.2.1", "2001:db8::1", "10.0.0.1", "ffff::1"][..],
            &["198.51.100.1", "203.0.113.70", "::ffff:198.51.100.1"][..],
        ),
        (
            "allow_countries: [DE, AT], deny_asns: [64496]",
            &["203.0.113.7", "2001:db8::1"],
            &["203.0.113.70", "198.51.100.1", "192.0.2.1", "10.0.0.1", "ffff::1"],
        ),
        (
            "allow: [10.0.0.0/8], allow_countries: [KP], allow_asns: [64497], deny: [198.51.100.9]",
            &["10.0.0.1", "198.51.100.1", "192.0.2.1"],
            &["198.51.100.9", "203.0.113.7", "2001:db8::1"],
        ),
    ] {
        let gateway = start(&yaml(lists), &place, &origin);
        let mut client = gateway.connect();
        let before = origin.requests().len();
        for address in passing {
            assert_eq!(status(&mut client, address), 200, "{address} with {lists}");
        }
        for address in refused {
            let answer = ask(&mut client, "GET /", &format!("X-Forwarded-For: {address}\r\n"));
            assert_eq!(answer.status, 403, "{address} with {lists}");
            assert_eq!(problem(&answer)["type"], "https://tollgate.dev/problems/forbidden");
            assert!(!answer.text().contains("KP") && !answer.text().contains("6449"), "{}", answer.text());
        }
        assert_eq!(origin.requests().len() - before, passing.len(), "a refusal never reaches the service");
    }
}

#[test]
fn r22_a_replaced_database_is_used_and_a_broken_one_is_not() {
    let (origin, place) = (Origin::ok(), databases());
    let gateway = start(&yaml("deny_countries: [KP]"), &place, &origin);
    let mut client = gateway.connect();
    assert_eq!(status(&mut client, "203.0.113.7"), 200);
    replace(&place, "country.mmdb", Mmdb::countries(&[("203.0.113.0/24", "KP")]).bytes());
    until(&gateway, &mut client, "203.0.113.7", 403);
    assert_eq!(status(&mut client, "198.51.100.1"), 200);

    let whole = Mmdb::countries(&COUNTRIES).bytes();
    let broken: [&[u8]; 3] = [&whole[..whole.len() - 40], b"", &Mmdb::asns(&ASNS).bytes()];
    for (turn, content) in broken.iter().enumerate() {
        replace(&place, "country.mmdb", content);
        let failures = "tollgate_config_reload_failures_total";
        gateway.metrics_when("the failure", |metrics| metrics.get(failures) == Some(turn as u64 + 1));
        assert_eq!(status(&mut client, "203.0.113.7"), 403, "the last good one stays");
        assert_eq!(status(&mut client, "198.51.100.1"), 200);
    }
    let said = gateway.stderr();
    assert!(said.contains("is no whole database in MaxMind's format"), "{said}");
    assert!(said.contains("country.mmdb` is a database of the type `GeoLite2-ASN`"), "{said}");
    assert!(said.contains("the running one stays"), "{said}");
    stats_when(&gateway, "the error", |stats| stats.to_string().contains("country.mmdb"));

    // Written where it stands, a good one is taken again.
    place.file("country.mmdb", &whole);
    until(&gateway, &mut client, "203.0.113.7", 200);
    assert_eq!(status(&mut client, "198.51.100.1"), 403);
    stats_when(&gateway, "the end of the error", |stats| !stats.to_string().contains("country.mmdb"));
}

#[test]
fn r22_a_database_behind_a_swapped_link_is_read_again() {
    let (origin, place) = (Origin::ok(), Workplace::new());
    for (version, code) in [("v1", "DE"), ("v2", "KP")] {
        fs::create_dir(place.path().join(version)).unwrap();
        place.file(&format!("{version}/country.mmdb"), Mmdb::countries(&[("203.0.113.0/24", code)]).bytes());
    }
    symlink("v1", place.path().join("data")).unwrap();
    symlink("data/country.mmdb", place.path().join("country.mmdb")).unwrap();
    let gateway = start(&yaml("deny_countries: [KP]"), &place, &origin);
    let mut client = gateway.connect();
    assert_eq!(status(&mut client, "203.0.113.7"), 200);
    symlink("v2", place.path().join("next")).unwrap();
    fs::rename(place.path().join("next"), place.path().join("data")).unwrap();
    until(&gateway, &mut client, "203.0.113.7", 403);
}

#[test]
fn r22_a_config_waits_for_the_database_that_it_lacks() {
    let (origin, place) = (Origin::ok(), databases());
    let mut gateway = start(&yaml("deny_asns: [64497]"), &place, &origin);
    fs::remove_file(place.path().join("country.mmdb")).unwrap();
    let mut client = gateway.connect();
    assert_eq!(status(&mut client, "192.0.2.1"), 403);
    assert_eq!(status(&mut client, "198.51.100.1"), 200, "a file that no list needs may go");
    gateway.reload(&yaml("deny_countries: [KP]"));
    let refused = || gateway.stderr().contains("country.mmdb` can't be read: No such file").then_some(());
    eventually(PATIENCE, refused).unwrap_or_else(|| panic!("{}", gateway.stderr()));
    assert_eq!(status(&mut client, "192.0.2.1"), 403, "the running config stays");
    replace(&place, "country.mmdb", Mmdb::countries(&COUNTRIES).bytes());
    until(&gateway, &mut client, "198.51.100.1", 403);
    assert_eq!(status(&mut client, "192.0.2.1"), 200);
}

#[test]
fn r22_a_relative_path_starts_where_the_process_runs() {
    let place = databases();
    fs::create_dir(place.path().join("etc")).unwrap();
    for (database, code, says) in [("country.mmdb", 0, "no problems"), ("etc/country.mmdb", 1, "can't be read")] {
        let plugin = "{ name: ip-restriction, config: { deny_countries: [KP], database: { country: DB } } }";
        let yaml = plugins_yaml(&plugin.replace("DB", database))
            .replace("{listen}", "127.0.0.1:18080")
            .replace("{origin}", "127.0.0.1:9001");
        place.file("etc/tollgate.yaml", yaml);
        let checked = place.run(&["check", "etc/tollgate.yaml"], &[]);
        assert_eq!(checked.code, Some(code), "{}", checked.stderr);
        assert!(checked.stderr.contains(says), "{}", checked.stderr);
    }
}
