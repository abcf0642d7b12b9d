//! Databases of addresses: files in MaxMind's format, read once for all who use them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::{fs, io};

use maxminddb::{MaxMindDbError, Reader};
use parking_lot::Mutex;
use tollgate_core::Fingerprint;

use super::places::Place;

/// A database, whole in memory: a file that is mapped and then cut short kills the process that reads it.
pub(super) struct Database(Reader<Vec<u8>>);

/// Why a file is of no use, and what would help.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) why: String,
    pub(super) help: String,
}

/// A database that somebody uses, what its file was then, and where.
type InUse = (PathBuf, Fingerprint, Weak<Database>);

/// All databases in use. Routes, and one config and the next, share what they read from the same file.
static IN_USE: Mutex<Vec<InUse>> = Mutex::new(Vec::new());

impl Database {
    /// The database in a file that knows things of this kind.
    ///
    /// # Errors
    /// If there is none: the file cannot be read, is damaged, or is about something else.
    pub(super) fn open<P: Place>(path: &Path) -> Result<Arc<Self>, Unusable> {
        let shown = path.display();
        let database = shared(path).map_err(|error| match error {
            Failure::Read(error) => Unusable {
                why: format!("the database `{shown}` can't be read: {error}"),
                help: "give a file in MaxMind's format (.mmdb); a relative path starts where the process runs"
                    .to_owned(),
            },
            Failure::Content(error) => Unusable {
                why: format!("`{shown}` is no whole database in MaxMind's format: {error}"),
                help: "fetch it anew, and put it in its place by a rename".to_owned(),
            },
        })?;
        let kind = &database.0.metadata().database_type;
        if P::TYPES.iter().any(|word| kind.contains(word)) {
            return Ok(database);
        }
        Err(Unusable {
            why: format!("`{shown}` is a database of the type `{kind}`, which knows no {}", P::PLURAL),
            help: format!("use one such as {}", P::SUCH_AS),
        })
    }

    /// What it says of an address; nothing where it does not know it.
    pub(super) fn find<P: Place>(&self, address: IpAddr) -> Option<P> {
        // An error is an IPv6 address in a database of IPv4: the content was looked through when it was read.
        self.0.lookup(address).ok().and_then(|entry| P::find(&entry))
    }
}

/// Why there is no database.
enum Failure {
    Read(io::Error),
    Content(MaxMindDbError),
}

fn shared(path: &Path) -> Result<Arc<Database>, Failure> {
    let mut in_use = IN_USE.lock();
    in_use.retain(|(_, _, database)| database.strong_count() > 0);
    // It comes before the content: what is written while that is read makes the file another.
    let meta = fs::metadata(path).map_err(Failure::Read)?;
    let fingerprint = Fingerprint::from(&meta);
    let same = in_use.iter().find(|(of, then, _)| of == path && *then == fingerprint);
    if let Some(database) = same.and_then(|(_, _, database)| database.upgrade()) {
        return Ok(database);
    }
    if !meta.is_file() {
        // A pipe would be waited for.
        return Err(Failure::Read(io::Error::other("it is no file")));
    }
    let reader = Reader::from_source(fs::read(path).map_err(Failure::Read)?).map_err(Failure::Content)?;
    reader.verify().map_err(Failure::Content)?;
    let database = Arc::new(Database(reader));
    in_use.push((path.to_owned(), fingerprint, Arc::downgrade(&database)));
    Ok(database)
}
