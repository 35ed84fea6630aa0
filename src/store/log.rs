//! The log: the files journal entries are in, one after the other, until a checkpoint contains them.
//!
//! ```text
//! journal/{first epoch, 20 digits}.log    a segment; each checkpoint begins another
//! [length u32][length inverted u32][entry] …
//! ```
//! Integers are little-endian. An entry is in its file when [`Log::append`] returns, so it survives the process from
//! then on, and a power loss after [`Unsynced::sync`]. What a killed process wrote of an entry it did not finish was
//! never published and is passed over; anything else that does not read back is named and never skipped, but for the
//! end that a power loss may have left half written.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::error::StoreError;

/// Bytes in front of each entry.
pub(super) const FRAME: usize = 8;

/// The one who appends.
#[derive(Debug)]
pub(super) struct Log {
    directory: PathBuf,
    segment: Arc<File>,
    /// Bytes of whole entries in the segment.
    length: u64,
    unsynced: Arc<Unsynced>,
}

impl Log {
    /// Goes on in a new segment that begins with `epoch`; what earlier ones hold has been replayed.
    pub(super) fn open(directory: &Path, epoch: u64) -> Result<Log, StoreError> {
        let segment = create(directory, epoch)?;
        let unsynced = Unsynced {
            directory: directory.to_owned(),
            files: Mutex::new(vec![segment.clone()]),
            created: AtomicBool::new(true),
        };
        Ok(Log { directory: directory.to_owned(), segment, length: 0, unsynced: Arc::new(unsynced) })
    }

    /// Appends what [`frame`] made whole. On an error nothing of it is left in the log, unless it is an error that
    /// does not pass.
    pub(super) fn append(&mut self, framed: &[u8]) -> Result<(), StoreError> {
        if let Err(error) = self.segment.write_all_at(framed, self.length) {
            self.segment.set_len(self.length)?;
            return Err(error.into());
        }
        self.length += framed.len() as u64;
        Ok(())
    }

    /// Begins the segment of `epoch` and later ones.
    pub(super) fn rotate(&mut self, epoch: u64) -> Result<(), StoreError> {
        if self.length == 0 {
            return Ok(());
        }
        self.segment = create(&self.directory, epoch)?;
        self.length = 0;
        self.unsynced.begin(&self.segment);
        Ok(())
    }

    /// A handle that makes what was appended survive a power loss, for another thread.
    pub(super) fn unsynced(&self) -> Arc<Unsynced> {
        self.unsynced.clone()
    }
}

/// What was written and may not be on disk yet.
#[derive(Debug)]
pub(super) struct Unsynced {
    directory: PathBuf,
    /// Segments with entries that may not be fsynced; the last one is being appended to.
    files: Mutex<Vec<Arc<File>>>,
    /// Whether a segment may not be in its directory after a power loss.
    created: AtomicBool,
}

impl Unsynced {
    /// Fsyncs everything that was appended before the call.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let files = self.files().clone();
        if self.created.swap(false, Ordering::AcqRel) {
            File::open(&self.directory)?.sync_all()?;
        }
        files.iter().try_for_each(|file| file.sync_data())?;
        if let Some((_, done)) = files.split_last() {
            self.files().drain(..done.len());
        }
        Ok(())
    }

    fn begin(&self, segment: &Arc<File>) {
        self.files().push(segment.clone());
        self.created.store(true, Ordering::Release);
    }

    fn files(&self) -> std::sync::MutexGuard<'_, Vec<Arc<File>>> {
        self.files.lock().unwrap_or_else(|it| it.into_inner())
    }
}

/// Fills in the first [`FRAME`] bytes of `entry`, which were left free for it.
pub(super) fn frame(entry: &mut [u8]) {
    let length = (entry.len() - FRAME) as u32;
    entry[..4].copy_from_slice(&length.to_le_bytes());
    entry[4..FRAME].copy_from_slice(&(!length).to_le_bytes());
}

/// What to do with an entry that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// It is refused.
    Refused,
    /// A power loss may have left the end of the log like this: whatever is behind what was fsynced is forgotten.
    Forgotten,
}

