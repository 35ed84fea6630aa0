//! What came of all statements: counts, refusals by reason, differences.

use std::collections::BTreeMap;

/// How a statement or a view came out.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Both gave the same rows; whether there were any.
    Same { empty: bool },
    /// Vantage says by name what it does not do.
    Refused(String),
    /// Both could not compute it.
    BothFail,
    /// PostgreSQL could not compute it; what is an error for it depends on its plan.
    OnlyPostgresFails(String),
    /// The generator made something that is no query.
    Invalid(String),
    /// The answers differ, or Vantage fails where PostgreSQL answers.
    Different(String),
}

/// A difference, and how to see it again.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) seed: u64,
    /// What was asked, with parameters.
    pub(super) asked: String,
    pub(super) detail: String,
    /// The tables when it was asked.
    pub(super) tables: String,
}

/// Counts over all cases, of statements or of views.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) asked: u64,
    pub(super) same: u64,
    pub(super) empty: u64,
    pub(super) both_fail: u64,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) only_postgres_fails: BTreeMap<String, u64>,
    pub(super) invalid: BTreeMap<String, u64>,
    pub(super) differences: Vec<Difference>,
}

impl Totals {
    /// Counts one outcome; `difference` tells more about a difference.
    pub(super) fn add(&mut self, outcome: Outcome, difference: impl FnOnce(String) -> Difference) {
        self.asked += 1;
        let count = |of: &mut BTreeMap<String, u64>, reason: String| *of.entry(reason).or_default() += 1;
        match outcome {
            Outcome::Same { empty } => {
                self.same += 1;
                self.empty += u64::from(empty);
            }
            Outcome::BothFail => self.both_fail += 1,
            Outcome::Refused(reason) => count(&mut self.refused, kind_of(&reason)),
            Outcome::OnlyPostgresFails(reason) => count(&mut self.only_postgres_fails, kind_of(&reason)),
            Outcome::Invalid(reason) => count(&mut self.invalid, kind_of(&reason)),
            Outcome::Different(detail) => self.differences.push(difference(detail)),
        }
    }

    pub(super) fn merge(&mut self, other: Totals) {
        self.asked += other.asked;
        self.same += other.same;
        self.empty += other.empty;
        self.both_fail += other.both_fail;
        let counts = [
            (&mut self.refused, other.refused),
            (&mut self.only_postgres_fails, other.only_postgres_fails),
            (&mut self.invalid, other.invalid),
        ];
        for (mine, others) in counts {
            others.into_iter().for_each(|(reason, count)| *mine.entry(reason).or_default() += count);
        }
        self.differences.extend(other.differences);
    }

    pub(super) fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }

    /// The counts, and of each kind of difference the shortest, with the command that shows it again.
    pub(super) fn print(&mut self, what: &str, most: usize) {
        println!(
            "{what}: {} asked, {} the same ({} of them empty), {} fail in both, {} differ",
            self.asked,
            self.same,
            self.empty,
            self.both_fail,
            self.differences.len()
        );
        let reasons = [
            ("refused", &self.refused),
            ("fails in PostgreSQL only", &self.only_postgres_fails),
            ("no query to PostgreSQL", &self.invalid),
        ];
        for (title, reasons) in reasons {
            let mut sorted: Vec<(&String, &u64)> = reasons.iter().collect();
            sorted.sort_by_key(|it| std::cmp::Reverse(it.1));
            for (reason, count) in sorted {
                println!("  {count:>7} {title}: {reason}");
            }
        }
        // The shortest of each kind are the easiest to understand.
        self.differences.sort_by_key(|it| it.asked.len());
        let mut kinds: BTreeMap<String, Vec<&Difference>> = BTreeMap::new();
        for it in &self.differences {
            kinds.entry(kind_of(&it.detail)).or_default().push(it);
        }
        for (kind, differences) in kinds {
            println!("\n{} of this kind: {kind}", differences.len());
            for it in differences.iter().take(most) {
                println!("{}\n{}\n{}", it.asked, it.detail, it.tables);
                println!("replay: SEED={} cargo test --release --test it differential -- --nocapture", it.seed);
            }
        }
    }
}

/// A message without its numbers and names, so that those of one kind are counted together.
fn kind_of(message: &str) -> String {
    let mut kind = String::new();
    let mut quoted = false;
    for it in message.chars() {
        if kind.starts_with("PostgreSQL: ") {
            return "rows".into();
        }
        match it {
            '"' => {
                quoted = !quoted;
                kind.push('"');
            }
            _ if quoted => {}
            '0'..='9' if kind.ends_with('0') => {}
            '0'..='9' => kind.push('0'),
            '\n' => break,
            _ => kind.push(it),
        }
    }
    kind.chars().take(100).collect()
}
