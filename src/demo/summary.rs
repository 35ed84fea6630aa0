//! The summary: what was measured and whether every view was right, as a table or as JSON.

use std::fmt;

use serde::Serialize;

use super::check::ViewCheck;
use super::latency::Quantiles;
use super::traffic::Written;
use crate::change::counted;

/// What a demo run found.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Products seeded.
    pub products: i64,
    /// Rows seeded in all five services.
    pub seeded_rows: u64,
    /// How long the seed took.
    pub seed_seconds: f64,
    /// From the start of the engine to all views being live.
    pub load_seconds: f64,
    /// What the services wrote.
    pub written: Written,
    /// Changes written a second.
    pub changes_per_second: f64,
    /// From commit in a service to visible in a read.
    pub freshness: Option<Quantiles>,
    /// Reads by function call.
    pub read_in_process: Option<Quantiles>,
    /// Reads over HTTP.
    pub read_http: Option<Quantiles>,
    /// Every view against its query on the owners' data.
    pub checks: Vec<ViewCheck>,
    /// How long the check took.
    pub check_seconds: f64,
    /// Whether all views were right.
    pub correct: bool,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = |rows: u64, seconds: f64| rows as f64 / seconds.max(1e-9);
        let (seed, load) = (self.seed_seconds, self.load_seconds);
        let seed_rate = per_second(self.seeded_rows, seed);
        let load_rate = per_second(self.seeded_rows, load);
        writeln!(f, "{:<28}{} in {seed:.1} s ({})", "seeded", rows(self.seeded_rows), rate(seed_rate, "row"))?;
        writeln!(f, "{:<28}{load:.1} s ({})", "five services → live views", rate(load_rate, "row"))?;
        let changes = rate(self.changes_per_second, "change");
        writeln!(f, "{:<28}{changes} ({} changed)", "the services wrote", rows(self.written.rows))?;
        writeln!(f)?;
        writeln!(f, "{:<28}{:>10}{:>10}{:>10}{:>9}", "", "p50", "p99", "max", "samples")?;
        quantiles(f, "commit → visible in a read", self.freshness)?;
        quantiles(f, "read, in process", self.read_in_process)?;
        quantiles(f, "read, over HTTP", self.read_http)?;
        writeln!(f)?;
        writeln!(f, "every view against its query on the owners' data ({:.1} s)", self.check_seconds)?;
        for check in &self.checks {
            let verdict = check.difference.as_deref().map_or("equal".to_owned(), |it| format!("DIFFERENT: {it}"));
            writeln!(f, "  {:<26}{:>15}  {verdict}", check.view, rows(check.rows as u64))?;
        }
        Ok(())
    }
}

fn rows(count: u64) -> String {
    counted(count as usize, "row")
}

fn rate(per_second: f64, noun: &str) -> String {
    format!("{}/s", counted(per_second.round() as usize, noun))
}

fn quantiles(f: &mut fmt::Formatter<'_>, label: &str, quantiles: Option<Quantiles>) -> fmt::Result {
    let Some(it) = quantiles else { return writeln!(f, "{label:<28}{:>10}", "none") };
    let [p50, p99, max] = [it.p50_us, it.p99_us, it.max_us].map(Quantiles::readable);
    writeln!(f, "{label:<28}{p50:>10}{p99:>10}{max:>10}{:>9}", it.samples)
}
