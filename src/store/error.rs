//! What can go wrong in the store, coarse enough that the caller knows what to do.

use std::path::Path;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// RocksDB or the file system failed.
    #[error("the store failed: {0}")]
    Storage(String),
    /// Stored bytes are not what was written.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
    /// The disk is full. Nothing of the refused commit was applied; the same commit may be tried again.
    #[error("the disk of the data directory is full: {0}; free space, the same commit is then tried again")]
    Full(String),
    /// Another process has the directory open.
    #[error("the data directory {dir} is in use by another vantage process (pid {pid})")]
    InUse {
        /// The directory.
        dir: String,
        /// The other process, as it wrote itself down.
        pid: String,
    },
    /// A newer version of the program wrote the directory.
    #[error(
        "the data directory {dir} has format {found}, newer than the format {supported} this version of vantage reads"
    )]
    NewerFormat {
        /// The directory.
        dir: String,
        /// Its format.
        found: u64,
        /// The newest format known here.
        supported: u64,
    },
    /// A version of the program before 1.0 wrote the directory in a way that is no longer read.
    #[error(
        "the data directory {dir} has format {found}, and this version of vantage reads format {supported}: remove the \
         directory, it is built anew from the sources"
    )]
    OlderFormat {
        /// The directory.
        dir: String,
        /// Its format.
        found: u64,
        /// The format known here.
        supported: u64,
    },
    /// An earlier failure left it unknown what is on disk, so nothing more is written.
    #[error("the store stopped taking writes after an earlier failure: {0}")]
    Poisoned(String),
    /// The caller asked for something that is never right.
    #[error("the store was misused: {0}")]
    Misuse(String),
}

impl StoreError {
    /// What an error means that the file system gave for `path`.
    pub(super) fn at(path: &Path) -> impl Fn(std::io::Error) -> StoreError {
        move |error| match StoreError::from(error) {
            StoreError::Storage(words) => StoreError::Storage(format!("{}: {words}", path.display())),
            other => other,
        }
    }

    /// Whether the store can go on after this error.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, StoreError::Full(_) | StoreError::Misuse(_))
    }
}

impl From<rocksdb::Error> for StoreError {
    fn from(error: rocksdb::Error) -> StoreError {
        let kind = error.kind();
        let message = error.into_string();
        if message.contains("No space left on device") || message.contains("Space limit reached") {
            StoreError::Full(message)
        } else if kind == rocksdb::ErrorKind::Corruption {
            StoreError::Corrupt(message)
        } else {
            StoreError::Storage(message)
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> StoreError {
        if error.kind() == std::io::ErrorKind::StorageFull {
            StoreError::Full(error.to_string())
        } else {
            StoreError::Storage(error.to_string())
        }
    }
}
