//! How long a statement computes between two checkpoints, operator by operator.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::serve::ServeOptions;
use crate::serve::format::Format;
use crate::serve::problem::Problem;
use crate::serve::router::App;
use crate::serve::sql::watch::Watch;
use crate::serve::sql::{Kind, Run};
use crate::serve::tests::fixture::shop;

/// The most that may be computed between two checkpoints, on a core of its own. So long it takes to end a statement.
const MOST: Duration = Duration::from_millis(100);
/// The same for a window: DataFusion puts a whole partition together in one step, as much of it as memory was left for.
const MOST_OF_A_WINDOW: Duration = Duration::from_millis(400);
/// What takes longer is looked at again so often: where other work fills the machine, a step takes more of a core now and
/// then, and one without a checkpoint takes too long each time.
const ATTEMPTS: usize = 5;

/// The longest time that `sql` computes between two checkpoints, and its problem if it did not come to its end in time.
async fn longest_stretch(app: &Arc<App>, sql: &str) -> (Duration, Option<String>) {
    let (engine, transit) = (app.sql(), Arc::clone(&app.transit));
    let (sql, epoch) = (sql.to_string(), app.board.epoch());
    let (send, receive) = oneshot::channel();
    let work = async move |entered: Result<Arc<Watch>, Problem>| {
        let run = async {
            let watch = entered?;
            let statement = engine.prepare(&sql).await?;
            let (plan, _) = engine.physical(&sql, &statement, &[]).await?;
            let (format, max_rows) = (Format::Json, usize::MAX);
            let run = Run { statement: &statement, plan, epoch: &epoch, format, max_rows, watch: &watch };
            let (mut writer, reply) = transit.answer();
            let executed = engine.execute(&run, &mut writer).await;
            watch.longest_stretch.see();
            drop(reply);
            Ok::<_, Problem>((watch.longest_stretch.longest(), executed.err()))
        };
        let _ = send.send(run.await);
    };
    let begun = app.workers.start(Kind::Ordinary, Duration::from_secs(2), work).await.expect("a thread");
    let (longest, problem) = receive.await.expect("it ends").unwrap_or_else(|problem| panic!("{problem}"));
    drop(begun);
    (longest, problem.map(|it| it.code.to_string()))
}

