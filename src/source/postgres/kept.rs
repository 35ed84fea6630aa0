//! What the server keeps of its log for our slot, and when that is too much: it fills its owner's disk, or the server gives
//! the slot up.

use super::server::lsn;
use super::session::{Answer, text};
use super::sql::literal;

/// How the slot is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// What the server calls it: `reserved`, `extended`, `unreserved`, `lost`.
    pub(super) status: String,
    /// How many bytes of the log the server keeps for it.
    pub(super) bytes: u64,
    /// How many more may be written before it is lost, where that is limited.
    pub(super) left: Option<u64>,
    /// Up to where the server knows that we have it.
    pub(super) confirmed: u64,
}

impl Kept {
    /// What the server is asked.
    pub(super) fn question(slot: &str) -> String {
        format!(
            "SELECT wal_status, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn)::bigint, safe_wal_size, \
             confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = {}",
            literal(slot)
        )
    }

    /// From its answer.
    pub(super) fn of(row: &Answer) -> Kept {
        let number = |column| text(row, column).and_then(|it| it.parse::<i64>().ok());
        let positive = |it: i64| u64::try_from(it).unwrap_or_default();
        Kept {
            status: text(row, 0).unwrap_or_default().into(),
            bytes: number(1).map_or(0, positive),
            left: number(2).map(positive),
            confirmed: text(row, 3).and_then(lsn).unwrap_or_default(),
        }
    }

    /// What is about to happen to the slot or to the server, if anything, with what to do; `bound` is how much may be
    /// kept where the server sets no limit. As long as nothing gets much worse these are the same words.
    pub(super) fn warning(&self, bound: u64) -> Option<String> {
        const WHY: &str = "a transaction that stays open there (pg_stat_activity.xact_start), or more changes than are \
                           taken in here, holds it back";
        let more_than = 1_u64 << (self.bytes >> 20).max(1).ilog2();
        let kept = format!("the server keeps more than {more_than} MiB of its log for the slot");
        match (self.status.as_str(), self.left) {
            ("unreserved" | "lost", _) => Some(format!(
                "{kept}, and gives the slot up with its next checkpoint (wal_status {}): raise max_slot_wal_keep_size \
                 there now; {WHY}",
                self.status
            )),
            (_, Some(left)) if self.bytes > left => Some(format!(
                "{kept}, and gives the slot up when it is about twice as much (max_slot_wal_keep_size): {WHY}"
            )),
            (_, None) if self.bytes >= bound => {
                Some(format!("{kept}, and has no limit for it (max_slot_wal_keep_size): {WHY}"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_in_danger_before_it_is_lost() {
        let warning = |status: &str, bytes: u64, left: Option<u64>| {
            let kept = Kept { status: status.into(), bytes: bytes << 20, left: left.map(|it| it << 20), confirmed: 0 };
            kept.warning(100 << 20)
        };
        for (status, bytes, left) in [("reserved", 99, None), ("extended", 99, None), ("extended", 500, Some(500))] {
            assert_eq!(warning(status, bytes, left), None, "{status} {bytes}");
        }
        for (status, bytes, left, words) in [
            ("reserved", 100, None, "more than 64 MiB of its log for the slot, and has no limit"),
            ("extended", 511, None, "more than 256 MiB of its log for the slot, and has no limit"),
            ("extended", 512, Some(499), "more than 512 MiB of its log for the slot, and gives the slot up when"),
            ("unreserved", 1000, Some(0), "gives the slot up with its next checkpoint (wal_status unreserved)"),
            ("lost", 0, None, "(wal_status lost)"),
        ] {
            let told = warning(status, bytes, left).unwrap();
            assert!(told.contains(words), "{status} {bytes}: {told}");
        }
        assert_eq!(warning("extended", 300, None), warning("extended", 500, None));
    }

    #[test]
    fn the_servers_answer_is_read() {
        let row = |cells: [Option<&'static str>; 4]| -> Answer { cells.map(|it| it.map(Into::into)).to_vec() };
        let kept = Kept::of(&row([Some("extended"), Some("1048577"), Some("-5"), Some("0/16B3748")]));
        assert_eq!(kept, Kept { status: "extended".into(), bytes: 1_048_577, left: Some(0), confirmed: 0x16B_3748 });
        let kept = Kept::of(&row([None, None, None, None]));
        assert_eq!(kept, Kept { status: String::new(), bytes: 0, left: None, confirmed: 0 });
    }
}
