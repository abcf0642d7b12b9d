//! The requests that show what the gateway does, and what must come of them.

/// Whom a request goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum To {
    Gateway,
    /// The service `orders` itself, past the gateway.
    Orders,
    Admin,
}

/// The content of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    Text(&'static str),
    /// So many bytes, all zero.
    Zeros(usize),
}

/// Something that must be true of an answer, or of the answers to a request that is made several times.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Check {
    /// It has this header, and in it this text, where `{gateway}` and `{orders}` stand for their addresses.
    Header(&'static str, &'static str),
    /// It is a problem document (RFC 9457) for its status; what that says is worth showing.
    Problem,
    /// It has no such header.
    NoHeader(&'static str),
    /// Its content has this text.
    Has(&'static str),
    /// The same, and the text is worth showing.
    Says(&'static str),
    /// Its content does not have this text.
    SaysNot(&'static str),
    /// Nothing more, but when its content began and ended is worth showing.
    Streams,
    /// Of all answers so many have each of these texts.
    Shares(&'static [(&'static str, usize)]),
    /// All answers are the same.
    AllAlike,
}

/// A request, what it shows and what must come of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) shows: &'static str,
    pub(crate) to: To,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) content: Option<Content>,
    /// How often it is made.
    pub(crate) times: usize,
    pub(crate) status: u16,
    pub(crate) checks: &'static [Check],
}

const fn get(path: &'static str, status: u16, shows: &'static str, checks: &'static [Check]) -> Step {
    Step { shows, to: To::Gateway, method: "GET", path, headers: &[], content: None, times: 1, status, checks }
}

/// All of them, by subject.
pub(crate) const GROUPS: [(&str, &[Step]); 5] = [
    ("Routes", ROUTES),
    ("Services", SERVICES),
    ("What clients and services are told", TOLD),
    ("What does not get through", REFUSED),
    ("Operating", OPERATING),
];

const ROUTES: &[Step] = &[
    get("/", 200, "An exact path, answered by a plugin: no service is needed.", &[Check::Has("welcome")]),
    get(
        "/v1/orders",
        200,
        "A prefix. The service sees what comes after it, below a base path of its own.",
        &[Check::Has("1001")],
    ),
    get(
        "/v1/users/1/orders",
        200,
        "A template goes before the prefix /v1/users; its capture goes into another service's path.",
        &[Check::Has("1003")],
    ),
    get("/item-2.html", 200, "A regular expression, whose group goes into the new path.", &[Check::Has("chair")]),
    Step {
        headers: &[("X-Api-Version", "2")],
        ..get(
            "/v1/users",
            200,
            "A path of two routes, told apart by a header. That of version 2 adds ?view=full.",
            &[Check::Has("ada@example.com")],
        )
    },
    get(
        "/v1/catalog/3?preview=1",
        200,
        "Told apart by a query parameter: a preview comes from the second instance.",
        &[Check::Has("catalog-2")],
    ),
    Step {
        headers: &[("Host", "status.example.com")],
        ..get("/", 200, "Another host on the same listener.", &[Check::Has("All systems go.")])
    },
    get(
        "/orders/1001",
        308,
        "What moved: the client is sent to the new path.",
        &[Check::Header("Location", "http://{gateway}/v1/orders/1001")],
    ),
    get(
        "/v1/ordersX",
        404,
        "Prefixes end where segments do. Errors are problem documents (RFC 9457).",
        &[Check::Problem],
    ),
    Step {
        method: "DELETE",
        ..get(
            "/v1/orders/1001",
            405,
            "A route but for its method: Allow has those it takes.",
            &[Check::Header("Allow", "GET")],
        )
    },
];

