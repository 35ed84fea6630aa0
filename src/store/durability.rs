//! What is fsynced, and whether writing may go on; shared by the thread that commits and one that syncs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::directory::Directory;
use super::error::StoreError;
use super::log::Unsynced;

/// The newest epochs committed and fsynced, and the failure that ended writing, if any.
#[derive(Debug)]
pub(super) struct Durability {
    directory: Directory,
    incarnation: u64,
    committed: AtomicU64,
    durable: AtomicU64,
    failure: OnceLock<String>,
}

impl Durability {
    /// At the start, when everything up to `epoch` is fsynced.
    pub(super) fn new(directory: Directory, incarnation: u64, epoch: u64) -> Durability {
        let (committed, durable) = (AtomicU64::new(epoch), AtomicU64::new(epoch));
        Durability { directory, incarnation, committed, durable, failure: OnceLock::new() }
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(super) fn note_committed(&self, epoch: u64) {
        self.committed.store(epoch, Ordering::Release);
    }

    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// An error once something failed in a way that leaves unknown what is on disk.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.failure.get() {
            Some(reason) => Err(StoreError::Poisoned(reason.clone())),
            None => Ok(()),
        }
    }

    /// Passes a result on; an error that does not pass by itself ends writing for good.
    pub(super) fn guard<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result
            && !error.is_passing()
        {
            // The first failure is the reason; later ones are its consequences.
            let _ = self.failure.set(error.to_string());
        }
        result
    }

    fn sync(&self, unsynced: &Unsynced) -> Result<u64, StoreError> {
        self.check()?;
        let epoch = self.committed.load(Ordering::Acquire);
        if self.durable() < epoch {
            // After a failed fsync the kernel may have dropped what it could not write: never try again.
            if let Err(error) = unsynced.sync() {
                let _ = self.failure.set(format!("fsync: {error}"));
                return Err(error);
            }
            self.durable.fetch_max(epoch, Ordering::AcqRel);
            match self.guard(self.directory.note_durable(self.incarnation, epoch)) {
                // An older note only says less: what is fsynced is so without it.
                Err(error) if error.is_passing() => tracing::warn!(%error, epoch, "not noted as fsynced"),
                noted => noted?,
            }
        }
        Ok(self.durable())
    }
}

/// Makes commits survive a power loss; may be used on another thread while commits go on.
#[derive(Debug, Clone)]
pub struct Syncer {
    pub(super) unsynced: Arc<Unsynced>,
    pub(super) durability: Arc<Durability>,
}

impl Syncer {
    /// Fsyncs the log and returns the newest epoch that survives a power loss. After an error no commit is taken.
    pub fn sync(&self) -> Result<u64, StoreError> {
        self.durability.sync(&self.unsynced)
    }
}
