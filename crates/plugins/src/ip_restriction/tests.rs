use std::fs;

use serde_json::{Value as Json, json};
use tollgate_testkit::{Field, Mmdb};

use super::*;
use crate::testing::{Exchange, Seen, link, problems};

fn from(client: &'static str, config: Json) -> Seen {
    Exchange { client, ..Exchange::default() }.run(&[link("ip-restriction", config)])
}

#[test]
fn addresses_are_let_in_or_not() {
    let both = json!({"allow": ["10.0.0.0/8", "2001:db8::/32"], "deny": ["10.6.0.0/16", "2001:db8::1"]});
    for (client, config, status) in [
        ("10.1.2.3", both.clone(), 200),
        ("10.6.2.3", both.clone(), 403),
        ("11.0.0.1", both.clone(), 403),
        ("2001:db8::2", both.clone(), 200),
        ("2001:db8::1", both.clone(), 403),
        ("::ffff:10.1.2.3", both.clone(), 200),
        ("::ffff:10.6.2.3", both, 403),
        ("11.0.0.1", json!({"deny": ["10.0.0.0/8"]}), 200),
        ("10.0.0.1", json!({"deny": ["10.0.0.0/8"]}), 403),
        ("10.0.0.1", json!({"deny": ["::ffff:10.0.0.0/104"]}), 403),
        ("11.0.0.1", json!({"deny": ["::ffff:10.0.0.0/104"]}), 200),
        ("10.0.0.1", json!({"deny": ["::/0"]}), 200),
        ("::ffff:10.0.0.1", json!({"deny": ["::/0"]}), 200),
        ("ffff::1", json!({"deny": ["::/0"]}), 403),
        ("255.255.255.255", json!({"allow": ["0.0.0.0/0"]}), 200),
        ("ffff::1", json!({"allow": ["0.0.0.0/0"]}), 403),
    ] {
        let seen = from(client, config.clone());
        assert_eq!(seen.status(), status, "{client} with {config}");
        assert_eq!(seen.request.is_some(), status == 200, "{client} with {config}");
    }
}

#[test]
fn the_refusal_says_who_and_why() {
    let seen = from("10.0.0.1", json!({"deny": ["10.0.0.1"]}));
    assert_eq!(seen.answered_by, Some("ip-restriction"));
    let body: Json = serde_json::from_str(seen.text()).unwrap();
    assert_eq!(body["type"], "https://tollgate.dev/problems/forbidden");
    assert_eq!(body["request_id"].as_str().map(str::len), Some(36), "though request-id runs later");
    assert!(!seen.text().contains("10.0.0.1"));
}

/// A directory with databases of both kinds, and a config's way to name them.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        let within = |country, code| Field::Map(vec![(country, Field::Map(vec![("iso_code", Field::Text(code))]))]);
        let countries = Mmdb::countries(&[("10.0.0.0/8", "DE"), ("10.6.0.0/16", "KP"), ("2001:db8::/32", "AT")])
            .network("11.0.0.0/8", within("registered_country", "DE".into()))
            .network("12.0.0.0/8", within("continent", "EU".into()))
            .network("13.0.0.0/8", within("country", "Germany".into()));
        place.put("country.mmdb", &countries);
        place.put("asn.mmdb", &Mmdb::asns(&[("10.1.0.0/16", 64496), ("10.6.1.0/24", 64497), ("20.0.0.0/8", u32::MAX)]));
        place
    }

    fn put(&self, name: &str, database: &Mmdb) {
        fs::write(self.path(name), database.bytes()).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// A config with both databases.
    fn config(&self, mut lists: Json) -> Json {
        lists["database"] = json!({"country": self.path("country.mmdb"), "asn": self.path("asn.mmdb")});
        lists
    }
}

