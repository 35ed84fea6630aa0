//! Wakes a source when its file may have changed: file events, and a slow poll for when those are lost.
//!
//! SQLite writes the file before the commit becomes visible, so an event only says "look closely": the commit is
//! there when `PRAGMA data_version` has moved.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// How long an event is believed to announce a commit.
const CLOSE_LOOK: Duration = Duration::from_millis(25);
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LAST_PAUSE: Duration = Duration::from_millis(5);

/// Which file it is, whatever it is called: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    /// The file at `path`.
    pub(super) fn of(path: &Path) -> io::Result<FileId> {
        std::fs::metadata(path).map(|it| FileId(it.dev(), it.ino()))
    }
}

/// Events about one file and its log.
pub(super) struct Watch {
    file: PathBuf,
    log: PathBuf,
    bell: Arc<Bell>,
    heard: u64,
    /// Dropped, it ends the watching.
    watcher: Option<RecommendedWatcher>,
    on: Option<Target>,
}

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The two files, as long as they are these: writes to other files of the directory, as when
    /// services lie side by side, then wake nobody.
    Files([FileId; 2]),
    /// The directory, while there is no log to watch.
    Directory,
}

#[derive(Default)]
struct Bell {
    rung: AtomicU64,
    /// Whether a file may have come, gone or been replaced.
    moved: AtomicBool,
    lock: Mutex<()>,
    condition: Condvar,
}

impl Watch {
    /// Watches the file at `path`; where that cannot be done, only the slow poll is left.
    pub(super) fn new(path: &Path) -> Watch {
        let bell = Arc::new(Bell::default());
        let log = log_of(path);
        let watcher = watcher(path, &log, Arc::clone(&bell));
        if let Err(error) = &watcher {
            tracing::warn!(path = %path.display(), %error, "file events are not available; polling");
        }
        let mut watch = Watch { file: path.to_owned(), log, bell, heard: 0, watcher: watcher.ok(), on: None };
        watch.aim();
        watch
    }

    /// Waits until an event came that was not waited for before, or `limit` has passed; true for an event.
    pub(super) fn wait(&mut self, limit: Duration) -> bool {
        let heard = self.listen(limit);
        // What is watched may have gone unnoticed, so a time without events is a reason to look again.
        let moved = self.bell.moved.swap(false, Ordering::AcqRel);
        let aimed = (moved || !heard) && self.aim();
        heard || aimed
    }

    fn listen(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut guard = self.bell.lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let rung = self.bell.rung.load(Ordering::Acquire);
            if rung != self.heard {
                self.heard = rung;
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.bell.condition.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Watches what is there now; true when that is something else than before, so that events may have been missed.
    fn aim(&mut self) -> bool {
        let wanted = match (FileId::of(&self.file), FileId::of(&self.log)) {
            (Ok(file), Ok(log)) => Target::Files([file, log]),
            _ => Target::Directory,
        };
        if self.on == Some(wanted) {
            return false;
        }
        let Some(watcher) = &mut self.watcher else { return false };
        let directory = directory_of(&self.file);
        for path in [&self.file, &self.log, directory] {
            // Most of them are not watched, or are gone.
            let _ = watcher.unwatch(path);
        }
        let watched = match wanted {
            Target::Files(_) => [&self.file, &self.log].iter().try_for_each(|it| watch(watcher, it)),
            Target::Directory => watch(watcher, directory),
        };
        if let Err(error) = &watched {
            tracing::debug!(path = %self.file.display(), %error, "a file cannot be watched yet");
        }
        self.on = watched.is_ok().then_some(wanted);
        true
    }

    /// After an event: asks `moved` again and again, ever more slowly, until it says yes or the event is too old.
    pub(super) fn look_closely<E>(&self, mut moved: impl FnMut() -> Result<bool, E>) -> Result<(), E> {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        while !moved()? && start.elapsed() < CLOSE_LOOK {
            thread::sleep(pause);
            pause = (pause * 2).min(LAST_PAUSE);
        }
        Ok(())
    }
}

/// A watcher that rings `bell` when something happens to `file` or `log`.
fn watcher(file: &Path, log: &Path, bell: Arc<Bell>) -> notify::Result<RecommendedWatcher> {
    let names = [file, log].map(|it| it.file_name().unwrap_or_default().to_os_string());
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let (relevant, moved) = match event {
            // Reading a file opens it, too.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => (false, false),
            Ok(event) => {
                let named = |it: &PathBuf| it.file_name().is_some_and(|it| names.iter().any(|name| name == it));
                let relevant = event.need_rescan() || event.paths.iter().any(named);
                (relevant, !matches!(event.kind, EventKind::Modify(ModifyKind::Data(_))))
            }
            Err(_) => (true, true),
        };
        if relevant {
            bell.moved.fetch_or(moved, Ordering::AcqRel);
            let _guard = bell.lock.lock().unwrap_or_else(PoisonError::into_inner);
            bell.rung.fetch_add(1, Ordering::AcqRel);
            bell.condition.notify_all();
        }
    })
}

fn watch(watcher: &mut RecommendedWatcher, path: &Path) -> notify::Result<()> {
    watcher.watch(path, RecursiveMode::NonRecursive)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Where the log of the file at `path` lies.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push("-wal");
    name.into()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn open(path: &Path) -> Connection {
        let connection = Connection::open(path).expect("file");
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (x)").expect("table");
        connection
    }

    fn write(connection: &Connection) {
        connection.execute_batch("INSERT INTO t VALUES (1)").expect("row");
    }

    /// Waits for events until they have come to an end.
    fn drain(watch: &mut Watch) {
        while watch.wait(Duration::from_millis(200)) {}
    }

    #[test]
    fn a_log_that_comes_and_goes_is_watched_all_the_same() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("a.db");
        drop(open(&path));
        let mut watch = Watch::new(&path);
        assert_eq!(watch.on, Some(Target::Directory), "the last connection took the log along");
        for _ in 0..3 {
            let writer = open(&path);
            write(&writer);
            assert!(watch.wait(PATIENCE));
            drain(&mut watch);
            assert!(matches!(watch.on, Some(Target::Files(_))), "{:?}", watch.on);
            write(&writer);
            assert!(watch.wait(PATIENCE), "a write to the log");
            drop(writer);
            assert!(watch.wait(PATIENCE), "the log went");
            drain(&mut watch);
            assert_eq!(watch.on, Some(Target::Directory));
        }
    }

    #[test]
    fn neighbours_wake_nobody() {
        let directory = tempfile::tempdir().expect("directory");
        let (path, other) = (directory.path().join("a.db"), directory.path().join("b.db"));
        let (writer, neighbour) = (open(&path), open(&other));
        write(&writer);
        let mut watch = Watch::new(&path);
        drain(&mut watch);
        write(&neighbour);
        assert!(!watch.wait(Duration::from_millis(200)), "a write to another file");
        write(&writer);
        assert!(watch.wait(PATIENCE));
        drain(&mut watch);
        let replaced = directory.path().join("c.db");
        std::fs::copy(&path, &replaced).expect("copy");
        std::fs::rename(&replaced, &path).expect("rename");
        assert!(watch.wait(PATIENCE), "another file in its place");
    }
}
