//! `ip-restriction`: who may come, by address, by country and by autonomous system.
//!
//! ```yaml
//! plugins:
//!   - name: ip-restriction
//!     config:
//!       allow: [10.0.0.0/8, 2001:db8::/32]
//!       deny: [10.6.6.6]
//!       allow_countries: [DE, AT]
//!       deny_asns: [64496]
//!       database: { country: GeoLite2-Country.mmdb, asn: GeoLite2-ASN.mmdb }
//! ```
//! An address in one of the `deny` lists is refused even if an `allow` list has it. With any `allow` list, whatever is in none
//! of them is refused: so is an address of which a database knows nothing, which without an `allow` list passes.

mod database;
mod networks;
mod places;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_core::document::{Cidr, Problem, Raw};
use tollgate_core::plugin::{Next, Outcome, Plugin};
use tollgate_core::{Context, Kind, Reject, Request};

use crate::entry::{Definition, unless};
use database::Database;
use networks::Networks;
use places::{Asn, Country, Place};

/// Who may come, by address, by country and by autonomous system. At least one of the lists is needed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ip-restriction")]
pub(crate) struct Config {
    /// Networks and addresses that may come. Once there is any `allow` list, only who is in one of them may come.
    allow: Vec<Cidr>,
    /// Networks and addresses that may not come, even if they are in an `allow` list.
    deny: Vec<Cidr>,
    /// Countries that may come, as `allow`. Needs `database.country`.
    allow_countries: Vec<Country>,
    /// Countries that may not come, even if they are in an `allow` list. Needs `database.country`.
    deny_countries: Vec<Country>,
    /// Autonomous systems (the networks of providers, by number) that may come, as `allow`. Needs `database.asn`.
    allow_asns: Vec<Asn>,
    /// Autonomous systems that may not come, even if they are in an `allow` list. Needs `database.asn`.
    deny_asns: Vec<Asn>,
    /// The files that say what an address is.
    database: Files,
}

/// Databases in MaxMind's format. A file that is replaced is read again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ip-restriction-database")]
struct Files {
    /// A database that knows countries, such as GeoLite2-Country.
    country: Option<PathBuf>,
    /// A database that knows autonomous systems, such as GeoLite2-ASN.
    asn: Option<PathBuf>,
}

/// The plugin as run.
pub(crate) struct IpRestriction {
    /// Whether there is no `allow` list of any kind.
    open: bool,
    allow: Networks,
    deny: Networks,
    countries: Option<Places<Country>>,
    asns: Option<Places<Asn>>,
}

/// The lists of one kind, and the database that they are looked up by.
struct Places<P> {
    allow: Vec<P>,
    deny: Vec<P>,
    database: Arc<Database>,
}

impl Definition for IpRestriction {
    const NAME: &'static str = "ip-restriction";
    type Config = Config;

    fn files(config: Config) -> Vec<PathBuf> {
        config.database.country.into_iter().chain(config.database.asn).collect()
    }

    fn compile(config: Config, raw: &Raw) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let Config { allow, deny, allow_countries, deny_countries, allow_asns, deny_asns, database } = config;
        let open = allow.is_empty() && allow_countries.is_empty() && allow_asns.is_empty();
        if open && deny.is_empty() && deny_countries.is_empty() && deny_asns.is_empty() {
            let help = "to refuse everyone, write `deny: [0.0.0.0/0, \"::/0\"]`".to_owned();
            problems.push(raw.problem("", "at least one entry is needed in an `allow` or `deny` list", Some(help)));
        }
        let countries = Places::new(allow_countries, deny_countries, database.country, raw, &mut problems);
        let asns = Places::new(allow_asns, deny_asns, database.asn, raw, &mut problems);
        let (allow, deny) = (Networks::new(&allow), Networks::new(&deny));
        unless(problems, Self { open, allow, deny, countries, asns })
    }
}

impl<P: Place> Places<P> {
    /// `None`: there are no such lists, and no database is opened for them; or something is wrong.
    fn new(
        mut allow: Vec<P>,
        mut deny: Vec<P>,
        file: Option<PathBuf>,
        raw: &Raw,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let list = match (allow.is_empty(), deny.is_empty()) {
            (true, true) => return None,
            (false, _) => P::ALLOW,
            (true, false) => P::DENY,
        };
        let Some(file) = file else {
            let help = format!("name one: `database: {{ {}: FILE.mmdb }}`, such as {}", P::KEY, P::SUCH_AS);
            problems.push(raw.problem(list, format!("`{list}` needs a database of {}", P::PLURAL), Some(help)));
            return None;
        };
        allow.sort_unstable();
        deny.sort_unstable();
        match Database::open::<P>(&file) {
            Ok(database) => Some(Self { allow, deny, database }),
            Err(unusable) => {
                let place = format!("database.{}", P::KEY);
                problems.push(raw.problem(&place, unusable.why, Some(unusable.help)));
                None
            }
        }
    }

    /// Whether the address is denied here; that it is allowed here is noted.
    fn deny(&self, address: IpAddr, allowed: &mut bool) -> bool {
        if *allowed && self.deny.is_empty() {
            // Whatever the database says, nothing would change.
            return false;
        }
        let Some(place) = self.database.find::<P>(address) else { return false };
        *allowed = *allowed || self.allow.binary_search(&place).is_ok();
        self.deny.binary_search(&place).is_ok()
    }
}

impl IpRestriction {
    fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if self.deny.contain(address) {
            return false;
        }
        let mut allowed = self.open || self.allow.contain(address);
        let denied = self.countries.as_ref().is_some_and(|countries| countries.deny(address, &mut allowed))
            || self.asns.as_ref().is_some_and(|asns| asns.deny(address, &mut allowed));
        allowed && !denied
    }
}

impl Plugin for IpRestriction {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn call(&self, cx: &mut Context<'_>, request: Request, next: Next<'_>) -> Outcome {
        if self.admits(cx.client_ip) {
            return Ok(next.run(cx, request).await);
        }
        // `request-id` runs after this plugin, but the answer and the log shall have an id all the same.
        crate::request_id::assign(cx);
        Err(Reject::new(Kind::Forbidden, "Your address is not allowed to use this API."))
    }
}

#[cfg(test)]
mod tests;
