//! What the store holds and what its work has cost, for the metrics page and the benchmarks.

/// Figures of one store; times and counts are since it was opened.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct StoreStats {
    /// The newest epoch.
    pub epoch: u64,
    /// The newest epoch known to survive a power loss.
    pub durable_epoch: u64,
    /// The epoch of the last checkpoint.
    pub checkpoint_epoch: u64,
    /// Runs above the checkpoint.
    pub runs: usize,
    /// Rows and tombstones in them.
    pub run_rows: u64,
    /// Bytes of checkpointed rows on disk.
    pub sst_bytes: u64,
    /// Bytes journaled since runs were last frozen for a checkpoint.
    pub journal_bytes: u64,
    /// Rows and tombstones committed.
    pub rows: u64,
    /// Rows that recovery took from the journal.
    pub redone_rows: u64,
    /// Checkpoints made.
    pub checkpoints: u64,
    /// Checkpoints given up because the disk was full.
    pub failed_checkpoints: u64,
    /// Seconds spent encoding and writing journal entries.
    pub journal_seconds: f64,
    /// Seconds spent building runs and epochs.
    pub publish_seconds: f64,
    /// Seconds the checkpoint thread worked, without RocksDB's own threads.
    pub checkpoint_seconds: f64,
}
