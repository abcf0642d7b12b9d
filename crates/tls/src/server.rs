//! What a listener speaks.

use crate::certificate::{Certificate, CertificateInfo, not_of_server, read_pair};
use crate::client_auth::{ClientAuth, verifier};
use crate::fault::Fault;
use crate::files::Files;
use crate::provider;
use crate::table::{ACME_TLS_ALPN, Table};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

/// How a listener is to speak TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// The certificates. The first is for clients that ask for a name that none has, or for no name.
    pub certificates: Vec<CertificateFiles>,
    /// The oldest version that is spoken.
    pub min_version: Version,
    /// Certificates of clients.
    pub client_auth: ClientAuth,
    /// The protocols that are spoken within, the best one first: `h2`, `http/1.1`. A client that offers others only is
    /// turned away with the alert `no_application_protocol`; one that offers none is not.
    pub alpn: Vec<Vec<u8>>,
}

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and after it those that lead to the root: PEM.
    pub cert: PathBuf,
    /// Its key: PEM.
    pub key: PathBuf,
    /// An OCSP response to staple: DER.
    pub ocsp: Option<PathBuf>,
}

/// A version of TLS. Older ones than these are not spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// The TLS of a listener: shared by all workers, and changed under them by the control thread.
///
/// A connection takes [`ServerTls::config`] when it is accepted, and goes on with that whatever comes after.
#[derive(Debug)]
pub struct ServerTls {
    settings: Settings,
    /// Taken by those who change something only.
    state: Mutex<State>,
    current: ArcSwap<Current>,
}

/// What is made anew with each change.
#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    table: Arc<Table>,
}

/// What [`Current`] is made from.
#[derive(Debug)]
struct State {
    loaded: Loaded,
    ticketer: Arc<dyn ProducesTickets>,
    acme: BTreeMap<String, Certificate>,
    challenges: HashMap<String, Arc<CertifiedKey>>,
}

/// What came from the files.
#[derive(Debug)]
struct Loaded {
    certificates: Vec<Certificate>,
    /// All but the certificates and the protocols.
    config: ServerConfig,
    warnings: Vec<Fault>,
    digest: u64,
    /// Of the files that say which clients are let in.
    client_auth_digest: u64,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// Everything that is wrong with them. A certificate that expired is not among it, see [`ServerTls::warnings`]:
    /// one that nobody renewed is no reason to serve nobody.
    pub fn load(settings: Settings) -> Result<Arc<Self>, Vec<Fault>> {
        let loaded = Loaded::read(&settings)?;
        let state = State { ticketer: ticketer()?, loaded, acme: BTreeMap::new(), challenges: HashMap::new() };
        Ok(Self::of(settings, state))
    }

    /// Like [`ServerTls::load`], with what must not be lost from the one before it, which had other settings: the
    /// keys of tickets, so that clients still resume their sessions, and what came by ACME.
    ///
    /// # Errors
    /// As for [`ServerTls::load`].
    pub fn load_after(settings: Settings, before: &Self) -> Result<Arc<Self>, Vec<Fault>> {
        let loaded = Loaded::read(&settings)?;
        let before = before.state.lock();
        let state = State {
            ticketer: before.ticketer_for(&loaded)?,
            loaded,
            acme: before.acme.clone(),
            challenges: before.challenges.clone(),
        };
        Ok(Self::of(settings, state))
    }

    fn of(settings: Settings, state: State) -> Arc<Self> {
        let current = ArcSwap::from_pointee(state.current(&settings));
        Arc::new(Self { settings, state: Mutex::new(state), current })
    }

    /// Reads the files again, and says whether anything changed.
    ///
    /// # Errors
    /// Everything that is wrong with them; then all goes on as it was. Connections go on in any case.
    pub fn reload(&self) -> Result<bool, Vec<Fault>> {
        let loaded = Loaded::read(&self.settings)?;
        let mut state = self.state.lock();
        if loaded.digest == state.loaded.digest {
            // The clock went on, so these may be others.
            state.loaded.warnings = loaded.warnings;
            return Ok(false);
        }
        state.ticketer = state.ticketer_for(&loaded)?;
        state.loaded = loaded;
        self.publish(&state);
        Ok(true)
    }

