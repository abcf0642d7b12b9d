//! What must stay secret: it is in no output, no log and no answer of the admin API.

use std::fs;

use tollgate_testkit::{Gateway, Origin, PATIENCE, Workplace, eventually};

const TOKEN: &str = "s3cr3t-adm1n-t0ken";
const VALUE: &str = "s3cr3t-valu3-of-the-environment";
const FROM_FILE: &str = "s3cr3t-from-a-f1le";

const SECRETS: [&str; 3] = [TOKEN, VALUE, FROM_FILE];

const CONFIG: &str = r#"
workers: 1
listeners: [{ name: web, address: "{listen}" }]
services: [{ name: origin, url: "http://{origin}" }]
routes:
  - name: everything
    service: origin
    plugins:
      - name: request-transformer
        config: { headers: { set: { X-Api-Key: "${env:TEST_VALUE}", X-Other: "Bearer ${file:secret.txt}" } } }
admin: { address: "{admin}", token: "${env:TEST_TOKEN}" }
access_log: { path: access.log }
"#;

fn hides(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} shows {secret}:\n{text}");
    }
}

#[test]
fn secrets_are_used_and_never_shown() {
    let origin = Origin::ok();
    let mut gateway = Gateway::builder(CONFIG)
        .origin(&origin)
        .env("TEST_VALUE", VALUE)
        .env("TEST_TOKEN", TOKEN)
        .file("secret.txt", &format!("{FROM_FILE}\n"))
        .start();
    let mut client = gateway.connect();
    client.send(format!("GET /?key={VALUE} HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"));
    assert_eq!(client.response("GET").expect("an answer").status, 200);
    let request = &origin.requests()[0];
    assert_eq!(request.fields.get("x-api-key"), Some(VALUE));
    assert_eq!(request.fields.get("x-other"), Some(&*format!("Bearer {FROM_FILE}")));

    // Not of a configuration that is rejected either, however wrong it is where the secret stands.
    let broken =
        CONFIG.replace("/?", "").replace("X-Api-Key: \"$", "\"X Api\": \"$").replace("[{ name: web,", "[{ nme: web,");
    gateway.reload(&broken);
    let rejected = eventually(PATIENCE, || gateway.stderr().contains("was rejected").then_some(()));
    assert!(rejected.is_some(), "{}", gateway.stderr());

    let authorized = format!("Authorization: Bearer {TOKEN}\r\n");
    for path in ["/config", "/stats", "/metrics", "/healthz", "/readyz", "/nowhere"] {
        let answer = gateway.admin_get_with(path, &authorized);
        hides(path, &format!("{:?}{}", answer.fields, answer.text()));
        let refused = gateway.admin_get_with(path, "Authorization: Bearer wrong\r\n");
        hides(path, &format!("{:?}{}", refused.fields, refused.text()));
    }
    let config = gateway.admin_get_with("/config", &authorized);
    assert_eq!(config.status, 200);
    let config: serde_json::Value = serde_json::from_slice(&config.body.bytes).expect("JSON");
    assert_eq!(config["listeners"][0]["name"], "web");
    gateway.sigterm();
    assert!(gateway.wait_exit(PATIENCE).success());
    hides("stdout", &gateway.stdout());
    hides("stderr", &gateway.stderr());
    let log = fs::read_to_string(gateway.dir().join("access.log")).expect("the log");
    assert!(log.contains("\"path\":\"/\""), "{log}");
    hides("the access log", &log);
}

