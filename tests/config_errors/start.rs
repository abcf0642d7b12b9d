//! What only the start can find out, warnings, and the example of a policy per route.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;

use tollgate_testkit::{Workplace, closed_port, free_port};

/// A sound file for a listener's address, with more behind it.
fn sound(address: &str, more: &str) -> String {
    format!(
        "listeners: [{{ name: web, address: \"{address}\" }}]\n\
         services: [{{ name: orders, url: \"http://127.0.0.1:{}\" }}]\n\
         routes: [{{ name: everything, service: orders }}]\n{more}",
        closed_port()
    )
}

fn local() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// Runs it and gives what it says as it refuses to.
fn refuses(yaml: &str) -> String {
    let place = Workplace::new();
    place.file("tollgate.yaml", yaml);
    let ran = place.run(&["run"], &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    ran.stderr
}

#[test]
fn an_address_in_use_stops_the_start_and_says_what_to_do() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let said = refuses(&sound(&address, ""));
    assert!(said.contains(&address) && said.contains("choose another port"), "{said}");
    let said = refuses(&sound(&local(), &format!("admin: {{ address: \"{address}\" }}")));
    assert!(said.contains(&address) && said.contains("choose another port") && said.contains("admin"), "{said}");
}

#[test]
fn an_address_of_another_machine_stops_the_start() {
    // TEST-NET-1 of RFC 5737 belongs to nobody.
    let said = refuses(&sound("192.0.2.1:8080", ""));
    assert!(said.contains("192.0.2.1:8080") && said.contains("no interface of this machine"), "{said}");
}

#[test]
fn a_log_that_cannot_be_opened_stops_the_start() {
    let said = refuses(&sound(&local(), "access_log: { path: no/such/directory/access.log }"));
    assert!(said.contains("no/such/directory/access.log"), "{said}");
}

#[test]
fn a_socket_in_a_directory_that_is_missing_stops_the_start() {
    let said = refuses(&sound("unix:no/such/directory/tollgate.sock", ""));
    assert!(said.contains("no/such/directory/tollgate.sock"), "{said}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let place = Workplace::new();
    for args in [["check", "missing.yaml"].as_slice(), &["run", "-c", "missing.yaml"]] {
        let ended = place.run(args, &[]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
        assert!(ended.stderr.contains("missing.yaml") && ended.stderr.contains("can't be read"), "{}", ended.stderr);
    }
    // A directory is none either.
    let ended = place.run(&["check", "."], &[]);
    assert!(ended.code == Some(1) && ended.stderr.contains("can't be read"), "{}", ended.stderr);
    place.file("secret.yaml", sound(&local(), ""));
    fs::set_permissions(place.path().join("secret.yaml"), fs::Permissions::from_mode(0o000)).expect("it is ours");
    if fs::read(place.path().join("secret.yaml")).is_err() {
        let ended = place.run(&["check", "secret.yaml"], &[]);
        assert!(ended.code == Some(1) && ended.stderr.contains("secret.yaml"), "{}", ended.stderr);
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let place = Workplace::new();
    for (bytes, says) in [(&b"listeners: []\n# \xff\n"[..], "line 2"), (b"\xff\xfel\0", "UTF-16"), (b"", "is empty")] {
        place.file("tollgate.yaml", bytes);
        let ended = place.run(&["check", "tollgate.yaml"], &[]);
        assert!(ended.code == Some(1) && ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
}

#[test]
fn aliases_that_multiply_are_refused_in_time() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{},", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{before}]\n");
    }
    let place = Workplace::new();
    place.file("tollgate.yaml", bomb);
    let started = std::time::Instant::now();
    let ended = place.run(&["check", "tollgate.yaml"], &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn each_of_several_files_is_checked() {
    let place = Workplace::new();
    place.file("good.yaml", sound(&local(), "")).file("bad.yaml", "nonsense: 1").file("worse.yaml", "a: [");
    let ended = place.run(&["check", "bad.yaml", "good.yaml", "worse.yaml"], &[]);
    assert_eq!(ended.code, Some(1));
    for part in ["bad.yaml:1:1", "good.yaml can be used", "worse.yaml cannot be used"] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert_eq!(place.run(&["check", "good.yaml"], &[]).code, Some(0));
}

#[test]
fn warnings_are_told_and_exit_0() {
    let place = Workplace::new();
    let unused =
        "services: [{ name: orders, url: \"http://127.0.0.1:1\" }, { name: spare, url: \"http://127.0.0.1:2\" }]";
    let shadowed = "routes: [{ name: a, service: orders }, { name: b, service: orders }]";
    let idle = "services: [{ name: orders, url: \"http://127.0.0.1:1\", load_balancing: { hash_on: ip } }]";
    let listener = "listeners: [{ name: web, address: \"127.0.0.1:1\" }]";
    let route = "routes: [{ name: a, service: orders }]";
    let services = "services: [{ name: orders, url: \"http://127.0.0.1:1\" }]";
    for (parts, says) in [
        ([unused, route], "no route uses the service `spare`"),
        ([services, shadowed], "the route `b` never gets a request"),
        ([idle, route], "`hash_on` does nothing"),
    ] {
        place.file("tollgate.yaml", [listener, parts[0], parts[1]].join("\n"));
        let ended = place.run(&["check", "tollgate.yaml"], &[]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
        for part in ["warning:", says, " tollgate.yaml:", "1 warning"] {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
    }
}

#[test]
fn r51_r52_r53_the_policy_per_route_reads_but_for_what_is_not_built() {
    let policy = "\
routes:
  - name: list-orders
    paths: ['/v1/orders']
    methods: ['GET']
    service: orders
    plugins:
      - name: jwt
        config:
          key_claim_name: kid
      - name: rate-limiting
        config:
          minute: 60
          policy: redis
      - name: response-cache
        config:
          ttl: 30
";
    let place = Workplace::new();
    let around = "listeners: [{ name: web, address: \"127.0.0.1:1\" }]\n\
                  services: [{ name: orders, url: \"http://127.0.0.1:2\" }]\n";
    place.file("tollgate.yaml", [around, policy].concat());
    let ended = place.run(&["check", "tollgate.yaml"], &[]);
    let said: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("error:")).collect();
    let expected = ["jwt", "rate-limiting", "response-cache"];
    assert_eq!(said.len(), expected.len(), "{}", ended.stderr);
    for (line, plugin) in said.iter().zip(expected) {
        assert!(line.contains(&format!("`{plugin}`")) && line.contains("not built yet"), "{line}");
    }
    assert_eq!(ended.code, Some(1), "never silence");
    assert!(!ended.stderr.contains("did you mean"), "they are no slips: {}", ended.stderr);
}

#[test]
fn workers_by_the_environment_are_checked() {
    let place = Workplace::new();
    place.file("tollgate.yaml", sound(&local(), ""));
    for workers in ["0", "many", "-1", "1025", "1.5", ""] {
        let ran = place.run(&["run"], &[("TOLLGATE_WORKERS", workers)]);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        for part in ["TOLLGATE_WORKERS", &format!("`{workers}`"), "from 1 to 1024"] {
            assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
        }
    }
}