    /// What a connection that is accepted now is to be served with: `TlsAcceptor::from(tls.config())`.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }

    /// What it was made from.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether a connection whose client asked for the name `sni` may carry a request for `host`: if not, the answer
    /// is 421 (RFC 9110 §15.5.20), and the client makes another connection.
    ///
    /// It may if the certificate that the client got is for that host as well, which is where browsers use one connection
    /// for several hosts (RFC 9113 §9.1.1). A client that asks for just the name that it connected to is never misdirected,
    /// though it be served with a certificate of another name; nor is one that asked for no name and connected to an address.
    ///
    /// `host` is in lower case, without a port; an IPv6 address may stand in brackets. For names this takes two look-ups
    /// and no allocation.
    #[must_use]
    pub fn covers(&self, sni: Option<&str>, host: &str) -> bool {
        self.current.load().table.covers(sni, host)
    }

    /// The certificates in use, in order; those by ACME are the last.
    #[must_use]
    pub fn certificates(&self) -> Vec<Arc<CertificateInfo>> {
        self.current.load().table.certificates().iter().map(|certificate| Arc::clone(&certificate.info)).collect()
    }

    /// What is wrong with the files without keeping them from being used, as of the last reading.
    #[must_use]
    pub fn warnings(&self) -> Vec<Fault> {
        self.state.lock().loaded.warnings.clone()
    }

    /// A number that is another one when the contents of the files are.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.state.lock().loaded.digest
    }

    /// The files that all this is read from.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.settings.files()
    }

    /// Shows an ACME authority that asks for `domain` by TLS-ALPN-01 (RFC 8737) this certificate, until
    /// [`ServerTls::remove_challenge`].
    pub fn add_challenge(&self, domain: &str, certificate: Arc<CertifiedKey>) {
        let mut state = self.state.lock();
        state.challenges.insert(domain.to_ascii_lowercase(), certificate);
        self.publish(&state);
    }

    /// Takes a challenge back. When none is left, `acme-tls/1` is not spoken any more.
    pub fn remove_challenge(&self, domain: &str) {
        let mut state = self.state.lock();
        state.challenges.remove(&domain.to_ascii_lowercase());
        self.publish(&state);
    }

    /// Serves a certificate that came by ACME, for the names that it has, in place of the one for the same domain that
    /// came before. Certificates from files go before it.
    ///
    /// # Errors
    /// Why it cannot be served.
    pub fn set_acme_certificate(&self, domain: &str, certificate: CertifiedKey) -> Result<(), Fault> {
        let certificate = Certificate::of_server(certificate).map_err(|reason| {
            let message = format!("the certificate for `{domain}` can't be used: {reason}");
            Fault::error("acme", message, "is `directory` that of an authority that clients trust?")
        })?;
        let mut state = self.state.lock();
        state.acme.insert(domain.to_ascii_lowercase(), certificate);
        self.publish(&state);
        Ok(())
    }

    fn publish(&self, state: &State) {
        self.current.store(Arc::new(state.current(&self.settings)));
    }
}

impl Settings {
    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let certificates =
            self.certificates.iter().flat_map(|files| [&files.cert, &files.key].into_iter().chain(&files.ocsp));
        certificates.chain(&self.client_auth.ca).chain(&self.client_auth.crl)
    }
}

impl State {
    /// The keys of tickets stay, unless others are let in now: a session that is resumed is not checked again.
    fn ticketer_for(&self, loaded: &Loaded) -> Result<Arc<dyn ProducesTickets>, Vec<Fault>> {
        if loaded.client_auth_digest == self.loaded.client_auth_digest {
            return Ok(Arc::clone(&self.ticketer));
        }
        ticketer()
    }

