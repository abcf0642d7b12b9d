//! TLS of listeners and services: files → what speaks it.

use std::sync::Arc;

use tollgate_config as written;
use tollgate_core::document::{Node, Problem};
use tollgate_tls::{
    CertificateFiles, ClientAuth, ClientAuthMode, ClientSettings, ClientTls, Fault, ServerTls, Settings, Version,
};

/// The TLS of a listener. What must not be lost is taken over from the one `before`: clients then still resume their
/// sessions. Files are read again in any case.
pub(super) fn server(
    tls: &written::ListenerTls,
    before: Option<&ServerTls>,
    place: (&Node, &str),
    problems: &mut Vec<Problem>,
) -> Option<Arc<ServerTls>> {
    let settings = settings(tls);
    let loaded = match before {
        Some(before) => ServerTls::load_after(settings, before),
        None => ServerTls::load(settings),
    };
    match loaded {
        Ok(tls) => {
            problems.extend(in_place(tls.warnings(), place));
            Some(tls)
        }
        Err(faults) => {
            problems.extend(in_place(faults, place));
            None
        }
    }
}

/// The TLS that a service is spoken to with.
pub(super) fn client(
    service: &written::Service,
    place: (&Node, &str),
    problems: &mut Vec<Problem>,
) -> Option<Arc<ClientTls>> {
    let written = service.tls.clone().unwrap_or_default();
    let settings = ClientSettings {
        ca: written.ca,
        cert: written.cert,
        key: written.key,
        server_name: written.server_name.map(|name| name.to_string()),
        verify: written.verify,
        alpn: vec![if service.speaks().is_http2() { b"h2".to_vec() } else { b"http/1.1".to_vec() }],
    };
    ClientTls::load(settings).map_err(|faults| problems.extend(in_place(faults, place))).ok()
}

/// True if connections that were made by one are as good as those by the other.
pub(super) fn is_same(one: Option<&ClientTls>, other: Option<&ClientTls>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.settings() == other.settings() && one.digest() == other.digest(),
        (None, None) => true,
        _ => false,
    }
}

fn settings(tls: &written::ListenerTls) -> Settings {
    let certificates = tls.certificates.iter().map(|files| CertificateFiles {
        cert: files.cert.clone(),
        key: files.key.clone(),
        ocsp: files.ocsp.clone(),
    });
    Settings {
        certificates: certificates.collect(),
        min_version: match tls.min_version {
            written::TlsVersion::Tls12 => Version::Tls12,
            written::TlsVersion::Tls13 => Version::Tls13,
        },
        client_auth: tls.client_auth.as_ref().map(client_auth).unwrap_or_default(),
        alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    }
}

fn client_auth(auth: &written::ClientAuth) -> ClientAuth {
    ClientAuth {
        mode: match auth.mode {
            written::ClientAuthMode::Off => ClientAuthMode::Off,
            written::ClientAuthMode::Optional => ClientAuthMode::Optional,
            written::ClientAuthMode::Required => ClientAuthMode::Required,
        },
        ca: auth.ca.clone(),
        crl: auth.crl.clone(),
    }
}

fn in_place(faults: Vec<Fault>, (tree, path): (&Node, &str)) -> Vec<Problem> {
    faults.into_iter().map(|fault| fault.into_problem(tree, path)).collect()
}
