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

/// A literal in a line that is shown for a mistake beside it, and a value at fault itself.
#[test]
fn messages_about_mistakes_blank_secrets() {
    let place = Workplace::new();
    for yaml in [
        format!("admin: {{ adress: x, token: {TOKEN} }}"),
        format!("admin: {{ address: \"127.0.0.1:1\", token: [{TOKEN}] }}"),
        format!("admin: {{ address: \"127.0.0.1:1\", token: {{ a: {TOKEN} }} }}"),
        "admin: { address: \"${env:TEST_VALUE}\", token: x }".to_owned(),
        "workers: \"${env:TEST_VALUE}\"".to_owned(),
        "routes: [{ name: \"${env:TEST_VALUE} \", service: \"${env:TEST_VALUE}\" }]".to_owned(),
        "listeners: [{ name: a, address: \"${env:TEST_VALUE}\", trusted_proxies: [\"${env:TEST_VALUE}\"] }]".to_owned(),
        "listeners: [{ name: a, address: \"1.1.1.1:1\", limits: { max_headers: \"${env:TEST_VALUE}\" } }]".to_owned(),
        "services: [{ name: a, url: \"${env:TEST_VALUE}\" }]".to_owned(),
        "services: [{ name: a, targets: [{ address: \"${env:TEST_VALUE}\" }] }]".to_owned(),
        format!("services: [{{ name: a, url: \"ftp://user:{VALUE}@host\" }}]"),
        format!("services: [{{ name: a, url: \"http://user:{VALUE}@host:1\" }}]"),
        "plugins: [{ name: \"${env:TEST_VALUE}\" }]".to_owned(),
        "plugins: [{ name: request-termination, config: { status: \"${env:TEST_VALUE}\" } }]".to_owned(),
        "plugins: [{ name: ip-restriction, config: { deny: [\"${env:TEST_VALUE}\"] } }]".to_owned(),
        "plugins: [{ name: redirect, config: { host: \"a ${env:TEST_VALUE}\", path: \"${env:TEST_VALUE}\" } }]"
            .to_owned(),
        "plugins: [{ name: cors, config: { origins: [\"${env:TEST_VALUE}\"] } }]".to_owned(),
        "plugins: [{ name: request-transformer, config: { headers: { remove: [\"a ${env:TEST_VALUE}\"] } } }]"
            .to_owned(),
        "plugins: [{ name: security-headers, config: { x_frame_options: \"${env:TEST_VALUE}\" } }]".to_owned(),
        "plugins: [{ name: request-size-limiting, config: { max: \"${env:TEST_VALUE}\" } }]".to_owned(),
        "plugins: [{ name: request-id, config: { header: \"a ${env:TEST_VALUE}\" } }]".to_owned(),
        "access_log: { format: \"${env:TEST_VALUE}\", sample: \"${env:TEST_VALUE}\" }".to_owned(),
        "access_log: { path: \"${env:TEST_VALUE}${env:TEST_NOT_SET}\" }".to_owned(),
    ] {
        place.file("tollgate.yaml", &yaml);
        let ended = place.run(&["check", "tollgate.yaml"], &[("TEST_VALUE", VALUE)]);
        assert_eq!(ended.code, Some(1), "{yaml}\n{}", ended.stderr);
        hides(&yaml, &ended.all());
    }
}
