//! The sample service `users`: a list in two views, and a look at what the service is told about its client.

use std::collections::BTreeMap;

use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::services::error;

const USERS: [(u64, &str, &str); 3] =
    [(1, "Ada", "ada@example.com"), (2, "Grace", "grace@example.com"), (3, "Linus", "linus@example.com")];

pub(crate) fn router() -> Router {
    Router::new().route("/users/", get(list)).route("/users/headers", get(headers)).route("/users/{id}", get(by_id))
}

/// `view=full` shows more of each.
fn is_full(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "view=full"))
}

fn user((id, name, email): (u64, &str, &str), full: bool) -> Value {
    if full { json!({ "id": id, "name": name, "email": email }) } else { json!({ "id": id, "name": name }) }
}

async fn list(RawQuery(query): RawQuery) -> Json<Vec<Value>> {
    let full = is_full(query.as_deref());
    Json(USERS.into_iter().map(|it| user(it, full)).collect())
}

async fn by_id(Path(id): Path<u64>, RawQuery(query): RawQuery) -> Response {
    match USERS.into_iter().find(|(known, ..)| *known == id) {
        Some(it) => Json(user(it, is_full(query.as_deref()))).into_response(),
        None => error(StatusCode::NOT_FOUND, "no such user"),
    }
}

/// The header fields as they came.
async fn headers(headers: HeaderMap) -> Json<BTreeMap<String, String>> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Json(headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect())
}
