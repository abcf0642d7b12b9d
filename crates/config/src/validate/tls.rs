//! TLS: keys that need one another, or that exclude one another. What is in the files is looked at elsewhere.

use super::{Check, Related};
use crate::config::Config;
use crate::listener::Protocol;
use crate::service::Service;
use crate::tls::{Acme, AcmeChallenge, ClientAuth, ClientAuthMode, ListenerTls, ServiceTls};
use std::path::{Path, PathBuf};
use tollgate_core::document::{Located, join_index};

pub(super) fn check(check: &mut Check<'_>, config: &Config) {
    for listener in &config.listeners {
        let path = listener.path_to("tls");
        if let Some(tls) = &listener.tls
            && check.is_sound(&path)
        {
            if listener.protocol != Protocol::Http {
                let spoken = check.shown(&listener.path_to("protocol"));
                let message = format!("`tls` is not spoken on a listener for `{spoken}`");
                check.error(&path, message).helped("leave out `tls`, or write `protocol: http`");
            }
            listener_tls(check, &path, tls);
            if let Some(acme) = &tls.acme {
                let is_clear = config.listeners.iter().any(|listener| listener.tls.is_none());
                acme_settings(check, &format!("{path}.acme"), acme, is_clear || !check.is_sound("listeners"));
            }
        }
    }
    for service in &config.services {
        if !check.is_sound(&service.path) {
            continue;
        }
        protocol(check, service);
        if let Some(tls) = &service.tls {
            service_tls(check, service, tls);
        }
    }
}

fn listener_tls(check: &mut Check<'_>, path: &str, tls: &ListenerTls) {
    if tls.certificates.is_empty() && tls.acme.is_none() {
        let help = "add `certificates: [{ cert: api.crt, key: api.key }]`, or `acme`";
        check.error(path, "there is no certificate, so no client could connect").helped(help);
    }
    for (index, files) in tls.certificates.iter().enumerate() {
        let path = join_index(&format!("{path}.certificates"), index);
        let named = [("cert", Some(&files.cert)), ("key", Some(&files.key)), ("ocsp", files.ocsp.as_ref())];
        no_empty_paths(check, &path, named.map(|(key, file)| (key, file.map(PathBuf::as_path))));
    }
    if let Some(auth) = &tls.client_auth {
        client_auth(check, &format!("{path}.client_auth"), auth);
    }
}

fn client_auth(check: &mut Check<'_>, path: &str, auth: &ClientAuth) {
    no_empty_paths(check, path, [("ca", auth.ca.as_deref())]);
    for (index, file) in auth.crl.iter().enumerate() {
        no_empty_path(check, &join_index(&format!("{path}.crl"), index), file);
    }
    match auth.mode {
        ClientAuthMode::Off => {
            for (key, _) in [("ca", auth.ca.is_some()), ("crl", !auth.crl.is_empty())].iter().filter(|(_, has)| *has) {
                let message = format!("`{key}` does nothing with `mode: off`");
                check.warning(&format!("{path}.{key}"), message).helped("write `mode: optional` or `mode: required`");
            }
        }
        ClientAuthMode::Optional | ClientAuthMode::Required if auth.ca.is_none() => {
            let message = "there is no `ca` to say whose certificates are taken from clients";
            check.error(&format!("{path}.mode"), message).helped("add `ca: clients-ca.crt`");
        }
        ClientAuthMode::Optional | ClientAuthMode::Required => {}
    }
}

fn acme_settings(check: &mut Check<'_>, path: &str, acme: &Acme, has_clear_listener: bool) {
    if acme.domains.is_empty() {
        check.error(&format!("{path}.domains"), "expected at least one name to order a certificate for, found none");
    }
    for (index, domain) in acme.domains.iter().enumerate() {
        if acme.domains.iter().take(index).any(|first| first == domain) {
            let path = join_index(&format!("{path}.domains"), index);
            let message = format!("`{}` stands in this list twice", check.shown(&path));
            check.error(&path, message);
        }
    }
    if acme.email.as_ref().is_some_and(|email| !email.contains('@')) {
        let path = format!("{path}.email");
        let message = format!("expected an e-mail address, found `{}`", check.shown(&path));
        check.error(&path, message);
    }
    if !acme.directory.starts_with("https://") {
        let path = format!("{path}.directory");
        let message = format!("expected a URL that begins with https://, found `{}`", check.shown(&path));
        check.error(&path, message);
    }
    no_empty_paths(check, path, [("storage", Some(acme.storage.as_path()))]);
    if acme.challenge == AcmeChallenge::Http01 && !has_clear_listener {
        let message = "no listener is without `tls`, so `http-01` could not be answered";
        let help = "write `challenge: tls-alpn-01`, or add a listener that is reached on port 80";
        check.error(&format!("{path}.challenge"), message).helped(help);
    }
}

/// The scheme of `url` and `protocol` must not say different things.
fn protocol(check: &mut Check<'_>, service: &Located<Service>) {
    let (Some(url), Some(protocol)) = (&service.url, service.protocol) else { return };
    if url.scheme != protocol {
        let url = check.tree.span_at(&service.path_to("url"));
        let message = format!("the scheme of `url` says something else than `{protocol}`");
        let problem = check.error(&service.path_to("protocol"), message);
        problem.related_to(url, "`url` stands here").helped("leave out `protocol`: the scheme says it");
    }
}

fn service_tls(check: &mut Check<'_>, service: &Located<Service>, tls: &ServiceTls) {
    let path = service.path_to("tls");
    let files = [("ca", &tls.ca), ("cert", &tls.cert), ("key", &tls.key)];
    no_empty_paths(check, &path, files.map(|(key, file)| (key, file.as_deref())));
    for (key, has, other, has_other) in
        [("cert", tls.cert.is_some(), "key", tls.key.is_some()), ("key", tls.key.is_some(), "cert", tls.cert.is_some())]
    {
        if has && !has_other {
            let message = format!("`{key}` needs `{other}`");
            check.error(&format!("{path}.{key}"), message).helped(format!("add `{other}`, or leave out both"));
        }
    }
    if !service.speaks().is_tls() {
        let message = format!("`tls` does nothing: the service speaks `{}`, which is clear text", service.speaks());
        let help = if service.url.is_some() { "write `https://` in `url`" } else { "write `protocol: https`" };
        check.warning(&path, message).helped(help);
    }
    if !tls.verify {
        let message = "the service's certificate is not checked, so anyone on the way can pose as the service";
        check.warning(&format!("{path}.verify"), message).helped("give its authority as `ca` instead");
        if tls.ca.is_some() {
            check.warning(&format!("{path}.ca"), "`ca` does nothing with `verify: false`");
        }
    }
}

fn no_empty_paths<'p>(
    check: &mut Check<'_>,
    path: &str,
    files: impl IntoIterator<Item = (&'static str, Option<&'p Path>)>,
) {
    for (key, file) in files {
        if let Some(file) = file {
            no_empty_path(check, &format!("{path}.{key}"), file);
        }
    }
}

fn no_empty_path(check: &mut Check<'_>, path: &str, file: &Path) {
    if file.as_os_str().is_empty() {
        check.error(path, "expected the path of a file, found an empty string");
    }
}
