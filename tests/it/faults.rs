//! One fault concerns what depends on it: real files, faults made by another process, restarts and kills in between.
//!
//! What is read is held against SQLite's own answer on the owner's file: of what is live as the file is now, of what is
//! stale as it was when the last position covered it.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use serde_json::{Value, json};

use super::support::{Server, Site, http, text_of, vantage};

const VIEWS: &str = "
CREATE SOURCE shop WITH (connector = 'sqlite', path = 'shop.db');
CREATE SOURCE desk WITH (connector = 'sqlite', path = 'desk.db');
CREATE TABLE items FROM shop TABLE 'items';
CREATE TABLE tags FROM shop TABLE 'tags';
CREATE TABLE notes FROM desk TABLE 'notes';
CREATE MATERIALIZED VIEW colours AS SELECT colour, count(*) AS n FROM items GROUP BY colour;
CREATE MATERIALIZED VIEW tagged AS SELECT t.id, t.tag, i.colour FROM tags t JOIN items i ON i.id = t.item;
CREATE MATERIALIZED VIEW tag_count AS SELECT tag, count(*) AS n FROM tags GROUP BY tag;
CREATE MATERIALIZED VIEW noted AS SELECT n.id, n.text, i.colour FROM notes n LEFT JOIN items i ON i.id = n.item;
CREATE MATERIALIZED VIEW texts AS SELECT text, count(*) AS n FROM notes GROUP BY text;
CREATE INDEX tagged_by ON tagged (tag);
";

const SHOP: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, colour TEXT);
CREATE TABLE tags (id INTEGER PRIMARY KEY, item INTEGER, tag TEXT);
INSERT INTO items VALUES (1, 'red'), (2, 'red'), (3, 'blue');
INSERT INTO tags VALUES (1, 1, 'new'), (2, 3, 'old'), (3, 2, 'new');";

const DESK: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, item INTEGER, text TEXT);
INSERT INTO notes VALUES (1, 1, 'a'), (2, 9, 'b');";

/// Runs statements in another process, as a service does.
fn owner(path: &Path, script: &str) {
    const PROGRAM: &str = "import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
db.executescript(sys.argv[2])";
    let output = Command::new("python3").args(["-c", PROGRAM]).arg(path).arg(script).output().expect("python3");
    assert!(output.status.success(), "{script}: {}", text_of(&output));
}

fn site() -> Site {
    let site = Site::new();
    site.write_views(VIEWS);
    site.service("shop.db").execute_batch(SHOP).expect("shop");
    site.service("desk.db").execute_batch(DESK).expect("desk");
    site.install_capture("shop.db");
    site.install_capture("desk.db");
    site
}

/// What SQLite answers, as the JSON rows of `/v1/sql`.
fn truth(connection: &Connection, query: &str) -> Vec<Value> {
    let mut statement = connection.prepare(query).expect(query);
    let width = statement.column_count();
    let cell = |row: &rusqlite::Row<'_>, at: usize| match row.get_unwrap::<_, rusqlite::types::Value>(at) {
        rusqlite::types::Value::Integer(it) => json!(it),
        rusqlite::types::Value::Text(it) => json!(it),
        rusqlite::types::Value::Null => Value::Null,
        other => panic!("{other:?}"),
    };
    let rows = statement.query_map([], |row| Ok(Value::Array((0..width).map(|at| cell(row, at)).collect())));
    rows.expect(query).map(|it| it.expect(query)).collect()
}

fn head(connection: &Connection) -> i64 {
    connection.query_row("SELECT max(id) FROM _vantage_changes", [], |row| row.get(0)).expect("log")
}

