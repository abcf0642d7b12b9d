//! How a service is spoken to.

use crate::certificate::read_pair;
use crate::client_auth::read_roots;
use crate::fault::Fault;
use crate::files::Files;
use crate::provider;
use crate::unverified::Unverified;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// How a service is to be spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// The authorities that are trusted, and no others: PEM. None: those of the system.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown to the service: PEM. Not without `key`.
    pub cert: Option<PathBuf>,
    /// Its key: PEM. Not without `cert`.
    pub key: Option<PathBuf>,
    /// The name that the service's certificate must have. None: that of the target.
    pub server_name: Option<String>,
    /// Whether the service's certificate is checked. **Dangerous** if not: whoever is on the way can pose as the service.
    pub verify: bool,
    /// The protocols to be spoken within, the best one first: `h2`, `http/1.1`.
    pub alpn: Vec<Vec<u8>>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self { ca: None, cert: None, key: None, server_name: None, verify: true, alpn: Vec::new() }
    }
}

/// The TLS of a service: shared by all workers. It never changes; when files do, another one is loaded.
#[derive(Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    settings: ClientSettings,
    digest: u64,
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(settings: ClientSettings) -> Result<Arc<Self>, Vec<Fault>> {
        let mut files = Files::default();
        let server_name = settings.server_name.as_ref().and_then(|name| server_name(&mut files, name));
        let own = own_certificate(&mut files, &settings);
        let roots = if settings.verify { roots(&mut files, &settings) } else { Some(Arc::new(RootCertStore::empty())) };
        let (Some(roots), false) = (roots, files.faults.iter().any(Fault::is_error)) else { return Err(files.faults) };
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13, &TLS12]);
        let builder = builder.map_err(|error| {
            vec![Fault::error("", format!("TLS can't be set up: {error}"), "this is a defect of Tollgate")]
        })?;
        let builder = match settings.verify {
            true => builder.with_root_certificates(roots),
            false => builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified { algorithms })),
        };
        // Sessions are resumed, which is the default: 256 are remembered.
        let mut config = match own {
            Some(own) => builder.with_client_cert_resolver(own),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&settings.alpn);
        Ok(Arc::new(Self { config: Arc::new(config), server_name, settings, digest: files.digest() }))
    }

    /// What connections are made with.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The name that is asked for and that the certificate must have: the one in the settings, or that of the target, a DNS
    /// name or an address without brackets. None if that is neither, so that no certificate could have it.
    #[must_use]
    pub fn server_name(&self, target: &str) -> Option<ServerName<'static>> {
        self.server_name.clone().or_else(|| ServerName::try_from(target.to_owned()).ok())
    }

    /// What it was made from.
    #[must_use]
    pub fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// A number that is another one when the contents of the files are.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }
}

impl ClientSettings {
    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.ca.iter().filter(|_| self.verify).chain(&self.cert).chain(&self.key)
    }
}

fn server_name(files: &mut Files, name: &str) -> Option<ServerName<'static>> {
    let parsed = ServerName::try_from(name.to_owned()).ok();
    if parsed.is_none() {
        files.error("server_name", format!("`{name}` is no DNS name, nor an address"), "write it as orders.internal");
    }
    parsed
}

fn own_certificate(files: &mut Files, settings: &ClientSettings) -> Option<Arc<dyn ResolvesClientCert>> {
    match (&settings.cert, &settings.key) {
        (Some(cert), Some(key)) => {
            let pair = read_pair(files, &provider(), ("cert", cert), ("key", key))?;
            Some(Arc::new(SingleCertAndKey::from(pair)))
        }
        (Some(_), None) => {
            files.error("cert", "`cert` needs `key`", "add `key`, or leave out both");
            None
        }
        (None, Some(_)) => {
            files.error("key", "`key` needs `cert`", "add `cert`, or leave out both");
            None
        }
        (None, None) => None,
    }
}

fn roots(files: &mut Files, settings: &ClientSettings) -> Option<Arc<RootCertStore>> {
    if let Some(path) = &settings.ca {
        return read_roots(files, "ca", path).map(Arc::new);
    }
    let roots = system_roots();
    if roots.is_empty() {
        let message = "the system has no authorities to trust";
        files.error("ca", message, "install its package `ca-certificates`, or give the service's authority as `ca`");
        return None;
    }
    Some(roots)
}

/// The authorities that the system trusts, read when they are first needed and then once for all services: they are
/// some 150, and take half a megabyte. `SSL_CERT_FILE` and `SSL_CERT_DIR` say where they are instead.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        // Systems carry some that cannot be read; the others do.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    };
    Arc::clone(ROOTS.get_or_init(read))
}
