use super::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_core::metrics::Series;

use crate::service::balance::{Algorithm, Balancer, TargetLoad};
use crate::service::{Keepalive, Target, TargetAddress, Timeouts};

fn service(base: &str) -> Service {
    let target = Target {
        id: 1,
        address: TargetAddress::Name("orders.internal".into(), 9001),
        authority: "orders.internal:9001".into(),
        send_proxy: None,
        tls: None,
        label: "orders.internal:9001".into(),
        series: Arc::new(Series::new(1)),
        load: TargetLoad::new(Instant::now()),
    };
    let second = Duration::from_secs(1);
    Service {
        name: "orders".into(),
        targets: vec![Arc::new(target)],
        balancer: Balancer::new(Algorithm::RoundRobin, &[]),
        tracks_load: false,
        hash_on: None,
        base_path: base.into(),
        timeouts: Timeouts { connect: second, first_byte: second, idle: second, total: second, tunnel: second },
        keepalive: Keepalive { max_idle: 1, idle_timeout: second },
        retries: 1,
        first_pool: 0,
        http2: false,
    }
}

fn rewritten(base: &str, stripped: Option<&str>, name: &str, value: &str) -> String {
    let mut headers = Headers::new();
    headers.add(name, value);
    let service = service(base);
    answer(&mut headers, &Outside { scheme: Scheme::Https, authority: "api.example.com", service: &service, stripped });
    headers.get_str(name).unwrap().to_owned()
}

#[test]
fn r2_redirects_to_a_target_lead_to_the_gateway() {
    let location = |base, stripped, value| rewritten(base, stripped, "Location", value);
    for (base, stripped, value, expected) in [
        ("", "", "http://orders.internal:9001/x?y", "https://api.example.com/x?y"),
        ("", "", "http://ORDERS.internal:9001", "https://api.example.com"),
        ("", "", "//orders.internal:9001/x", "https://api.example.com/x"),
        ("", "", "http://elsewhere.example/x", "http://elsewhere.example/x"),
        ("", "", "http://orders.internal/x", "http://orders.internal/x"),
        ("", "", "/x", "/x"),
        ("", "", "x/y", "x/y"),
        ("/base", "", "http://orders.internal:9001/base/x", "https://api.example.com/x"),
        ("/base", "", "/base", "/"),
        ("/base", "", "/basement", "/basement"),
        ("", "/v1", "/login", "/v1/login"),
        ("/base", "/v1", "/base/x", "/v1/x"),
    ] {
        assert_eq!(location(base, Some(stripped), value), expected, "{base} {stripped} {value}");
    }
    assert_eq!(location("/base", None, "/base/x"), "/base/x");
    assert_eq!(
        rewritten("", Some(""), "Refresh", "5; url=http://orders.internal:9001/a"),
        "5; url=https://api.example.com/a"
    );
}

#[test]
fn r2_cookies_are_for_the_gateway() {
    let cookie = |value| rewritten("/base", Some(""), "Set-Cookie", value);
    assert_eq!(cookie("a=b; Domain=orders.internal; Path=/base/x; Secure"), "a=b; Path=/x; Secure");
    assert_eq!(cookie("domain=b; HttpOnly"), "domain=b; HttpOnly");
    assert_eq!(cookie("a=b; Domain=example.com"), "a=b; Domain=example.com");
}
