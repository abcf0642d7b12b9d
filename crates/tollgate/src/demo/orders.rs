//! The sample service `orders`: a list that can grow, a stream, and a report that takes its time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http_body_util::channel::Channel;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::services::error;

/// The path that all of it is under, which the gateway does not show.
const BASE: &str = "/internal/orders";

/// How many orders are kept: a demo that is left running must not grow for ever.
const MOST: usize = 1000;

/// Events of the stream, and the time between them.
const EVENTS: usize = 3;
const PACE: Duration = Duration::from_millis(100);

/// How long the report takes.
const REPORT: Duration = Duration::from_secs(3);

struct Orders {
    /// What it believes to be its own address.
    address: SocketAddr,
    list: Mutex<Vec<Value>>,
}

type Shared = State<Arc<Orders>>;

pub(crate) fn router(address: SocketAddr) -> Router {
    let list = vec![
        json!({ "id": 1001, "user": 1, "item": 1, "quantity": 2 }),
        json!({ "id": 1002, "user": 2, "item": 3, "quantity": 1 }),
        json!({ "id": 1003, "user": 1, "item": 2, "quantity": 5 }),
    ];
    Router::new()
        .route("/internal/orders/", get(list_all).post(create))
        .route("/internal/orders/latest", get(latest))
        .route("/internal/orders/events", get(events))
        .route("/internal/orders/of/{user}", get(of_user))
        .route("/internal/orders/{id}", get(by_id))
        .route("/internal/reports/yearly", get(report))
        .with_state(Arc::new(Orders { address, list: Mutex::new(list) }))
}

impl Orders {
    /// An absolute URL, as frameworks make them: with the service's own address.
    fn url(&self, id: u64) -> String {
        format!("http://{}{BASE}/{id}", self.address)
    }
}

fn id_of(order: &Value) -> u64 {
    order.get("id").and_then(Value::as_u64).unwrap_or_default()
}

async fn list_all(State(orders): Shared) -> Response {
    Json(&*orders.list.lock()).into_response()
}

async fn by_id(State(orders): Shared, Path(id): Path<u64>) -> Response {
    match orders.list.lock().iter().find(|order| id_of(order) == id) {
        Some(order) => Json(order).into_response(),
        None => error(StatusCode::NOT_FOUND, "no such order"),
    }
}

async fn of_user(State(orders): Shared, Path(user): Path<u64>) -> Json<Vec<Value>> {
    let is_theirs = |order: &&Value| order.get("user").and_then(Value::as_u64) == Some(user);
    Json(orders.list.lock().iter().filter(is_theirs).cloned().collect())
}

async fn latest(State(orders): Shared) -> Response {
    let id = orders.list.lock().last().map(id_of).unwrap_or_default();
    (StatusCode::FOUND, [(LOCATION, orders.url(id))]).into_response()
}

async fn create(State(orders): Shared, body: Bytes) -> Response {
    // Whatever the media type, so that plain `curl -d` will do.
    let Ok(Value::Object(mut order)) = serde_json::from_slice(&body) else {
        return error(StatusCode::BAD_REQUEST, "an order is a JSON object");
    };
    let mut list = orders.list.lock();
    let id = list.last().map(id_of).unwrap_or_default() + 1;
    order.insert("id".to_owned(), id.into());
    let order = Value::Object(order);
    let answer = (StatusCode::CREATED, [(LOCATION, orders.url(id))], Json(&order)).into_response();
    if list.len() >= MOST {
        list.remove(0);
    }
    list.push(order);
    answer
}

/// Server-sent events, each as it happens.
async fn events() -> Response {
    let (mut sender, body) = Channel::<Bytes>::new(1);
    tokio::spawn(async move {
        for number in 1..=EVENTS {
            let data = json!({ "order": 1000 + number, "state": "shipped" });
            let event = format!("event: order\nid: {number}\ndata: {data}\n\n");
            if sender.send_data(event.into()).await.is_err() {
                // The reader went away.
                return;
            }
            if number < EVENTS {
                tokio::time::sleep(PACE).await;
            }
        }
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    (headers, Body::new(body)).into_response()
}

async fn report() -> Json<Value> {
    tokio::time::sleep(REPORT).await;
    Json(json!({ "year": 2025, "orders": 1003 }))
}