#[test]
fn r21_r22_countries_and_systems_are_let_in_or_not() {
    let place = Place::new();
    for (lists, passes, refused) in [
        // Deny only: what is not known passes.
        (
            json!({"deny_countries": ["kp"]}),
            &["10.1.1.1", "11.0.0.1", "12.0.0.1", "13.0.0.1", "192.0.2.1", "2001:db8::1", "ffff::1"][..],
            &["10.6.1.1", "::ffff:10.6.1.1"][..],
        ),
        // Allow: what is not known does not.
        (
            json!({"allow_countries": ["DE", "at"]}),
            &["10.1.1.1", "11.0.0.1", "2001:db8::1", "::ffff:10.1.1.1"],
            &["10.6.1.1", "12.0.0.1", "13.0.0.1", "192.0.2.1", "ffff::1"],
        ),
        (json!({"deny_asns": [64496, "AS4294967295"]}), &["10.6.1.1", "192.0.2.1"], &["10.1.0.1", "20.1.1.1"]),
        (json!({"allow_asns": ["as64497"]}), &["10.6.1.1"], &["10.1.1.1", "10.6.2.1", "192.0.2.1"]),
        // Any list that allows is enough, any that denies too much.
        (
            json!({"allow": ["192.0.2.1"], "allow_countries": ["AT"], "allow_asns": [64496, 64497], "deny_countries": ["KP"]}),
            &["192.0.2.1", "2001:db8::1", "10.1.1.1"],
            &["192.0.2.2", "10.6.1.1", "10.2.1.1"],
        ),
        (
            json!({"allow": ["10.0.0.0/8"], "deny": ["10.1.1.1"], "deny_asns": [64497], "allow_countries": ["KP"]}),
            &["10.1.1.2", "10.6.2.1"],
            &["10.1.1.1", "10.6.1.1", "11.0.0.1"],
        ),
    ] {
        let links = [link("ip-restriction", place.config(lists.clone()))];
        for (clients, status) in [(passes, 200), (refused, 403)] {
            for client in clients {
                let seen = Exchange { client, ..Exchange::default() }.run(&links);
                assert_eq!(seen.status(), status, "{client} with {lists}");
            }
        }
    }
}

#[test]
fn other_makes_of_databases_are_read() {
    let place = Place::new();
    let record = Field::Map(vec![
        ("country", Field::Map(vec![("iso_code", Field::Text("KP".into()))])),
        ("traits", Field::Map(vec![("autonomous_system_number", Field::Number(64496))])),
    ]);
    place.put("all.mmdb", &Mmdb::new("GeoIP2-Enterprise").network("10.0.0.0/8", record.clone()));
    place.put("v4.mmdb", &Mmdb::new("DBIP-City-Lite").only_v4().network("10.0.0.0/8", record));
    let all = place.path("all.mmdb");
    let by_asn = json!({"deny_asns": [64496], "database": {"asn": all}});
    let by_country = json!({"deny_countries": ["KP"], "database": {"country": all}});
    let v4 = json!({"deny_countries": ["KP"], "database": {"country": place.path("v4.mmdb")}});
    for config in [by_asn, by_country, v4] {
        assert_eq!(from("10.0.0.1", config.clone()).status(), 403, "{config}");
        assert_eq!(from("11.0.0.1", config.clone()).status(), 200, "{config}");
        assert_eq!(from("2001:db8::1", config.clone()).status(), 200, "{config}: IPv6 is not known");
    }
}

#[test]
fn a_database_is_read_once_for_all_until_it_changes() {
    let place = Place::new();
    let file = place.path("country.mmdb");
    let open = || Database::open::<Country>(file.as_ref()).unwrap();
    let (one, two) = (open(), open());
    assert!(Arc::ptr_eq(&one, &two));
    let denies = place.config(json!({"deny_countries": ["KP"]}));
    let before = link("ip-restriction", denies.clone());
    place.put("new.mmdb", &Mmdb::countries(&[("10.1.0.0/16", "KP")]));
    fs::rename(place.path("new.mmdb"), &file).unwrap();
    assert!(!Arc::ptr_eq(&one, &open()));
    let status = |link| Exchange { client: "10.1.1.1", ..Exchange::default() }.run(&[link]).status();
    assert_eq!(status(before), 200, "a config keeps what it was compiled with");
    assert_eq!(status(link("ip-restriction", denies)), 403);
}

