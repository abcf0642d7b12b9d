//! Certificates of clients.

use crate::files::Files;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::path::PathBuf;
use std::sync::Arc;

/// What clients must show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientAuth {
    /// Whether they are asked.
    pub mode: ClientAuthMode,
    /// The authorities whose certificates are taken. Not looked at with [`ClientAuthMode::Off`].
    pub ca: Option<PathBuf>,
    /// Lists of revoked certificates. If there are any, there must be one for each authority in a client's chain: a
    /// certificate of which it cannot be said whether it was revoked is refused. A list that is out of date still
    /// counts.
    pub crl: Vec<PathBuf>,
}

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuthMode {
    /// They are not.
    #[default]
    Off,
    /// They are, and may have none.
    Optional,
    /// They are, and without one there is no connection.
    Required,
}

/// Makes what judges the certificates of clients.
pub(crate) fn verifier(
    auth: &ClientAuth,
    provider: &Arc<CryptoProvider>,
    files: &mut Files,
) -> Option<Arc<dyn ClientCertVerifier>> {
    if auth.mode == ClientAuthMode::Off {
        return Some(WebPkiClientVerifier::no_client_auth());
    }
    // Together, so that all that is wrong is told.
    let roots = roots(auth, files);
    let lists: Vec<_> = auth
        .crl
        .iter()
        .enumerate()
        .map(|(index, path)| files.revocations(&format!("client_auth.crl[{index}]"), path))
        .collect();
    let lists: Option<Vec<_>> = lists.into_iter().collect();
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots?), Arc::clone(provider));
    let builder = builder.with_crls(lists?.into_iter().flatten());
    let builder = match auth.mode {
        ClientAuthMode::Optional => builder.allow_unauthenticated(),
        ClientAuthMode::Off | ClientAuthMode::Required => builder,
    };
    match builder.build() {
        Ok(verifier) => Some(verifier),
        Err(error) => {
            let message = format!("certificates of clients can't be checked: {error}");
            files.error("client_auth", message, "look at `ca` and `crl`");
            None
        }
    }
}

fn roots(auth: &ClientAuth, files: &mut Files) -> Option<RootCertStore> {
    match &auth.ca {
        Some(path) => read_roots(files, "client_auth.ca", path),
        None => {
            let message = "there is no `ca` to say whose certificates are taken from clients";
            files.error("client_auth", message, "add `ca: clients-ca.crt`");
            None
        }
    }
}

/// The authorities in a file, all of which must be sound.
pub(crate) fn read_roots(files: &mut Files, setting: &str, path: &std::path::Path) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in files.certificates(setting, path)?.into_iter().enumerate() {
        if let Err(error) = roots.add(certificate) {
            let message = format!("certificate {} in `{}` can't be used: {error}", index + 1, path.display());
            files.error(setting, message, "give certificates of authorities, of X.509 version 3");
            return None;
        }
    }
    Some(roots)
}