#[tokio::test]
async fn every_operator_comes_to_checkpoints() {
    let app = Arc::new(App::new(shop(1), ServeOptions::default()).unwrap());
    let columns = "a.id * 64000 + b.id * 1600 + c.id * 40 AS id, a.id AS x, b.id AS y, a.name || b.name || c.name AS t";
    let some = format!("(SELECT {columns} FROM products a, products b, products c)");
    let many = format!("(SELECT d.id + {columns} FROM products a, products b, products c, products d)");
    let cases = [
        (
            "semi join, equal keys",
            format!("SELECT count(*) FROM {many} l WHERE EXISTS (SELECT 1 FROM {many} r WHERE r.x % 2 = l.x % 2)"),
        ),
        (
            "anti join, equal keys",
            format!("SELECT count(*) FROM {many} l WHERE NOT EXISTS (SELECT 1 FROM {many} r WHERE r.x % 2 = l.x % 2)"),
        ),
        (
            "mark join, equal keys",
            format!(
                "SELECT count(*) FROM {some} l WHERE l.x < 0 OR EXISTS (SELECT 1 FROM {many} r WHERE r.x % 2 = l.x % 2)"
            ),
        ),
        (
            "semi join, one key",
            format!("SELECT count(*) FROM {many} l WHERE l.x - l.x IN (SELECT x - x FROM {many} r)"),
        ),
        ("inner join, equal keys", format!("SELECT count(*) FROM {many} l JOIN {some} r ON r.x % 2 = l.x % 2")),
        ("left join, equal keys", format!("SELECT count(*) FROM {some} l LEFT JOIN {many} r ON r.x % 2 = l.x % 2")),
        (
            "join, condition",
            format!("SELECT count(*) FROM {many} l JOIN {some} r ON r.x % 2 = l.x % 2 AND l.y + r.y < 0"),
        ),
        ("join, different keys", format!("SELECT count(*) FROM {many} l JOIN {many} r ON l.id = r.id")),
        ("join, different texts", format!("SELECT count(*) FROM {some} l JOIN {some} r ON l.t = r.t")),
        (
            "semi join, inequality",
            format!("SELECT count(*) FROM {many} l WHERE EXISTS (SELECT 1 FROM {many} r WHERE r.id + l.id < 0)"),
        ),
        (
            "semi join, no condition",
            format!("SELECT count(*) FROM {many} l WHERE EXISTS (SELECT 1 FROM {some} r WHERE r.x > 0)"),
        ),
        (
            "anti join, no condition",
            format!("SELECT count(*) FROM {many} l WHERE NOT EXISTS (SELECT 1 FROM {some} r WHERE r.x > 0)"),
        ),
        (
            "mark join, no condition",
            format!("SELECT count(*) FROM {many} l WHERE l.x < 0 OR EXISTS (SELECT 1 FROM {some} r WHERE r.x > 0)"),
        ),
        ("cross join", format!("SELECT count(*), sum(l.x + r.y) FROM {many} l, {some} r")),
        ("left join, inequality", format!("SELECT count(*) FROM {many} l LEFT JOIN {some} r ON l.id < r.x - 1000000")),
        (
            "full join, inequality",
            format!("SELECT count(*) FROM {many} l FULL JOIN {some} r ON l.id = r.id AND l.x < r.y"),
        ),
        ("sort, a number", format!("SELECT id FROM {many} l ORDER BY id * 7919 % 1000003 OFFSET 10000000")),
        ("sort, two numbers", format!("SELECT id FROM {many} l ORDER BY y, id * 7919 % 1000003 OFFSET 10000000")),
        ("sort, a text", format!("SELECT id FROM {many} l ORDER BY t DESC OFFSET 10000000")),
        ("sort, a few first", format!("SELECT id FROM {many} l ORDER BY id * 7919 % 1000003 LIMIT 10")),
        (
            "groups",
            format!("SELECT count(*) FROM (SELECT id % 700001 AS k, count(*), min(t) FROM {many} l GROUP BY 1) x"),
        ),
        ("distinct", format!("SELECT count(*) FROM (SELECT DISTINCT t, id FROM {many} l) x")),
        ("count distinct", format!("SELECT count(DISTINCT t), count(DISTINCT id) FROM {many} l")),
        ("median", format!("SELECT median(id * 7919 % 1000003) FROM {many} l")),
        ("array", format!("SELECT array_length(array_agg(id), 1) FROM {many} l")),
        ("text", format!("SELECT length(string_agg(t, ',')) FROM {many} l")),
        (
            "window, ranks",
            format!("SELECT max(n) FROM (SELECT rank() OVER (PARTITION BY x ORDER BY t) n FROM {many} l) y"),
        ),
        ("window, one partition", format!("SELECT max(n) FROM (SELECT row_number() OVER () n FROM {many} l) y")),
        ("window, share", format!("SELECT max(n) FROM (SELECT percent_rank() OVER (ORDER BY id) n FROM {many} l) y")),
        (
            "window, whole frames",
            format!("SELECT max(n) FROM (SELECT sum(id) OVER (PARTITION BY x) n FROM {many} l) y"),
        ),
        ("window, sums", format!("SELECT max(n) FROM (SELECT sum(id) OVER (ORDER BY id) n FROM {many} l) y")),
        (
            "window, frames",
            format!("SELECT max(n) FROM (SELECT max(t) OVER (ORDER BY id ROWS 1000 PRECEDING) n FROM {many} l) y"),
        ),
        ("union", format!("SELECT count(*) FROM (SELECT t FROM {many} l UNION SELECT t FROM {some} r) x")),
        ("intersect", format!("SELECT count(*) FROM (SELECT id FROM {many} l INTERSECT SELECT id FROM {many} r) x")),
        ("except", format!("SELECT count(*) FROM (SELECT id FROM {many} l EXCEPT SELECT id FROM {some} r) x")),
        (
            "unnest",
            format!("SELECT count(u) FROM (SELECT unnest(a) u FROM (SELECT array_agg(id) a FROM {many} l) x) y"),
        ),
    ];
    let mut late = Vec::new();
    for (name, sql) in &cases {
        let most = if name.starts_with("window") { MOST_OF_A_WINDOW } else { MOST };
        let (mut longest, mut problem) = longest_stretch(&app, sql).await;
        for _ in 1..ATTEMPTS {
            if longest > most {
                (longest, problem) = longest_stretch(&app, sql).await;
            }
        }
        println!("{name}: {longest:?}, {}", problem.as_deref().unwrap_or("answered"));
        let ended = problem.as_deref().is_none_or(|it| ["57014", "53200"].contains(&it));
        if longest > most || !ended {
            late.push((name, longest, problem));
        }
    }
    assert!(late.is_empty(), "{late:?}");
}