#[test]
fn the_files_that_a_config_names_are_known() {
    let files = |config: Json| crate::testing::files("ip-restriction", &config);
    let both = json!({"database": {"country": "c.mmdb", "asn": "a.mmdb"}});
    assert_eq!(files(both), ["c.mmdb", "a.mmdb"].map(PathBuf::from));
    assert!(files(json!({"deny": ["10.0.0.1"]})).is_empty());
    assert!(files(json!({"deny": [1], "database": {"asn": "a.mmdb"}})).is_empty(), "it must change first");
}

#[test]
fn what_is_wrong_is_said() {
    assert_eq!(
        problems("ip-restriction", json!({})),
        ["at least one entry is needed in an `allow` or `deny` list \
             (to refuse everyone, write `deny: [0.0.0.0/0, \"::/0\"]`)"]
    );
    assert_eq!(problems("ip-restriction", json!({"alow": ["10.0.0.0/8"]})).len(), 1);
    let all = problems("ip-restriction", json!({"allow": ["10.0.0.1/8", "x"]}));
    assert_eq!(all.len(), 2, "both at once: {all:?}");
    let all = problems("ip-restriction", json!({"deny_countries": ["KOR", "UK"], "allow_asns": [0, "AS"]}));
    assert_eq!(all.len(), 4, "all at once: {all:?}");
}

#[test]
fn a_database_that_is_of_no_use_is_said_with_its_file() {
    let place = Place::new();
    let whole = Mmdb::countries(&[("10.0.0.0/8", "DE")]).bytes();
    fs::write(place.path("short.mmdb"), &whole[..whole.len() / 2]).unwrap();
    fs::write(place.path("text.mmdb"), "not a database").unwrap();
    let mut damaged = whole.clone();
    // A record that leads far beyond the data.
    damaged[0..3].fill(0xfe);
    fs::write(place.path("damaged.mmdb"), damaged).unwrap();
    for (name, message, help) in [
        ("short.mmdb", "is no whole database", "fetch it anew"),
        ("text.mmdb", "is no whole database", "fetch it anew"),
        ("damaged.mmdb", "is no whole database", "fetch it anew"),
        ("nowhere.mmdb", "can't be read: No such file", "a relative path starts where the process runs"),
        (".", "can't be read: it is no file", ".mmdb"),
        ("asn.mmdb", "is a database of the type `GeoLite2-ASN`, which knows no countries", "GeoLite2-Country"),
    ] {
        let file = place.path(name);
        let config = json!({"deny_countries": ["KP"], "database": {"country": file}});
        let found = crate::testing::found("ip-restriction", &config);
        let [problem] = &found[..] else { panic!("{name}: {found:?}") };
        assert_eq!(problem.path, "config.database.country");
        assert!(problem.message.contains(&file) && problem.message.contains(message), "{problem}");
        assert!(problem.help.as_ref().is_some_and(|text| text.contains(help)), "{problem}");
    }
    let swapped = json!({"country": place.path("asn.mmdb"), "asn": place.path("country.mmdb")});
    let both = json!({"deny_countries": ["KP"], "allow_asns": [1], "database": swapped});
    assert_eq!(problems("ip-restriction", both).len(), 2, "both at once");
}

#[test]
fn lists_need_their_database() {
    let place = Place::new();
    for (list, entry, of, key, other) in [
        ("allow_countries", json!("DE"), "countries", "country", "asn"),
        ("deny_countries", json!("KP"), "countries", "country", "asn"),
        ("allow_asns", json!(1), "autonomous systems", "asn", "country"),
        ("deny_asns", json!(1), "autonomous systems", "asn", "country"),
    ] {
        let config = json!({list: [entry], "database": {other: place.path(&format!("{other}.mmdb"))}});
        let found = crate::testing::found("ip-restriction", &config);
        let [problem] = &found[..] else { panic!("{list}: {found:?}") };
        assert_eq!(problem.path, format!("config.{list}"));
        assert_eq!(problem.message, format!("`{list}` needs a database of {of}"));
        assert!(problem.help.as_ref().is_some_and(|help| help.contains(&format!("{key}: FILE.mmdb"))), "{problem}");
    }
    // One that no list needs is not opened.
    let unused = json!({"deny": ["10.0.0.1"], "database": {"country": place.path("nowhere.mmdb")}});
    assert_eq!(from("10.0.0.2", unused).status(), 200);
}
