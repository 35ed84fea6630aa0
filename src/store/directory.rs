//! The data directory: who has it open, which format it has, and how its last use ended.
//!
//! ```text
//! PID            locked while open; holds the process id
//! vantage.json   format, incarnation, the machine's boot, whether the last use was closed cleanly
//! DURABLE        the newest epoch known to be fsynced, so that a damaged journal is noticed
//! rocksdb/       the checkpointed rows   ingest/   files on their way into it
//! journal/       the epochs since
//! ```

use std::cmp::Ordering;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::StoreError;

/// The format this version reads and writes.
pub(super) const FORMAT: u64 = 3;

/// What `vantage.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LastUse {
    pub(super) format: u64,
    pub(super) incarnation: u64,
    /// Names one start of the machine: what was written but not fsynced survives within it.
    pub(super) boot: Option<String>,
    pub(super) clean: bool,
}

/// An open data directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    durable: File,
}

impl Directory {
    /// Opens or creates the directory; also returns the lock, which must live as long as the database.
    pub(super) fn open(path: &Path) -> Result<(Directory, File), StoreError> {
        if path.exists() && !path.is_dir() {
            return Err(StoreError::Storage(format!("{} is a file, not a directory", path.display())));
        }
        std::fs::create_dir_all(path).map_err(StoreError::at(path))?;
        let lock = lock(path)?;
        let durable = open(&path.join("DURABLE"))?;
        // Files of a checkpoint that did not get as far as being taken in; the journal still has their rows.
        let leftovers = path.join("ingest");
        if leftovers.exists() {
            std::fs::remove_dir_all(&leftovers).map_err(StoreError::at(&leftovers))?;
        }
        Ok((Directory { path: path.to_owned(), durable }, lock))
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join("rocksdb")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    pub(super) fn ingest(&self) -> PathBuf {
        self.path.join("ingest")
    }

    /// How the last use ended; `None` when the directory was never used or does not tell.
    pub(super) fn last_use(&self) -> Result<Option<LastUse>, StoreError> {
        #[derive(Deserialize)]
        struct OnlyFormat {
            format: u64,
        }
        let file = self.path.join("vantage.json");
        let bytes = match std::fs::read(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(StoreError::at(&file))?,
        };
        let corrupt = |error: serde_json::Error| StoreError::Corrupt(format!("{}: {error}", file.display()));
        // Another format may say everything else differently.
        let OnlyFormat { format } = serde_json::from_slice(&bytes).map_err(corrupt)?;
        let dir = self.path.display().to_string();
        match format.cmp(&FORMAT) {
            Ordering::Less => return Err(StoreError::OlderFormat { dir, found: format, supported: FORMAT }),
            Ordering::Greater => return Err(StoreError::NewerFormat { dir, found: format, supported: FORMAT }),
            Ordering::Equal => {}
        }
        serde_json::from_slice(&bytes).map(Some).map_err(corrupt)
    }

    /// Writes down how this use begins or ends, so that it survives a power loss.
    pub(super) fn note_use(&self, incarnation: u64, clean: bool) -> Result<(), StoreError> {
        let note = LastUse { format: FORMAT, incarnation, boot: boot(), clean };
        let text = serde_json::to_vec(&note).map_err(|error| StoreError::Storage(error.to_string()))?;
        let (new, file) = (self.path.join("vantage.json.new"), self.path.join("vantage.json"));
        let write = || {
            let mut written = File::create(&new)?;
            written.write_all(&text)?;
            written.sync_all()?;
            std::fs::rename(&new, &file)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(StoreError::at(&file))
    }

    /// The incarnation and the newest epoch of it that were noted as fsynced.
    pub(super) fn noted_durable(&self) -> Option<(u64, u64)> {
        let mut bytes = [0; 16];
        self.durable.read_exact_at(&mut bytes, 0).ok()?;
        let (incarnation, epoch) = bytes.split_at(8);
        Some((u64::from_le_bytes(incarnation.try_into().ok()?), u64::from_le_bytes(epoch.try_into().ok()?)))
    }

    /// Notes that `epoch` is fsynced. The note itself is not: after a power loss an older one only says less.
    pub(super) fn note_durable(&self, incarnation: u64, epoch: u64) -> Result<(), StoreError> {
        let note = [incarnation.to_le_bytes(), epoch.to_le_bytes()].concat();
        Ok(self.durable.write_all_at(&note, 0)?)
    }
}

/// Names this start of the machine, where the system tells.
pub(super) fn boot() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

/// Opens or creates a file of the directory, keeping what it holds.
fn open(path: &Path) -> Result<File, StoreError> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    opened.map_err(StoreError::at(path))
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let mut file = open(&path.join("PID"))?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            file.write_all(std::process::id().to_string().as_bytes())?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // The other process may be about to write its number; then the message says less.
            let read = file.read_to_string(&mut pid);
            let pid = if read.is_ok() && !pid.is_empty() { pid } else { "unknown".to_owned() };
            Err(StoreError::InUse { dir: path.display().to_string(), pid })
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}