/// Hands every entry to `visit`, oldest first. `visit` tells what damage at the next place means.
///
/// # Errors
/// What `visit` gives, unless the damage is to be forgotten.
pub(super) fn replay(
    directory: &Path,
    mut visit: impl FnMut(&[u8]) -> Result<(), StoreError>,
    mut damage: impl FnMut() -> Damage,
) -> Result<(), StoreError> {
    let segments = segments(directory)?;
    let last = segments.len().saturating_sub(1);
    for (nth, (_, path)) in segments.iter().enumerate() {
        let mut reader = SegmentReader::open(path)?;
        loop {
            let outcome = match reader.next() {
                Ok(Some(entry)) => visit(entry),
                Ok(None) => break,
                Err(Unreadable::CutOff) if nth == last => {
                    reader.truncate(path)?;
                    break;
                }
                Err(Unreadable::Io(error)) => return Err(error.into()),
                Err(_) => Err(reader.corrupt()),
            };
            match outcome {
                Ok(()) => reader.accept(),
                Err(StoreError::Corrupt(what)) if damage() == Damage::Forgotten => {
                    tracing::warn!("a power loss left the end of the journal damaged, it is forgotten: {what}");
                    reader.truncate(path)?;
                    return segments[nth + 1..].iter().try_for_each(|(_, path)| Ok(std::fs::remove_file(path)?));
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Removes the segments that hold nothing behind `epoch`; the newest segment stays.
pub(super) fn trim(directory: &Path, epoch: u64) -> Result<(), StoreError> {
    let segments = segments(directory)?;
    for pair in segments.windows(2) {
        let ((_, path), (next, _)) = (&pair[0], &pair[1]);
        if *next <= epoch.saturating_add(1) {
            std::fs::remove_file(path).map_err(StoreError::at(path))?;
        }
    }
    Ok(())
}

/// Makes every segment survive a power loss as it was found.
pub(super) fn sync_all(directory: &Path) -> Result<(), StoreError> {
    for (_, path) in segments(directory)? {
        File::open(&path).and_then(|it| it.sync_all()).map_err(StoreError::at(&path))?;
    }
    File::open(directory).and_then(|it| it.sync_all()).map_err(StoreError::at(directory))
}

fn create(directory: &Path, epoch: u64) -> Result<Arc<File>, StoreError> {
    // One of this name holds no entry, or recovery would have gone on behind it.
    let path = directory.join(format!("{epoch:020}.log"));
    let created = OpenOptions::new().write(true).create(true).truncate(true).open(&path);
    Ok(Arc::new(created.map_err(StoreError::at(&path))?))
}

/// The segments with the first epoch of each, in order.
fn segments(directory: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(StoreError::at(directory))? {
        let path = entry?.path();
        let stem =
            path.file_stem().and_then(|it| it.to_str()).filter(|_| path.extension().is_some_and(|it| it == "log"));
        if let Some(epoch) = stem.and_then(|it| it.parse().ok()) {
            segments.push((epoch, path));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Why no entry could be read.
enum Unreadable {
    /// The file ends within it.
    CutOff,
    /// What stands in front of it is no frame.
    NoFrame,
    Io(std::io::Error),
}

/// Reads a segment entry by entry.
struct SegmentReader {
    file: BufReader<File>,
    name: String,
    /// Bytes of the entries that were accepted.
    accepted: u64,
    length: u64,
    entry: Vec<u8>,
}

impl SegmentReader {
    fn open(path: &Path) -> Result<SegmentReader, StoreError> {
        let file = File::open(path).map_err(StoreError::at(path))?;
        let (length, name) = (file.metadata()?.len(), path.display().to_string());
        Ok(SegmentReader {
            file: BufReader::with_capacity(1 << 20, file),
            name,
            accepted: 0,
            length,
            entry: Vec::new(),
        })
    }

    /// The next entry; `None` at the end.
    fn next(&mut self) -> Result<Option<&[u8]>, Unreadable> {
        let left = self.length - self.accepted;
        if left == 0 {
            return Ok(None);
        }
        if left < FRAME as u64 {
            return Err(Unreadable::CutOff);
        }
        let mut frame = [0; FRAME];
        self.file.read_exact(&mut frame).map_err(Unreadable::Io)?;
        let word = |at: usize| u32::from_le_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
        let length = word(0);
        if word(4) != !length {
            return Err(Unreadable::NoFrame);
        }
        if left - (FRAME as u64) < u64::from(length) {
            return Err(Unreadable::CutOff);
        }
        self.entry.resize(length as usize, 0);
        self.file.read_exact(&mut self.entry).map_err(Unreadable::Io)?;
        Ok(Some(&self.entry))
    }

    fn accept(&mut self) {
        self.accepted += (FRAME + self.entry.len()) as u64;
    }

    fn corrupt(&self) -> StoreError {
        StoreError::Corrupt(format!("{} is damaged behind byte {}", self.name, self.accepted))
    }

    fn truncate(&self, path: &Path) -> Result<(), StoreError> {
        Ok(OpenOptions::new().write(true).open(path)?.set_len(self.accepted)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(entry: &[u8]) -> Vec<u8> {
        let mut bytes = [&[0; FRAME], entry].concat();
        frame(&mut bytes);
        bytes
    }

    /// Three segments of two entries each, which are `1`, `2` … `6`.
    fn filled() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::open(directory.path(), 1).unwrap();
        for epoch in 1..=6u8 {
            log.append(&framed(&[epoch])).unwrap();
            if epoch % 2 == 0 {
                log.rotate(u64::from(epoch) + 1).unwrap();
                log.rotate(u64::from(epoch) + 1).unwrap();
            }
        }
        directory
    }

    fn read(directory: &Path, damage: Damage) -> Result<Vec<u8>, StoreError> {
        let mut entries = Vec::new();
        let visit = |entry: &[u8]| {
            entries.extend_from_slice(entry);
            if entry.len() == 1 { Ok(()) } else { Err(StoreError::Corrupt("not one byte".into())) }
        };
        replay(directory, visit, || damage).map(|()| entries)
    }

    fn segment(directory: &Path, epoch: u64) -> PathBuf {
        directory.join(format!("{epoch:020}.log"))
    }

    #[test]
    fn entries_come_back_in_order_until_they_are_trimmed() {
        let directory = filled();
        assert_eq!(read(directory.path(), Damage::Refused).unwrap(), [1, 2, 3, 4, 5, 6]);
        trim(directory.path(), 3).unwrap();
        assert_eq!(read(directory.path(), Damage::Refused).unwrap(), [3, 4, 5, 6]);
        trim(directory.path(), 6).unwrap();
        assert!(read(directory.path(), Damage::Refused).unwrap().is_empty());
        trim(directory.path(), 100).unwrap();
        assert!(segment(directory.path(), 7).exists());
        sync_all(directory.path()).unwrap();
    }

    #[test]
    fn an_entry_that_was_not_finished_is_passed_over_at_the_end_only() {
        let directory = filled();
        std::fs::remove_file(segment(directory.path(), 7)).unwrap();
        let whole = std::fs::read(segment(directory.path(), 5)).unwrap();
        for length in 0..whole.len() {
            std::fs::write(segment(directory.path(), 5), &whole[..length]).unwrap();
            let expected: &[u8] = if length < FRAME + 1 { &[1, 2, 3, 4] } else { &[1, 2, 3, 4, 5] };
            assert_eq!(read(directory.path(), Damage::Refused).unwrap(), expected, "{length} bytes");
        }
        std::fs::write(segment(directory.path(), 5), &whole).unwrap();
        std::fs::write(segment(directory.path(), 3), &whole[..whole.len() - 1]).unwrap();
        let error = read(directory.path(), Damage::Refused).unwrap_err().to_string();
        assert!(error.contains("00000000000000000003.log is damaged behind byte 9"), "{error}");
    }

    #[test]
    fn damage_is_refused_or_ends_the_log() {
        for at in 0..FRAME {
            let directory = filled();
            let mut bytes = std::fs::read(segment(directory.path(), 3)).unwrap();
            bytes[FRAME + 1 + at] ^= 1;
            std::fs::write(segment(directory.path(), 3), bytes).unwrap();
            assert!(matches!(read(directory.path(), Damage::Refused), Err(StoreError::Corrupt(_))), "byte {at}");
            assert_eq!(read(directory.path(), Damage::Forgotten).unwrap(), [1, 2, 3], "byte {at}");
            assert_eq!(read(directory.path(), Damage::Refused).unwrap(), [1, 2, 3], "byte {at}");
        }
    }

    #[test]
    fn an_entry_that_cannot_be_written_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::open(directory.path(), 1).unwrap();
        log.append(&framed(&[1])).unwrap();
        let writable = std::mem::replace(&mut log.segment, Arc::new(File::open("/dev/full").unwrap()));
        assert!(log.append(&framed(&[2])).is_err());
        log.segment = writable;
        log.append(&framed(&[2])).unwrap();
        log.unsynced().sync().unwrap();
        assert_eq!(read(directory.path(), Damage::Refused).unwrap(), [1, 2]);
    }
}
