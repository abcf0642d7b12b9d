//! A second implementation of what the gateway reads, as plain as it can be: whole messages only, strings copied
//! freely, one rule after the other as the RFCs and `docs/` state them. Where both disagree, one is wrong.

mod chunks;
mod fields;
mod request;
mod response;
mod target;

pub use chunks::{Chunked, chunked};
pub use fields::{Fields, is_token};
pub use request::{Request, request};
pub use response::{Response, response};
pub use target::{authority, path, query};