/// Where the value of `${env:TEST_VALUE}` is a mistake, by the top-level key that holds it.
const MISTAKES: &[&str] = &[
    r#"admin: { address: "$V", token: x }"#,
    r#"workers: "$V""#,
    r#"state_dir: ["$V"]"#,
    r#"access_log: { format: "$V", sample: "$V" }"#,
    r#"access_log: { path: "$V${env:TEST_NOT_SET}" }"#,
    r#"listeners: [{ name: "$V !", address: "127.0.0.1:1" }]"#,
    r#"listeners: [{ name: a, address: "$V", trusted_proxies: ["$V"] }]"#,
    r#"listeners: [{ name: a, address: "127.0.0.1:1", protocol: "$V", limits: { max_headers: "$V", idle_timeout: "$V" } }]"#,
    r#"listeners: [{ name: "$V", address: "127.0.0.1:1" }, { name: "$V", address: "127.0.0.1:2" }]"#,
    r#"services: [{ name: orders, url: "$V" }]"#,
    r#"services: [{ name: orders, url: "http://$V:x/" }]"#,
    r#"services: [{ name: orders, targets: [{ address: "$V", weight: "$V" }] }]"#,
    r#"services: [{ name: orders, url: "http://127.0.0.1:1", load_balancing: { algorithm: "$V", hash_on: "$V" } }]"#,
    r#"services: [{ name: orders, url: "http://127.0.0.1:1", timeouts: { connect: "$V" }, keepalive: { max_idle: "$V" } }]"#,
    r#"services: [{ name: "$V" }, { name: orders, url: "http://127.0.0.1:1" }]"#,
    r#"routes: [{ name: "$V !", service: orders }]"#,
    r#"routes: [{ name: "$V" }]"#,
    r#"routes: [{ name: a, service: "$V" }]"#,
    r#"routes: [{ name: a, service: orders, listeners: ["$V"] }]"#,
    r#"routes: [{ name: a, service: orders, paths: ["$V", "~($V", "/{$V"], hosts: ["$V !"], methods: ["$V"] }]"#,
    r#"routes: [{ name: a, service: orders, headers: { X-A: ["~($V"] }, query: { a: ["~($V"] } }]"#,
    r#"routes: [{ name: a, service: orders, paths: [/a], rewrite_path: "$V" }]"#,
    r#"routes: [{ name: a, service: orders, paths: [/a], rewrite_path: "/{$V}" }]"#,
    r#"plugins: [{ name: "$V" }]"#,
    r#"plugins: [{ name: "$V !" }]"#,
    r#"plugins: [{ name: ip-restriction, config: { allow: ["$V"], deny: ["$V"] } }]"#,
    r#"plugins: [{ name: request-id, config: { header: "a $V", format: "$V" } }]"#,
    r#"plugins: [{ name: cors, config: { origins: ["$V"], methods: ["a $V"], headers: ["a $V"], exposed_headers: ["a $V"] } }]"#,
    r#"plugins: [{ name: cors, config: { origins: ["~($V"], max_age: "$V" } }]"#,
    r#"plugins: [{ name: security-headers, config: { x_frame_options: "$V", strict_transport_security: "$V" } }]"#,
    r#"plugins: [{ name: security-headers, config: { referrer_policy: "$V", x_content_type_options: "$V" } }]"#,
    r#"plugins: [{ name: redirect, config: { scheme: "$V" } }]"#,
    r#"plugins: [{ name: redirect, config: { host: "a $V", path: "$V", status: "$V" } }]"#,
    r#"plugins: [{ name: redirect, config: { host: "a $V", path: "$V" } }]"#,
    r#"plugins: [{ name: request-size-limiting, config: { max: "$V" } }]"#,
    r#"plugins: [{ name: request-transformer, config: { headers: { remove: ["a $V"], rename: { X-A: "a $V" } } } }]"#,
    r#"plugins: [{ name: request-transformer, config: { headers: { set: { X-A: "$V\r\n" } } } }]"#,
    r#"plugins: [{ name: request-transformer, config: { query: { remove: ["a $V", "a $V"], rename: { a: "", b: "$V" } } } }]"#,
    r#"plugins: [{ name: response-transformer, config: { headers: { remove: ["a $V"], add: { X-A: ["$V\n"] } } } }]"#,
    r#"plugins: [{ name: strip-headers, config: { headers: ["a $V", "*$V"] } }]"#,
    r#"plugins: [{ name: request-termination, config: { status: "$V" } }]"#,
    r#"plugins: [{ name: request-termination, config: { status: 200, body: x, content_type: "$V\n", message: "$V" } }]"#,
];

/// The other parts of a configuration are sound, so that nothing keeps a mistake from being found.
fn with_sound_rest(part: &str) -> String {
    let rest = [
        "listeners: [{ name: web, address: \"127.0.0.1:18080\" }]",
        "services: [{ name: orders, url: \"http://127.0.0.1:9001\" }]",
        "routes: [{ name: all, service: orders }]",
    ];
    let key = part.split(':').next().unwrap_or_default();
    let others = rest.iter().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n"));
    others.collect::<String>() + part + "\n"
}

#[test]
fn messages_about_what_came_from_outside_show_it_as_written() {
    let place = Workplace::new();
    let mut shown = Vec::new();
    for mistake in MISTAKES {
        let yaml = with_sound_rest(&mistake.replace("$V", "${env:TEST_VALUE}"));
        place.file("tollgate.yaml", &yaml);
        let ended = place.run(&["check", "tollgate.yaml"], &[("TEST_VALUE", VALUE)]);
        assert_eq!(ended.code, Some(1), "{yaml}\n{}", ended.stderr);
        // In whatever case it is repeated.
        let lines = ended.stderr.lines().filter(|line| line.to_ascii_lowercase().contains(VALUE));
        shown.extend(lines.map(|line| format!("{mistake}\n  {line}")));
    }
    assert!(shown.is_empty(), "{} times a value is shown:\n{}", shown.len(), shown.join("\n"));
}

/// A literal in a line that is shown for a mistake beside it, or is the mistake itself.
#[test]
fn messages_about_mistakes_blank_secrets() {
    let place = Workplace::new();
    for part in [
        format!("admin: {{ adress: x, token: {TOKEN} }}"),
        format!("admin: {{ address: \"127.0.0.1:1\", token: [{TOKEN}] }}"),
        format!("admin: {{ address: \"127.0.0.1:1\", token: {{ a: {TOKEN} }} }}"),
        format!("services: [{{ name: orders, url: \"ftp://user:{VALUE}@host\" }}]"),
        format!("services: [{{ name: orders, url: \"http://user:{VALUE}@host:1\" }}]"),
        format!("plugins: [{{ name: cors, config: {{ api_key: {VALUE} }} }}]"),
    ] {
        place.file("tollgate.yaml", with_sound_rest(&part));
        let ended = place.run(&["check", "tollgate.yaml"], &[]);
        assert_eq!(ended.code, Some(1), "{part}\n{}", ended.stderr);
        hides(&part, &ended.all());
    }
}
