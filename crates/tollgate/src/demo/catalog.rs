//! The sample service `catalog`, of which there are two instances: answers say which of them gave them.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::services::error;

const ITEMS: [(u64, &str, u64); 3] = [(1, "lamp", 4900), (2, "chair", 12900), (3, "desk", 39900)];

/// The router of the instance with this name.
pub(crate) fn router(instance: &'static str) -> Router {
    Router::new().route("/", get(list)).route("/{id}", get(by_id)).with_state(instance)
}

fn item((id, name, cents): (u64, &str, u64)) -> Value {
    json!({ "id": id, "name": name, "cents": cents })
}

async fn list(State(instance): State<&'static str>) -> Json<Value> {
    let items: Vec<Value> = ITEMS.into_iter().map(item).collect();
    Json(json!({ "instance": instance, "items": items }))
}

async fn by_id(State(instance): State<&'static str>, Path(id): Path<u64>) -> Response {
    match ITEMS.into_iter().find(|(known, ..)| *known == id) {
        Some(it) => Json(json!({ "instance": instance, "item": item(it) })).into_response(),
        None => error(StatusCode::NOT_FOUND, "no such item"),
    }
}
