//! Progress of long work: a bar on a terminal, log lines elsewhere.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::change::grouped;

/// Between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(2);

/// The bar on the terminal, if there is one.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(|it| it.into_inner())
}

/// Standard error, for log lines: a bar that is shown makes room for them.
#[derive(Debug, Clone, Copy)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let bar = shown().clone();
        match bar {
            Some(bar) => bar.suspend(|| io::stderr().write(text)),
            None => io::stderr().write(text),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

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
            let style = ProgressStyle::with_template("{msg:<26} {wide_bar} {human_pos} rows {rate}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
                // Nobody is told when a terminal fails.
                _ = write!(out, "{} rows/s", grouped(state.per_sec() as usize));
            };
            let style = style.with_key("rate", rate);
            ProgressBar::new(total).with_style(style).with_message(what)
        });
        if bar.is_none() {
            tracing::info!(rows = total, "{what}");
        }
        shown().clone_from(&bar);
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
        let (what, rows) = (self.what, self.done.load(Ordering::Relaxed));
        drop(self);
        tracing::info!(rows, "{what}: done");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = shown().take() {
            bar.finish_and_clear();
        }
    }
}