    fn current(&self, settings: &Settings) -> Current {
        let certificates = self.loaded.certificates.iter().chain(self.acme.values()).cloned().collect();
        let table = Arc::new(Table::new(certificates, self.challenges.clone()));
        let mut config = self.loaded.config.clone();
        config.ticketer = Arc::clone(&self.ticketer);
        config.cert_resolver = Arc::<Table>::clone(&table);
        config.alpn_protocols.clone_from(&settings.alpn);
        if table.has_challenges() {
            // The last one: no client that offers anything else comes to speak it.
            config.alpn_protocols.push(ACME_TLS_ALPN.to_vec());
        }
        Current { config: Arc::new(config), table }
    }
}

impl Loaded {
    fn read(settings: &Settings) -> Result<Self, Vec<Fault>> {
        let provider = provider();
        let mut files = Files::default();
        let certificates: Vec<Certificate> = settings
            .certificates
            .iter()
            .enumerate()
            .filter_map(|(index, paths)| certificate(&mut files, &format!("certificates[{index}]"), paths))
            .collect();
        let mut client_files = Files::default();
        let verifier = verifier(&settings.client_auth, &provider, &mut client_files);
        let client_auth_digest = client_files.digest();
        files.add_to_digest(client_auth_digest);
        files.faults.append(&mut client_files.faults);
        let versions: &[_] = match settings.min_version {
            Version::Tls12 => &[&TLS13, &TLS12],
            Version::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions);
        let (Some(verifier), false) = (verifier, files.faults.iter().any(Fault::is_error)) else {
            return Err(files.faults);
        };
        let builder = builder.map_err(|error| vec![unusable(&error)])?;
        // The resolver is put in its place later.
        let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(Arc::new(Table::default()));
        frugal(&mut config);
        let digest = files.digest();
        Ok(Self { certificates, config, warnings: files.faults, digest, client_auth_digest })
    }
}

/// What a connection may cost.
///
/// An idle one takes 7.7 KiB of resident memory (rustls 0.23, glibc; nginx with OpenSSL takes 14 KiB): half of it is the
/// 4 KiB that rustls reads into. Fragments have their whole size, 16 KiB: they are made when something is
/// sent and gone when it was, so smaller ones would save an idle connection nothing. Two tickets, the default, cost
/// some 1% of a handshake over one, and let a browser resume two connections that it opens at once.
fn frugal(config: &mut ServerConfig) {
    // Sessions are kept by the clients, as tickets: the cache that is the default holds 256 sessions, and a lock.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // What a request costs us is not to be had by replaying it (RFC 8446 §8).
    config.max_early_data_size = 0;
}

fn certificate(files: &mut Files, setting: &str, paths: &CertificateFiles) -> Option<Certificate> {
    let cert_setting = format!("{setting}.cert");
    let pair = read_pair(files, &provider(), (&cert_setting, &paths.cert), (&format!("{setting}.key"), &paths.key));
    let ocsp = paths.ocsp.as_ref().map(|path| files.ocsp(&format!("{setting}.ocsp"), path));
    // None where there is none: rustls panics on an empty one.
    let pair = CertifiedKey { ocsp: ocsp.flatten(), ..pair? };
    match Certificate::of_server(pair) {
        Ok(certificate) => {
            files.faults.extend(certificate.out_of_date(&cert_setting, &paths.cert));
            Some(certificate)
        }
        Err(reason) => {
            not_of_server(files, &cert_setting, &paths.cert, &reason);
            None
        }
    }
}

fn ticketer() -> Result<Arc<dyn ProducesTickets>, Vec<Fault>> {
    Ticketer::new().map_err(|error| vec![unusable(&error)])
}

fn unusable(error: &rustls::Error) -> Fault {
    Fault::error("", format!("TLS can't be set up: {error}"), "this is a defect of the machine or of Tollgate")
}
