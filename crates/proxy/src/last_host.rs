//! The host that a connection's last request asked for. The next one mostly asks for the same, so what was found out
//! about it is kept: that it is well-formed, its canonical form, and which routes it can lead to.

use crate::normalize::{self, AuthorityError};
use crate::route::Scope;
use crate::snapshot::Snapshot;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct LastHost {
    /// As the client wrote it; empty before the first request.
    written: Box<str>,
    canonical: Box<str>,
    /// Whether the connection's certificate is for it, once that was asked.
    covered: Option<bool>,
    /// The routes it can lead to, in the snapshot of this generation; 0 is none's.
    scope: (u64, Scope),
}

impl LastHost {
    /// Host and port as the client wrote them, and the canonical host.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn resolve(&mut self, raw: &[u8]) -> Result<(&str, &str), AuthorityError> {
        if raw != self.written.as_bytes() || raw.is_empty() {
            let text = std::str::from_utf8(raw)
                .map_err(|error| AuthorityError::BadByte(raw.get(error.valid_up_to()).copied().unwrap_or_default()))?;
            let canonical = normalize::authority_text(text)?.host.into_owned().into_boxed_str();
            *self = Self { written: text.into(), canonical, ..Self::default() };
        }
        Ok((&self.written, &self.canonical))
    }

    /// The routes of `snapshot` that the canonical `host` can lead to; empty stands for none.
    pub(crate) fn scope(&mut self, host: &str, snapshot: &Snapshot, generation: u64) -> &Scope {
        self.turn_to(host);
        if self.scope.0 != generation {
            self.scope = (generation, snapshot.router.scope(Some(host).filter(|host| !host.is_empty())));
        }
        &self.scope.1
    }

    /// Whether the connection's certificate is for the canonical `host`, of which `covers` is sure.
    pub(crate) fn is_covered(&mut self, host: &str, covers: impl FnOnce(&str) -> bool) -> bool {
        self.turn_to(host);
        *self.covered.get_or_insert_with(|| covers(host))
    }

    fn turn_to(&mut self, host: &str) {
        if *self.canonical != *host {
            *self = Self { canonical: host.into(), ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_resolved_anew_when_it_changes() {
        let mut last = LastHost::default();
        assert_eq!(last.resolve(b"A.example:80"), Ok(("A.example:80", "a.example")));
        assert_eq!(last.resolve(b"A.example:80"), Ok(("A.example:80", "a.example")));
        assert_eq!(last.resolve(b"b.example"), Ok(("b.example", "b.example")));
        assert_eq!(last.resolve(b"b..example"), Err(AuthorityError::BadName));
        assert_eq!(last.resolve(b""), Err(AuthorityError::Empty));
        assert_eq!(last.resolve(b"\xff"), Err(AuthorityError::BadByte(0xff)));
        assert_eq!(last.resolve(b"A.example:80"), Ok(("A.example:80", "a.example")));
    }
}