fn status(server: &Server, name: &str) -> Value {
    let views = http::get(server.address, "/v1/views", &[]).expect("views").json();
    let found = views.as_array().expect("views").iter().find(|it| it["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("{name} is not listed: {views}"))["status"].clone()
}

fn wait_for_state(server: &mut Server, name: &str, state: &str) -> Value {
    let is = |answer: &http::Answer| {
        let all = answer.json();
        all.as_array().is_some_and(|it| it.iter().any(|it| it["name"] == name && it["status"]["state"] == state))
    };
    server.wait_for("/v1/views", is);
    status(server, name)
}

fn rows(server: &Server, query: &str) -> Value {
    let answer = http::sql(server.address, query).expect("answer");
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    answer.json()["rows"].clone()
}

/// Reads a list, including everything up to `position` of the shop.
fn after(server: &Server, view: &str, position: i64, wait_ms: u32) -> http::Answer {
    let (after, wait) = (format!("shop@{position}"), wait_ms.to_string());
    let headers = [("vantage-after", &*after), ("vantage-timeout-ms", &*wait)];
    http::get(server.address, &format!("/v1/views/{view}"), &headers).expect("answer")
}

const COLOURS: &str = "SELECT colour, count(*) FROM items GROUP BY colour ORDER BY 1 NULLS LAST";
const TAGGED: &str = "SELECT t.id, t.tag, i.colour FROM tags t JOIN items i ON i.id = t.item ORDER BY 1 NULLS LAST";
const TAG_COUNT: &str = "SELECT tag, count(*) FROM tags GROUP BY tag ORDER BY 1 NULLS LAST";

fn view_rows(server: &Server) -> [Value; 3] {
    ["SELECT * FROM colours ORDER BY 1", "SELECT * FROM tagged ORDER BY 1", "SELECT * FROM tag_count ORDER BY 1"]
        .map(|it| rows(server, it))
}

fn truths(shop: &Connection) -> [Value; 3] {
    [COLOURS, TAGGED, TAG_COUNT].map(|it| Value::Array(truth(shop, it)))
}

/// What must hold while `items` cannot be followed since `stood`, and everything else is.
fn assert_one_table_is_stale(server: &mut Server, shop: &Connection, stood: i64, before: &[Value; 3], words: &str) {
    wait_for_state(server, "items", "stale");
    // Right after a start it is not known yet what is wrong.
    server.wait_for("/readyz", |answer| {
        let told = answer.json();
        let mut reasons = told["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
        reasons.any(|it| it.starts_with("items is stale: ") && it.contains(words))
    });
    let position = head(shop);
    assert!(position > stood);
    // What reads other tables goes on.
    let live = after(server, "tag_count?order=tag", position, 20_000);
    assert_eq!((live.status, live.header("vantage-stale")), (200, None), "{}", live.body);
    assert_eq!(rows(server, "SELECT * FROM tag_count ORDER BY 1"), Value::Array(truth(shop, TAG_COUNT)));
    // What reads the table stands, and says where and why.
    for view in ["items", "colours", "tagged", "noted"] {
        assert_eq!(status(server, view)["state"], "stale", "{view}");
        let read = http::get(server.address, &format!("/v1/views/{view}"), &[]).expect("answer");
        let positions = read.header("vantage-positions").unwrap_or_default();
        assert!(positions.split(',').any(|it| it == format!("shop@{stood}")), "{view}: {positions}, not {stood}");
        assert!(read.header("vantage-stale").is_some_and(|it| it.contains(words)), "{view}: {:?}", read.headers);
        assert_eq!(read.header("vantage-lag-ms"), None, "{view}");
        let refused = after(server, view, position, 30);
        assert_eq!(refused.status, 503, "{view}: {}", refused.body);
        assert!(refused.body.contains("stale") && refused.body.contains(words), "{view}: {}", refused.body);
    }
    let now = view_rows(server);
    assert_eq!(now[..2], before[..2], "what is stale stands still");
    for view in ["texts", "notes", "tags", "tag_count"] {
        assert_eq!(status(server, view)["state"], "live", "{view}");
    }
    let ready = http::get(server.address, "/readyz", &[]).expect("readyz");
    let told = ready.json();
    assert_eq!(ready.status, 503, "{}", ready.body);
    assert!(told["relations"]["live"].as_array().is_some_and(|it| it.contains(&json!("tag_count"))), "{told}");
    assert!(told["relations"]["stale"].as_array().is_some_and(|it| it.contains(&json!("tagged"))), "{told}");
    assert_eq!(http::get(server.address, "/readyz?views=tag_count,texts", &[]).expect("readyz").status, 200);
    let metrics = http::get(server.address, "/metrics", &[]).expect("metrics").body;
    assert!(metrics.contains("vantage_relation_state{name=\"tagged\",state=\"stale\"} 1"), "{metrics}");
    assert!(metrics.contains("vantage_relation_state{name=\"tags\",state=\"live\"} 1"), "{metrics}");
}

#[test]
fn a_fault_of_one_table_concerns_what_reads_it_only() {
    // What breaks the table, what is said, what mends it, whether capture has to be installed again.
    let again =
        "CREATE TABLE items (id INTEGER PRIMARY KEY, colour TEXT); INSERT INTO items VALUES (1, 'green'), (7, 'red')";
    let faults = [
        ("DROP TABLE items", "it is gone", again, true),
        ("ALTER TABLE items RENAME TO away", "it is gone", "ALTER TABLE away RENAME TO items", false),
        ("ALTER TABLE items DROP COLUMN colour", "colour", "ALTER TABLE items ADD COLUMN colour TEXT", false),
        (
            "ALTER TABLE items RENAME TO old; CREATE TABLE items (id INTEGER PRIMARY KEY, colour BLOB); DROP TABLE old",
            "drifted",
            "DROP TABLE items; CREATE TABLE items (id INTEGER PRIMARY KEY, colour TEXT); INSERT INTO items VALUES (2, 'red')",
            true,
        ),
    ];
    let site = site();
    let path = site.path("shop.db");
    let shop = site.service("shop.db");
    let mut server = site.serve();
    server.wait_ready();
    for (round, (breaks, words, mends, install)) in faults.into_iter().enumerate() {
        let stood = head(&shop);
        let before = truths(&shop);
        assert_eq!(view_rows(&server), before);
        owner(&path, &format!("{breaks}; INSERT INTO tags VALUES ({}, 1, 'broken {round}')", 100 + round));
        assert_one_table_is_stale(&mut server, &shop, stood, &before, words);
        // The same after a restart, and after a kill.
        if round % 2 == 0 {
            assert_eq!(server.terminate(), Some(0));
        } else {
            server.kill();
        }
        owner(&path, &format!("UPDATE tags SET tag = 'while away {round}' WHERE id = 2"));
        server = site.serve();
        assert_one_table_is_stale(&mut server, &shop, stood, &before, words);
        owner(&path, mends);
        if install {
            site.install_capture("shop.db");
        }
        owner(
            &path,
            &format!("INSERT INTO items VALUES ({}, 'mended'); INSERT INTO tags VALUES ({0}, {0}, 'x')", 200 + round),
        );
        server.wait_ready();
        for view in ["colours", "tagged", "tag_count", "noted"] {
            assert_eq!(after(&server, view, head(&shop), 20_000).status, 200, "{view}");
        }
        assert_eq!(view_rows(&server), truths(&shop), "after {mends}");
        let indexed = rows(&server, "SELECT id FROM tagged WHERE tag = 'x' ORDER BY id");
        assert_eq!(
            indexed,
            Value::Array(truth(
                &shop,
                "SELECT t.id FROM tags t JOIN items i ON i.id = t.item WHERE tag = 'x' ORDER BY 1"
            ))
        );
    }
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn kills_while_a_table_comes_and_goes_lose_nothing() {
    let site = site();
    let path = site.path("shop.db");
    let shop = site.service("shop.db");
    let mut server = site.serve();
    server.wait_ready();
    for round in 0..8 {
        let (id, pause) = (1000 + 10 * round, std::time::Duration::from_millis(17 * round % 70));
        owner(&path, &format!("ALTER TABLE items RENAME TO away; INSERT INTO tags VALUES ({id}, 1, 'away {round}')"));
        if round % 2 == 0 {
            wait_for_state(&mut server, "items", "stale");
        }
        owner(&path, &format!("ALTER TABLE away RENAME TO items; UPDATE items SET colour = 'c{round}' WHERE id = 1"));
        // The moment of the kill is what varies: before it is noticed, in the copy, in the building, after it.
        std::thread::park_timeout(pause);
        server.kill();
        owner(&path, &format!("INSERT INTO items VALUES ({id}, 'red'); UPDATE tags SET item = {id} WHERE id = 2"));
        server = site.serve();
        server.wait_ready();
        assert_eq!(after(&server, "tagged", head(&shop), 20_000).status, 200);
        assert_eq!(view_rows(&server), truths(&shop), "round {round}");
    }
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn every_declaration_of_a_table_is_fed() {
    let site = Site::new();
    site.write_views(
        "CREATE SOURCE s WITH (connector = 'sqlite', path = 'shop.db');
         CREATE TABLE e FROM s TABLE 'e';
         CREATE TABLE e2 FROM s TABLE 'E';
         CREATE TABLE part (id BIGINT PRIMARY KEY, b TEXT) FROM s TABLE 'e';
         CREATE TABLE other (a DOUBLE PRECISION, id BIGINT) FROM s TABLE 'e';
         CREATE MATERIALIZED VIEW pairs AS SELECT e.id, e.a, e2.b FROM e JOIN e2 ON e2.id = e.id;
         CREATE MATERIALIZED VIEW sums AS SELECT count(*) AS n, sum(other.a) AS s FROM other JOIN part ON part.id = other.id;",
    );
    let shop = site.service("shop.db");
    shop.execute_batch("CREATE TABLE e (id INTEGER PRIMARY KEY, a INTEGER, b TEXT); INSERT INTO e VALUES (1, 1, 'x')")
        .expect("e");
    site.install_capture("shop.db");
    let mut server = site.serve();
    server.wait_ready();
    let statements = [
        "INSERT INTO e VALUES (2, 2, 'y'), (3, 3, 'z')",
        "UPDATE e SET a = a + 10, b = b || '!' WHERE id < 3",
        "DELETE FROM e WHERE id = 1",
        "UPDATE e SET id = 9 WHERE id = 2",
        "INSERT OR REPLACE INTO e VALUES (9, 0, 'r')",
    ];
    for statement in statements {
        owner(&site.path("shop.db"), statement);
        let position = format!("s@{}", head(&shop));
        for (view, query) in [
            ("e", "SELECT id, a, b FROM e ORDER BY id"),
            ("e2", "SELECT id, a, b FROM e ORDER BY id"),
            ("part", "SELECT id, b FROM e ORDER BY id"),
            ("other", "SELECT a, id FROM e ORDER BY id"),
            ("pairs", "SELECT id, a, b FROM e ORDER BY id"),
        ] {
            let headers = [("vantage-after", &*position), ("vantage-timeout-ms", "20000")];
            let answer = http::get(server.address, &format!("/v1/views/{view}"), &headers).expect("answer");
            assert_eq!(answer.status, 200, "{view}: {}", answer.body);
            let cast = if view == "other" { "CAST(a AS BIGINT) AS a, id" } else { "*" };
            assert_eq!(
                rows(&server, &format!("SELECT {cast} FROM {view} ORDER BY id")),
                Value::Array(truth(&shop, query)),
                "{view} after {statement}"
            );
        }
        let sums = rows(&server, "SELECT n, CAST(s AS BIGINT) FROM sums");
        assert_eq!(sums, Value::Array(truth(&shop, "SELECT count(*), sum(a) FROM e")), "after {statement}");
    }
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_source_that_is_away_at_the_first_start_holds_up_its_own_views_only() {
    let site = Site::new();
    site.write_views(VIEWS);
    site.service("desk.db").execute_batch(DESK).expect("desk");
    site.install_capture("desk.db");
    let mut server = site.serve();
    server.wait_for("/readyz?views=texts,notes", |it| it.status == 200);
    assert_eq!(rows(&server, "SELECT * FROM texts ORDER BY 1"), json!([["a", 1], ["b", 1]]));
    for view in ["items", "colours", "noted", "tagged"] {
        let told = status(&server, view);
        assert_eq!(told["state"], "waiting", "{view}: {told}");
        assert!(told["reason"].as_str().is_some_and(|it| it.contains("shop.db")), "{view}: {told}");
        for answer in [
            http::get(server.address, &format!("/v1/views/{view}"), &[]).expect("answer"),
            http::sql(server.address, &format!("SELECT * FROM {view}")).expect("answer"),
        ] {
            assert_eq!(answer.status, 503, "{view}: {}", answer.body);
            assert!(answer.body.contains("shop.db") && answer.body.contains("57P03"), "{view}: {}", answer.body);
        }
    }
    assert_eq!(http::get(server.address, "/readyz", &[]).expect("readyz").status, 503);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Who reads what runs notices nothing of what comes.
        let (address, done) = (server.address, &done);
        let reader = scope.spawn(move || {
            let mut reads = 0;
            while !done.load(Ordering::Acquire) {
                let answer = http::get(address, "/v1/views/texts/a", &[]).expect("answer");
                assert_eq!(answer.status, 200, "{}", answer.body);
                reads += 1;
            }
            reads
        });
        site.service("shop.db")
            .execute_batch("CREATE TABLE items (id INTEGER PRIMARY KEY, colour TEXT)")
            .expect("shop");
        wait_for_state(&mut server, "items", "failed");
        assert!(status(&server, "tags")["reason"].as_str().is_some_and(|it| it.contains("no table")));
        let script = SHOP.replace("CREATE TABLE items (id INTEGER PRIMARY KEY, colour TEXT);", "");
        owner(&site.path("shop.db"), &script);
        site.install_capture("shop.db");
        server.wait_ready();
        done.store(true, Ordering::Release);
        assert!(reader.join().expect("reader") > 0);
    });
    let shop = site.service("shop.db");
    assert_eq!(view_rows(&server), truths(&shop));
    assert_eq!(rows(&server, "SELECT id, colour FROM noted ORDER BY 1"), json!([[1, "red"], [2, null]]));
    let built = server.log().lines().filter(|it| it.contains("\"built\"") && it.contains("\"texts\"")).count();
    assert_eq!(built, 1, "{}", server.log());
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_table_that_cannot_be_planned_takes_along_only_what_reads_it() {
    let site = Site::new();
    site.write_views(&format!(
        "{VIEWS}CREATE TABLE odd FROM shop TABLE 'odd'; CREATE MATERIALIZED VIEW odds AS SELECT id FROM odd;
         CREATE TABLE wrong (nope TEXT) FROM shop TABLE 'tags';"
    ));
    site.service("shop.db").execute_batch(&format!("{SHOP} CREATE VIEW odd AS SELECT 5 AS id")).expect("shop");
    site.service("desk.db").execute_batch(DESK).expect("desk");
    site.install_capture("shop.db");
    site.install_capture("desk.db");
    let check = vantage().current_dir(site.root()).args(["check", "--views", "views"]).output().expect("check");
    let text = text_of(&check);
    assert!(!check.status.success() && text.contains("\"odds\"") && text.contains("\"nope\""), "{text}");
    assert!(text.contains("tagged [key"), "{text}");
    let mut server = site.serve();
    server.wait_for("/readyz?views=tagged,noted", |it| it.status == 200);
    for (name, words) in [("odd", "it is a view"), ("odds", "it reads"), ("wrong", "nope")] {
        let told = status(&server, name);
        assert!(
            told["state"] == "failed" && told["reason"].as_str().is_some_and(|it| it.contains(words)),
            "{name}: {told}"
        );
        let answer = http::get(server.address, &format!("/v1/views/{name}"), &[]).expect("answer");
        assert!(answer.status == 409 && answer.body.contains("55000"), "{name}: {}", answer.body);
        let answer = http::sql(server.address, &format!("SELECT * FROM {name}")).expect("answer");
        assert!(answer.status == 409 && answer.body.contains(words), "{name}: {}", answer.body);
    }
    // Mended, it comes by itself.
    owner(
        &site.path("shop.db"),
        "DROP VIEW odd; CREATE TABLE odd (id INTEGER PRIMARY KEY); INSERT INTO odd VALUES (5)",
    );
    site.install_capture("shop.db");
    wait_for_state(&mut server, "odds", "live");
    assert_eq!(rows(&server, "SELECT * FROM odds"), json!([[5]]));
    assert_eq!(view_rows(&server), truths(&site.service("shop.db")));
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn an_upstream_rename_is_no_reason_to_exit() {
    let site = site();
    let shop = site.service("shop.db");
    let mut server = site.serve();
    server.wait_ready();
    let before = truths(&shop);
    let stood = head(&shop);
    assert_eq!(server.terminate(), Some(0));
    owner(
        &site.path("shop.db"),
        "ALTER TABLE items RENAME COLUMN colour TO color; INSERT INTO tags VALUES (50, 1, 'later')",
    );
    let mut server = site.serve();
    assert_one_table_is_stale(&mut server, &shop, stood, &before, "colour");
    // A mistake in the files leaves what runs; files that fit the table take it as it is now, without a restart.
    let hangup = |server: &Server| {
        let kill = Command::new("kill").args(["-HUP", &server.child.id().to_string()]).status().expect("kill");
        assert!(kill.success());
    };
    let log = server.log().len();
    site.write_views(&VIEWS.replace("SELECT colour, count(*)", "SELECT clour, count(*)"));
    hangup(&server);
    let log_now = || std::fs::read_to_string(site.path("log")).unwrap_or_default();
    server.wait_for("/livez", |_| log_now().contains("the view files were not taken"));
    assert!(server.log()[log..].contains("clour"), "{}", server.log());
    assert_eq!(status(&server, "colours")["state"], "stale");
    let fitted = VIEWS
        .replace("SELECT colour, count(*)", "SELECT color AS colour, count(*)")
        .replace("GROUP BY colour", "GROUP BY color");
    site.write_views(&fitted.replace("i.colour", "i.color AS colour"));
    hangup(&server);
    server.wait_ready();
    let renamed = [COLOURS.replace("colour", "color"), TAGGED.replace("colour", "color"), TAG_COUNT.into()];
    assert_eq!(view_rows(&server), renamed.map(|it| Value::Array(truth(&shop, &it))));
    let built = server.log().lines().filter(|it| it.contains("\"built\"") && it.contains("\"texts\"")).count();
    assert_eq!(built, 1, "what is unchanged is not built again: {}", server.log());
    // A column that is added is told.
    owner(
        &site.path("desk.db"),
        "ALTER TABLE notes ADD COLUMN mood TEXT; INSERT INTO notes VALUES (9, 1, 'm', 'good')",
    );
    server.wait_for("/v1/views/notes/9", |it| it.status == 200);
    assert!(server.log().contains("mood"), "{}", server.log());
    hangup(&server);
    server.wait_for("/v1/views/notes/9", |it| it.status == 200 && it.json()["mood"] == "good");
    server.wait_ready();
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_table_may_bring_its_own_source() {
    let site = Site::new();
    let views = |options: &str, freshness: &str| {
        format!(
            "CREATE TABLE things WITH ({options});
             CREATE MATERIALIZED VIEW doubled {freshness} AS SELECT id, id * 2 AS twice FROM things;"
        )
    };
    site.write_views(&views("connector = 'sqlite', path = 'shop.db', table = 'e'", ""));
    let shop = site.service("shop.db");
    shop.execute_batch("CREATE TABLE e (id INTEGER PRIMARY KEY); INSERT INTO e VALUES (1)").expect("e");
    site.install_capture("shop.db");
    let mut server = site.serve();
    server.wait_ready();
    owner(&site.path("shop.db"), "INSERT INTO e VALUES (2)");
    let position = format!("things@{}", head(&shop));
    let headers = [("vantage-after", &*position), ("vantage-timeout-ms", "20000")];
    let answer = http::get(server.address, "/v1/views/doubled/2", &headers).expect("answer");
    assert_eq!((answer.status, &answer.json()["twice"]), (200, &json!(4)), "{}", answer.body);
    // The same source in other words goes on, and the view's freshness is taken; another source takes a restart.
    let hangup = |server: &Server| {
        let kill = Command::new("kill").args(["-HUP", &server.child.id().to_string()]).status().expect("kill");
        assert!(kill.success());
    };
    site.write_views(&views(
        "'table' = 'e', 'path' = 'shop.db', 'connector' = 'sqlite'",
        "WITH (freshness = '1 minute')",
    ));
    hangup(&server);
    server.wait_for("/v1/schema/doubled", |it| it.status == 200 && it.json()["freshness_ms"] == 60_000);
    let built = server.log().lines().filter(|it| it.contains("\"built\"") && it.contains("\"doubled\"")).count();
    assert_eq!(built, 1, "what is unchanged is not built again: {}", server.log());
    site.write_views(&views("connector = 'sqlite', path = 'other.db', table = 'e'", ""));
    hangup(&server);
    let log_now = || std::fs::read_to_string(site.path("log")).unwrap_or_default();
    server.wait_for("/livez", |_| log_now().contains("their sources are others than before"));
    server.wait_ready();
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_file_that_goes_or_breaks_makes_its_views_stale() {
    let site = site();
    let mut server = site.serve();
    server.wait_ready();
    let desk = site.service("desk.db");
    for content in [None, Some("not what its name says")] {
        let (path, aside) = (site.path("shop.db"), site.path("aside.db"));
        let kept = Connection::open(&path).expect("shop");
        kept.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("checkpoint");
        drop(kept);
        std::fs::rename(&path, &aside).expect("rename");
        content.iter().for_each(|it| std::fs::write(&path, it).expect("file"));
        let told = wait_for_state(&mut server, "tagged", "stale");
        assert!(told["reason"].as_str().is_some_and(|it| it.contains("source \"shop\"")), "{told}");
        desk.execute_batch("UPDATE notes SET text = text || '+'").expect("desk");
        let position = format!("desk@{}", head(&desk));
        let headers = [("vantage-after", &*position), ("vantage-timeout-ms", "20000")];
        let read = http::get(server.address, "/v1/views/texts", &headers).expect("answer");
        assert_eq!((read.status, read.header("vantage-stale")), (200, None), "{}", read.body);
        // A view over both goes on with what there is, and says so.
        let read = http::get(server.address, "/v1/views/noted/1", &headers).expect("answer");
        assert!(read.status == 200 && read.header("vantage-stale").is_some(), "{}", read.body);
        assert!(read.json()["text"].as_str().is_some_and(|it| it.ends_with('+')), "{}", read.body);
        std::fs::rename(&aside, &path).expect("rename");
        server.wait_ready();
    }
    assert_eq!(view_rows(&server), truths(&site.service("shop.db")));
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn what_was_planned_last_is_forgotten_aloud_when_it_cannot_be_read() {
    let site = site();
    let mut server = site.serve();
    server.wait_ready();
    let before = view_rows(&server);
    assert!(!server.log().contains("is forgotten"), "{}", server.log());
    assert_eq!(server.terminate(), Some(0));
    std::fs::write(site.path("data/schemas.json"), "{\"tables\": {").expect("a damaged file");
    let mut server = site.serve();
    server.wait_ready();
    let log = server.log();
    assert!(log.contains("schemas.json") && log.contains("is forgotten"), "{log}");
    assert_eq!(view_rows(&server), before);
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named_with_the_cure() {
    let site = site();
    std::fs::write(site.path("data"), "a file").expect("file");
    let refused = site.serve_command().output().expect("serve");
    let text = text_of(&refused);
    assert!(!refused.status.success() && text.contains("data is a file"), "{text}");
    std::fs::remove_file(site.path("data")).expect("remove");
    let mut server = site.serve();
    server.wait_ready();
    assert_eq!(server.terminate(), Some(0));
    std::fs::remove_dir_all(site.path("data/rocksdb")).expect("damage");
    let refused = site.serve_command().output().expect("serve");
    let text = text_of(&refused);
    assert!(!refused.status.success() && text.contains("the store is corrupt"), "{text}");
    assert!(text.contains("remove the data directory, and it is built again from the sources"), "{text}");
    std::fs::remove_dir_all(site.path("data")).expect("cure");
    let mut server = site.serve();
    server.wait_ready();
    assert_eq!(view_rows(&server), truths(&site.service("shop.db")));
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn what_the_log_has_missed_is_found_by_a_copy_that_is_asked_for() {
    let site = site();
    let shop = site.service("shop.db");
    let mut server = site.serve();
    server.wait_ready();
    let before = truths(&shop);
    assert_eq!(view_rows(&server), before);
    // Nothing logs what a connection without triggers does.
    shop.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).expect("without triggers");
    shop.execute_batch("DELETE FROM items WHERE id = 1; UPDATE items SET colour = 'green' WHERE id = 3")
        .expect("written");
    shop.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true).expect("with triggers");
    shop.execute_batch("INSERT INTO tags VALUES (9, 2, 'logged')").expect("written");
    assert_eq!(after(&server, "tag_count", head(&shop), 20_000).status, 200);
    assert_eq!(view_rows(&server)[0], before[0], "nobody has noticed");
    let resync = |arguments: &[&str]| {
        let listen = server.address.to_string();
        vantage().args(["sources", "resync", "shop", "--listen", &listen]).args(arguments).output().expect("vantage")
    };
    let refused = resync(&["--table", "notes"]);
    assert!(!refused.status.success() && text_of(&refused).contains("no table \\\"notes\\\""), "{}", text_of(&refused));
    let asked = resync(&["--table", "items"]);
    assert!(asked.status.success() && text_of(&asked).contains("copied again: items"), "{}", text_of(&asked));
    server.wait_for("/v1/views/items?order=id", |answer| answer.status == 200 && answer.body.contains("green"));
    server.wait_ready();
    assert_eq!(view_rows(&server), truths(&shop));
    assert_eq!(server.terminate(), Some(0));
}
