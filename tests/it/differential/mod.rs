//! What SQL means: the same generated statements to PostgreSQL and to Vantage, as queries and as materialized views.
//!
//! Small tables full of NULLs change in steps; after each step the views are compared with their queries, and new
//! statements are asked by `POST /v1/sql`, over HTTP in this process. What Vantage does not do it must refuse by name;
//! refusals are counted by reason, so that nobody passes by refusing everything.

mod case;
mod expression;
mod given;
pub(crate) mod judge;
mod statement;
mod table;
mod totals;

use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;
use rand::rngs::SmallRng;

use super::support::postgres::Session;
use case::Report;

/// Cases in `make test`; `CASES=…` widens, `SEED=…` replays one.
const CASES: u64 = 200;
const FIRST: u64 = 20_261_127;
/// Cases at a time.
const THREADS: usize = 2;
/// Cases in which one statement is known to be answered otherwise, and why. They are shown, and they go when their cause
/// does: a case that has no difference any more fails the test, so that the list stays true.
const KNOWN: &[(u64, &str)] = &[];
/// Differences of a kind that are shown.
const SHOWN: usize = 3;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|it| it.parse().ok())
}

/// One of `choices`.
fn pick<'c, T>(rng: &mut SmallRng, choices: &'c [T]) -> &'c T {
    &choices[rng.random_range(0..choices.len())]
}

#[test]
fn statements_and_views_mean_what_they_mean_in_postgresql() {
    let (first, count) = match variable("SEED") {
        Some(seed) => (seed, 1),
        None => (FIRST, variable("CASES").unwrap_or(CASES)),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let next = AtomicU64::new(first);
    let mut report = Report::default();
    std::thread::scope(|scope| {
        let work = || {
            let mut postgres = Session::open();
            let mut report = Report::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count {
                    return report;
                }
                let case =
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case::run(seed, &mut postgres, &runtime)));
                let Ok(mut case) = case else {
                    panic!("replay: SEED={seed} cargo test --release --test it differential")
                };
                if let Some((_, reason)) = KNOWN.iter().find(|it| it.0 == seed) {
                    assert!(!case.statements.differences.is_empty(), "case {seed} is right now; take it from the list");
                    case.statements.print(&format!("known, case {seed}: {reason}"), SHOWN);
                    case.statements.differences.clear();
                }
                report.statements.merge(case.statements);
                report.views.merge(case.views);
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let part = thread.join().expect("a case failed; see above");
            report.statements.merge(part.statements);
            report.views.merge(part.views);
        }
    });
    let Report { mut statements, mut views } = report;
    let shown = variable("SHOW").map_or(SHOWN, |it| it as usize);
    views.print("views", shown);
    statements.print("statements", shown);
    assert!(
        statements.differences.is_empty() && views.differences.is_empty(),
        "answers differ from PostgreSQL's; see above"
    );
    if count >= CASES {
        let all = [&statements, &views].map(|it| (it.asked, it.same, it.empty, it.refusals()));
        assert!(statements.asked >= 100_000, "too few statements: {all:?}");
        assert!(statements.refusals() * 10 <= statements.asked, "too many statements were refused: {all:?}");
        assert!(statements.empty * 3 <= statements.same * 2, "too many answers were empty: {all:?}");
        assert!(views.same >= 10_000, "too few views were compared: {all:?}");
        let odd: u64 = statements.invalid.values().chain(statements.only_postgres_fails.values()).sum();
        assert!(odd * 50 <= statements.asked, "too many statements have no answer of PostgreSQL: {all:?}");
    }
}
