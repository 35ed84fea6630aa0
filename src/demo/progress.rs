//! Progress of long work: a bar on a terminal, log lines elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(2);

/// The progress of one piece of work; may be advanced from several threads.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    total: u64,
    done: AtomicU64,
    bar: Option<ProgressBar>,
    logged: Mutex<Instant>,
}

impl Progress {
    /// Begins; `total` may be a guess.
    pub(super) fn new(what: &'static str, total: u64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg:<26} {wide_bar} {human_pos} rows {per_sec}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total).with_style(style).with_message(what)
        });
        if bar.is_none() {
            tracing::info!(rows = total, "{what}");
        }
        Progress { what, total, done: AtomicU64::new(0), bar, logged: Mutex::new(Instant::now()) }
    }

    /// `rows` more are done.
    pub(super) fn add(&self, rows: u64) {
        let done = self.done.fetch_add(rows, Ordering::Relaxed) + rows;
        self.show(done);
    }

    /// `rows` are done in all.
    pub(super) fn set(&self, rows: u64) {
        self.done.store(rows, Ordering::Relaxed);
        self.show(rows);
    }

    fn show(&self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done.min(self.total));
            return;
        }
        let mut logged = self.logged.lock().unwrap_or_else(|it| it.into_inner());
        if logged.elapsed() >= LOG_INTERVAL {
            *logged = Instant::now();
            tracing::info!(done, of = self.total, "{}", self.what);
        }
    }

    /// It is done.
    pub(super) fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        tracing::info!(rows = self.done.load(Ordering::Relaxed), "{}: done", self.what);
    }
}
