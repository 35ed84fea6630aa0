//! Which server it is, and whether changes can be read from it at all.

use super::fault::Fault;
use super::session::{Session, text};
use super::settings::Settings;

/// From this version on all that is asked for is there.
const LEAST_VERSION: u32 = 130_000;

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// The identity of its data: a copy of it has the same one.
    pub(super) system: String,
    /// It is counted up when a copy takes over, or when a backup is restored.
    pub(super) timeline: u32,
}

impl Server {
    /// The server that a session leads to, which must be able to say what changes.
    pub(super) fn known(session: &mut Session<'_>, settings: &Settings) -> Result<Server, Fault> {
        let answer = session.ask("IDENTIFY_SYSTEM")?;
        let at = |column| answer.first().and_then(|row| text(row, column));
        let server = at(0).zip(at(1).and_then(|it| it.parse().ok()));
        let place = settings.place();
        let (system, timeline) =
            server.ok_or_else(|| Fault::Halt(format!("{place} does not say who it is: it is no PostgreSQL server")))?;
        let server = Server { system: system.to_string(), timeline };
        let facts = session.ask(
            "SELECT current_setting('server_version_num'), current_setting('server_version'), \
             current_setting('wal_level'), pg_is_in_recovery()",
        )?;
        let fact = |column| facts.first().and_then(|row| text(row, column)).unwrap_or_default();
        if fact(0).parse().is_ok_and(|it: u32| it < LEAST_VERSION) {
            return Err(Fault::Halt(format!("{place} is of version {}; 13 or newer is needed", fact(1))));
        }
        if fact(3) == "t" {
            return Err(Fault::Halt(format!("{place} is a standby; name the primary server in the option host")));
        }
        if fact(2) != "logical" {
            return Err(Fault::Halt(format!(
                "{place} has wal_level = {}, with which changes cannot be read: run as an administrator \
                 ALTER SYSTEM SET wal_level = logical, and restart the server",
                fact(2)
            )));
        }
        Ok(server)
    }

    /// Whether what was read up to `at` on an earlier timeline is also what this one has up to there.
    pub(super) fn continues(&self, session: &mut Session<'_>, timeline: u32, at: u64) -> Result<bool, Fault> {
        if timeline == self.timeline {
            return Ok(true);
        }
        if timeline > self.timeline {
            return Ok(false);
        }
        let answer = session.ask(&format!("TIMELINE_HISTORY {}", self.timeline))?;
        let history = answer.first().and_then(|row| text(row, 1)).unwrap_or_default();
        Ok(ends(history, timeline).is_some_and(|end| end >= at))
    }
}

/// Where `timeline` ended, according to the history of a later one.
fn ends(history: &str, timeline: u32) -> Option<u64> {
    let line = history.lines().find(|it| it.split_whitespace().next() == Some(timeline.to_string().as_str()))?;
    lsn(line.split_whitespace().nth(1)?)
}

/// A log sequence number from its text.
pub(super) fn lsn(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let half = |it| u32::from_str_radix(it, 16).ok();
    Some(u64::from(half(high)?) << 32 | u64::from(half(low)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_say_where_timelines_ended() {
        let history = "1\t0/3000000\tno recovery target specified\n\n2\t1/5\tbefore x\n";
        assert_eq!(ends(history, 1), Some(0x300_0000));
        assert_eq!(ends(history, 2), Some(0x1_0000_0005));
        assert_eq!(ends(history, 3), None);
        assert_eq!(lsn("16/B374D848"), Some(0x16_B374_D848));
    }
}