const SERVICES: &[Step] = &[
    Step {
        times: 4,
        ..get(
            "/v1/catalog",
            200,
            "Round-robin over two instances by their weights, 3 and 1.",
            &[Check::Shares(&[("catalog-1", 3), ("catalog-2", 1)])],
        )
    },
    Step {
        times: 4,
        headers: &[("Cookie", "session=ada")],
        ..get(
            "/v1/recommendations",
            200,
            "Consistent hashing over the same two: a session stays with one of them.",
            &[Check::AllAlike],
        )
    },
    get(
        "/v1/orders/events",
        200,
        "Server-sent events pass as they come, 100 ms apart.",
        &[Check::Header("Content-Type", "text/event-stream"), Check::Has("id: 3"), Check::Streams],
    ),
    get(
        "/v1/reports/yearly",
        504,
        "A report that takes 3 s, from a service that is waited for 250 ms.",
        &[Check::Problem],
    ),
];

const TOLD: &[Step] = &[
    Step {
        to: To::Orders,
        ..get(
            "/internal/orders/latest",
            302,
            "First the service itself, past the gateway: it tells where and what it is.",
            &[Check::Header("Location", "http://{orders}/internal/orders/"), Check::Header("Server", "ShopServer")],
        )
    },
    get(
        "/v1/orders/latest",
        302,
        "The same through the gateway: its own address in Location, and nothing about the inside.",
        &[
            Check::Header("Location", "http://{gateway}/v1/orders/"),
            Check::NoHeader("Server"),
            Check::NoHeader("X-Powered-By"),
            Check::NoHeader("X-Internal-Instance"),
        ],
    ),
    Step {
        method: "POST",
        content: Some(Content::Text(r#"{"user":3,"item":1}"#)),
        ..get(
            "/v1/orders",
            201,
            "What was created is found at the gateway, too.",
            &[Check::Header("Location", "http://{gateway}/v1/orders/1004")],
        )
    },
    Step {
        headers: &[("X-User-Id", "1"), ("X-Debug", "on")],
        ..get(
            "/v1/users/headers",
            200,
            "What the service is told. Nobody can claim to be a user; a plugin adds and removes.",
            &[
                Check::Says(r#""x-forwarded-for":"127.0.0.1""#),
                Check::Says(r#""x-gateway":"tollgate""#),
                Check::SaysNot("x-user-id"),
                Check::SaysNot("x-debug"),
            ],
        )
    },
    get(
        "/v1/users/2",
        200,
        "Every answer has security headers and the id that the access log has.",
        &[
            Check::Header("X-Content-Type-Options", "nosniff"),
            Check::Header("X-Frame-Options", "SAMEORIGIN"),
            Check::Header("X-Request-ID", "-"),
        ],
    ),
    get(
        "/v1/catalog/1",
        200,
        "A header that a plugin sets on answers.",
        &[Check::Header("Cache-Control", "public, max-age=60")],
    ),
];

const REFUSED: &[Step] = &[
    Step {
        headers: &[("X-Forwarded-For", "203.0.113.9")],
        ..get(
            "/v1/partners",
            403,
            "An address that may not come, as told by a proxy that is trusted.",
            &[Check::Problem],
        )
    },
    Step {
        method: "POST",
        content: Some(Content::Zeros(5000)),
        ..get("/v1/orders", 413, "A body longer than the 4 KiB that its route takes.", &[Check::Problem])
    },
    Step {
        method: "OPTIONS",
        headers: &[("Origin", "https://shop.example.com"), ("Access-Control-Request-Method", "POST")],
        ..get(
            "/v1/orders",
            204,
            "A browser asks whether a page of the shop may post: answered without the service.",
            &[Check::Header("Access-Control-Allow-Origin", "https://shop.example.com")],
        )
    },
    Step {
        method: "OPTIONS",
        headers: &[("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST")],
        ..get("/v1/orders", 204, "A page of another site may not.", &[Check::NoHeader("Access-Control-Allow-Origin")])
    },
    get(
        "/v1/reports/monthly",
        503,
        "Under maintenance: the client learns when to come back.",
        &[Check::Header("Retry-After", "3600")],
    ),
];

const OPERATING: &[Step] = &[
    Step { to: To::Admin, ..get("/readyz", 200, "Whether traffic should come here.", &[Check::Has("ready")]) },
    Step {
        to: To::Admin,
        ..get(
            "/stats",
            200,
            "What all this counted: requests, errors and latencies, by route and by target.",
            &[Check::Has("orders-of-user")],
        )
    },
];
