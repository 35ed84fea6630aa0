//! How long the machine itself keeps threads waiting: a thread that only sleeps and wakes up sees it. What a server is
//! late by counts beyond that only, so that a test means the same on a busy machine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a thread sleeps at a time.
const SLEEP: Duration = Duration::from_millis(1);
/// What is shorter is no stall.
const SHORT: Duration = Duration::from_millis(2);

/// The stalls from now on.
pub(crate) struct Stalls {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<(Instant, Instant)>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Stalls {
    pub(crate) fn watch() -> Stalls {
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let cores = std::thread::available_parallelism().map_or(1, |it| it.get());
        let watch = |_| {
            let (over, seen) = (Arc::clone(&over), Arc::clone(&seen));
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let due = Instant::now() + SLEEP;
                    std::thread::park_timeout(SLEEP);
                    let now = Instant::now();
                    if now.saturating_duration_since(due) > SHORT {
                        seen.lock().expect("no thread panics with it").push((due, now));
                    }
                }
            })
        };
        let threads = (0..cores).map(watch).collect();
        Stalls { over, seen, threads }
    }

    /// The longest stall that had to do with this time.
    pub(crate) fn longest(&self, from: Instant, to: Instant) -> Duration {
        let seen = self.seen.lock().expect("no thread panics with it");
        let during = seen.iter().filter(|(began, ended)| *began < to && *ended > from);
        during.map(|(began, ended)| ended.duration_since(*began)).max().unwrap_or_default()
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
