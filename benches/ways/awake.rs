//! Keeps the machine's cores from sleeping while something is timed.
//!
//! A core that sleeps between two requests takes tens of microseconds to wake, so an idle machine answers a lone caller
//! later than a busy one. Background loops of the lowest scheduling class keep every core awake in all measurements
//! alike; anything else that wants to run takes a core from them at once.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// The loops; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Awake(Vec<Child>);

impl Awake {
    /// One loop a core. It fails where `chrt` (util-linux) is missing.
    pub(crate) fn start() -> Result<Awake> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut awake = Awake(Vec::new());
        for _ in 0..cores {
            let mut command = Command::new("chrt");
            command.args(["--idle", "0", "sh", "-c", "while :; do :; done"]).stdin(Stdio::null());
            awake.0.push(command.spawn().context("cannot run chrt, which is part of util-linux")?);
        }
        Ok(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // A loop that has ended already needs no end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
