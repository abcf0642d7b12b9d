//! `admin:`

use crate::address::ListenAddress;
use crate::secret::Secret;
use schemars::JsonSchema;
use serde::Deserialize;

/// The listener of the admin API, off the path of the data.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Where to listen, such as `127.0.0.1:9901`.
    pub address: ListenAddress,
    /// What a request must bring as `Authorization: Bearer TOKEN`. Needed when other machines can reach the address.
    #[serde(default)]
    pub token: Option<Secret>,
}
