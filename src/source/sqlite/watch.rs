//! Wakes a source when its file may have changed: file events, and a slow poll for when those are lost.
//!
//! SQLite writes the file before the commit becomes visible, so an event only says "look closely": the commit is
//! there when `PRAGMA data_version` has moved.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// How long an event is believed to announce a commit.
const CLOSE_LOOK: Duration = Duration::from_millis(25);
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LAST_PAUSE: Duration = Duration::from_millis(5);

/// Events about one file and its log.
pub(super) struct Watch {
    bell: Arc<Bell>,
    heard: u64,
    /// Dropped, it ends the watching.
    _watcher: Option<RecommendedWatcher>,
}

#[derive(Default)]
struct Bell {
    rung: AtomicU64,
    lock: Mutex<()>,
    condition: Condvar,
}

impl Watch {
    /// Watches the directory of `path`; where that cannot be done, only the slow poll is left.
    pub(super) fn new(path: &Path) -> Watch {
        let bell = Arc::new(Bell::default());
        let watcher = start(path, Arc::clone(&bell));
        if let Err(error) = &watcher {
            tracing::warn!(path = %path.display(), %error, "file events are not available; polling");
        }
        Watch { bell, heard: 0, _watcher: watcher.ok() }
    }

    /// Waits until an event came that was not waited for before, or `limit` has passed; true for an event.
    pub(super) fn wait(&mut self, limit: Duration) -> bool {
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

fn start(path: &Path, bell: Arc<Bell>) -> notify::Result<RecommendedWatcher> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let file = path.file_name().unwrap_or_default().to_os_string();
    let mut log = file.clone();
    log.push("-wal");
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let relevant = match event {
            // Reading a file opens it, too.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
            Ok(event) => {
                event.need_rescan()
                    || event.paths.iter().any(|it| it.file_name().is_some_and(|it| it == file || it == log))
            }
            Err(_) => true,
        };
        if relevant {
            let _guard = bell.lock.lock().unwrap_or_else(PoisonError::into_inner);
            bell.rung.fetch_add(1, Ordering::AcqRel);
            bell.condition.notify_all();
        }
    })?;
    watcher.watch(directory, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}
