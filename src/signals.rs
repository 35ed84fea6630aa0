//! SIGTERM and SIGINT: the first one asks the process to end, a second one ends it at once. SIGHUP asks for something else.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Exit code of a process that a signal ended.
pub const EXIT_CODE: u8 = 130;

/// Whether the process was asked to end.
#[derive(Debug, Clone)]
pub struct Interruption(watch::Receiver<bool>);

impl Interruption {
    /// Listens from now on, within a runtime. A second signal runs `last_act` before it ends the process.
    pub async fn listen(last_act: impl FnOnce() + Send + 'static) -> io::Result<Interruption> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (asked, receiver) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::info!("ending; a second signal ends the process at once");
            asked.send_replace(true);
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            last_act();
            std::process::exit(i32::from(EXIT_CODE));
        });
        Ok(Interruption(receiver))
    }

    /// Whether it was asked by now.
    pub fn happened(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once it is asked.
    pub async fn wait(mut self) {
        // Without a sender the runtime is ending, and the process with it.
        _ = self.0.wait_for(|asked| *asked).await;
    }
}

/// Runs `act` at each SIGHUP from now on, within a runtime, instead of ending the process.
pub fn on_hangup(act: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            act();
        }
    });
    Ok(())
}
