//! Copies whole tables in chunks, each in a short read transaction of its own, so that writers' logs stay short.
//!
//! Rows that change while the copy runs are in the log behind the place where it began, and are looked up again
//! before anything is called consistent.

use std::time::{Duration, Instant};

use super::fault::Fault;
use super::run::Follower;
use crate::change::{Phase, SourceHealth, TableId};
use crate::source::Link;

/// Progress is told this often.
const TELL: Duration = Duration::from_millis(200);

impl Follower<'_> {
    /// Copies these tables. Batches carry the position of the last consistent batch, so that a crash in between begins
    /// again.
    pub(super) fn copy(&mut self, link: &Link, tables: &[TableId]) -> Result<(), Fault> {
        let head = self.read(|it| it.head())?;
        self.copied.extend(tables.iter().map(|it| (*it, head.id)));
        let mut total = 0;
        for table in tables {
            total += self.read(|it| {
                let (followed, reader) = it.layout.find(*table);
                reader.count(&it.connection).map_err(|error| Fault::of_table(error, || followed.declared()))
            })?;
        }
        self.life.pending.extend(tables);
        let mut phase = Phase::SnapshotStart(tables.to_vec());
        let mut rows = 0;
        self.tell(link, SourceHealth::Snapshotting { rows, total: Some(total) })?;
        let mut told = Instant::now();
        for table in tables {
            let mut after = None;
            loop {
                let seen_at = Instant::now();
                let mut events = Vec::new();
                let next = self.read(|it| {
                    it.check_schema()?;
                    let Follower { connection, layout, builder, .. } = it;
                    let (followed, reader) = layout.find(*table);
                    let chunk = reader.chunk(connection, after.as_deref(), builder, &mut events);
                    chunk.map_err(|error| Fault::of_table(error, || followed.declared()))
                })?;
                rows += events.len() as u64;
                self.send(link, events, self.life.position.clone(), phase, seen_at)?;
                phase = Phase::Snapshot;
                if told.elapsed() > TELL {
                    self.tell(link, SourceHealth::Snapshotting { rows, total: Some(total.max(rows)) })?;
                    told = Instant::now();
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }
}
