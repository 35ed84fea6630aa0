//! What is in the way is named, with what to do, and goes on when it is mended.

use std::time::Instant;

use serde_json::{Value, json};

use super::super::support::postgres::Server as Postgres;
use super::super::support::{PATIENCE, Server, http};
use super::Shop;

const ITEMS: &str = "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'a'), (2, 'b');";
const DECLARED: &str = "CREATE TABLE items FROM shop TABLE 'items';
CREATE MATERIALIZED VIEW names AS SELECT id, name FROM items;";
const NAMES: &[(&str, &str)] = &[("names", "SELECT id, name FROM items")];

/// Waits until the server says that it is not ready because of this.
pub(super) fn wait_for_words(server: &mut Server, words: &str) {
    server.wait_for("/readyz", |answer| answer.status == 503 && answer.body.contains(words));
}

/// A site whose source has these options besides the database's.
pub(super) fn with_options(shop: &mut Shop, options: &[(&str, &str)]) {
    let kept =
        shop.options.split(", ").filter(|it| !options.iter().any(|(name, _)| it.starts_with(&format!("{name} ="))));
    let mut all: Vec<String> = kept.map(str::to_string).collect();
    all.extend(options.iter().map(|(name, value)| format!("{name} = '{value}'")));
    shop.options = all.join(", ");
}

#[test]
fn who_may_not_is_told_what_to_do() {
    let postgres = Postgres::own(&["wal_level=logical"]);
    let mut shop = Shop::of(&postgres, "rights", ITEMS);
    shop.owner
        .execute("CREATE ROLE reader LOGIN PASSWORD 'secret' REPLICATION; CREATE ROLE plain LOGIN PASSWORD 'secret'");
    let (port, usual) = (postgres.port.to_string(), shop.options.clone());
    let base = [("host", "127.0.0.1"), ("port", &*port), ("password_env", "SHOP_PASSWORD")];
    for (options, words) in [
        (&[("user", "reader"), ("password_env", "WRONG_PASSWORD")][..], "check the options user and password"),
        (&[("user", "nobody")], "check the options user and password"),
        (&[("user", "plain")], "ALTER ROLE \\\"plain\\\" REPLICATION"),
        (&[("user", "reader"), ("database", "nowhere")], "check the option database"),
        (&[("user", "reader"), ("sslmode", "require")], "the option sslmode asks for it"),
        (&[("user", "reader")], "GRANT SELECT"),
    ] {
        shop.options = usual.clone();
        with_options(&mut shop, &base);
        with_options(&mut shop, options);
        shop.declare(DECLARED);
        let mut command = shop.site.serve_command();
        command.env("SHOP_PASSWORD", "secret").env("WRONG_PASSWORD", "guess");
        let mut server = shop.site.start(command);
        wait_for_words(&mut server, words);
        assert!(!server.log().contains("secret") && !server.log().contains("guess"), "{}", server.log());
        if words == "GRANT SELECT" {
            // What is granted is noticed: reading first, then the publication.
            shop.owner.execute("GRANT SELECT ON items TO reader");
            wait_for_words(&mut server, "CREATE PUBLICATION");
            shop.owner.execute("CREATE PUBLICATION vantage FOR TABLE items");
            server.wait_ready();
            shop.compare(&server, NAMES);
        }
    }
}

#[test]
fn a_server_that_is_not_set_up_is_named() {
    let postgres = Postgres::own(&["wal_level=replica"]);
    let shop = Shop::of(&postgres, "level", ITEMS);
    shop.declare(DECLARED);
    let mut server = shop.site.serve();
    wait_for_words(&mut server, "ALTER SYSTEM SET wal_level = logical");
    drop(server);
    let postgres = Postgres::own(&["wal_level=logical", "max_replication_slots=1"]);
    let mut shop = Shop::of(&postgres, "slots", ITEMS);
    shop.owner.execute("SELECT pg_create_physical_replication_slot('other')");
    shop.declare(DECLARED);
    let mut server = shop.site.serve();
    wait_for_words(&mut server, "raise max_replication_slots");
    shop.owner.execute("SELECT pg_drop_replication_slot('other')");
    server.wait_ready();
    shop.compare(&server, NAMES);
}

#[test]
fn a_slot_that_is_gone_is_not_made_again() {
    let mut shop = Shop::new("gone", ITEMS);
    let server = shop.serve(DECLARED);
    shop.compare(&server, NAMES);
    assert_eq!(server.terminate(), Some(0));
    shop.owner.execute("SELECT pg_drop_replication_slot('gone'); INSERT INTO items VALUES (3, 'c')");
    let mut server = shop.site.serve();
    wait_for_words(&mut server, "slot-lost");
    // What was read stays served.
    let answer = http::sql(server.address, "SELECT count(*) FROM names").expect("answer");
    assert_eq!(answer.json()["rows"], json!([[2]]));
    assert_eq!(server.terminate(), Some(0));
    // Another slot is a new beginning, as a person says.
    with_options(&mut shop, &[("slot.name", "gone_2")]);
    let server = shop.serve(DECLARED);
    shop.owner.execute("DELETE FROM items WHERE id = 1");
    shop.compare(&server, NAMES);
}

#[test]
fn a_slot_that_the_server_gave_up_is_named() {
    let postgres =
        Postgres::own(&["wal_level=logical", "max_slot_wal_keep_size=1MB", "min_wal_size=32MB", "max_wal_size=32MB"]);
    let mut shop = Shop::of(&postgres, "invalid", ITEMS);
    let server = shop.serve(DECLARED);
    shop.compare(&server, NAMES);
    assert_eq!(server.terminate(), Some(0));
    for _ in 0..4 {
        shop.owner.execute(
            "SELECT pg_logical_emit_message(false, '', repeat('x', 20000000)); SELECT pg_switch_wal(); CHECKPOINT",
        );
    }
    let mut server = shop.site.serve();
    wait_for_words(&mut server, "slot-lost");
}

#[test]
fn another_reader_of_the_slot_is_named() {
    let mut shop = Shop::new("shared", ITEMS);
    let first = shop.serve(DECLARED);
    let mut other = Shop { site: super::Site::new(), ..shop };
    other.declare(DECLARED);
    let mut second = other.site.serve();
    wait_for_words(&mut second, "give every reader a slot.name of its own");
    drop(first);
    second.wait_ready();
    other.compare(&second, NAMES);
    shop = other;
    assert_eq!(shop.name, "shared");
}

#[test]
fn another_server_in_the_place_of_ours_is_noticed() {
    let postgres = Postgres::own(&["wal_level=logical"]);
    let mut shop = Shop::of(&postgres, "twin", ITEMS);
    let server = shop.serve(DECLARED);
    shop.compare(&server, NAMES);
    assert_eq!(server.terminate(), Some(0));
    let other = Postgres::own(&["wal_level=logical"]);
    let mut twin = Shop::of(&other, "twin", ITEMS);
    twin.owner.execute("SELECT pg_create_logical_replication_slot('twin', 'pgoutput')");
    twin.site = shop.site;
    twin.declare(DECLARED);
    let mut server = twin.site.serve();
    wait_for_words(&mut server, "another-server");
}

#[test]
fn publications_of_others_are_adopted_or_refused() {
    let mut shop = Shop::new(
        "adopted",
        &format!("{ITEMS} CREATE PUBLICATION everything FOR ALL TABLES WITH (publish_via_partition_root = true);
            CREATE PUBLICATION a_few FOR TABLE items WHERE (id > 1); CREATE PUBLICATION inserts FOR TABLE items WITH (publish = 'insert');
            CREATE PUBLICATION ids FOR TABLE items (id)"),
    );
    for (publication, words) in [
        ("a_few", "row filter"),
        ("inserts", "does not publish all changes"),
        ("ids", "does not have the columns name"),
    ] {
        with_options(&mut shop, &[("publication.name", publication)]);
        shop.declare(DECLARED);
        let mut server = shop.site.serve();
        wait_for_words(&mut server, words);
    }
    with_options(&mut shop, &[("publication.name", "none"), ("publication.create.enable", "false")]);
    shop.declare(DECLARED);
    let mut server = shop.site.serve();
    wait_for_words(&mut server, "CREATE PUBLICATION \\\"none\\\"");
    drop(server);
    with_options(&mut shop, &[("publication.name", "everything")]);
    let server = shop.serve(DECLARED);
    shop.owner.execute("UPDATE items SET name = 'x'");
    shop.compare(&server, NAMES);
}

/// An idle database must not keep the server's log: the place that is acknowledged goes on.
#[test]
fn an_idle_database_holds_nothing_back() {
    let postgres = Postgres::own(&["wal_level=logical"]);
    let mut shop = Shop::of(&postgres, "idle", ITEMS);
    let server = shop.serve(DECLARED);
    shop.compare(&server, NAMES);
    // Another database is busy.
    let mut other = postgres.session("postgres");
    other.execute("CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 1000)");
    let end = other.query("SELECT pg_current_wal_flush_lsn()").expect("a place").rows[0][0].clone().expect("a place");
    let confirmed = format!("SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots WHERE slot_name = 'idle'");
    let mut is_true = |sql: &str| other.query(sql).expect("slot").rows[0][0].as_deref() == Some("t");
    wait_until(|| is_true(&confirmed), &server);
    // The log itself goes, too.
    is_true(
        "SELECT sum(length(pg_logical_emit_message(false, '', repeat('x', 16000000))::text)) > 0 FROM generate_series(1, 4)",
    );
    let kept = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) < 16000000 FROM pg_replication_slots";
    let mut other = postgres.session("postgres");
    wait_until(
        || {
            other.execute("CHECKPOINT");
            is_true(kept)
        },
        &server,
    );
}

fn wait_until(mut found: impl FnMut() -> bool, server: &Server) {
    let deadline = Instant::now() + PATIENCE;
    while !found() {
        assert!(Instant::now() < deadline, "it did not come to that:\n{}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// What is told of the only source.
fn source(server: &Server) -> Value {
    http::get(server.address, "/v1/sources", &[]).expect("sources").json()[0].clone()
}

/// A transaction that nobody ends holds up the slot, and then the server's log.
#[test]
fn what_an_open_transaction_holds_up_is_told() {
    let postgres = Postgres::own(&["wal_level=logical"]);
    let mut shop = Shop::of(&postgres, "open", ITEMS);
    with_options(&mut shop, &[("slot.warn.mb", "20")]);
    let mut other = postgres.session("open");
    other.execute("BEGIN; INSERT INTO items VALUES (3, 'c')");
    shop.declare(DECLARED);
    let mut server = shop.site.serve();
    wait_until(|| server.log().contains("once all transactions have ended"), &server);
    other.execute("COMMIT");
    server.wait_ready();
    shop.compare(&server, NAMES);
    wait_until(|| source(&server)["parts"][0]["wal_status"] == "reserved", &server);
    let told = source(&server);
    let part = &told["parts"][0];
    assert_eq!((&part["state"], &told["warnings"]), (&json!("streaming"), &json!({})), "{told}");
    for figure in ["end", "behind", "kept_bytes"] {
        assert!(part[figure].is_u64(), "{figure}: {told}");
    }
    assert!(part["confirmed"].as_str().is_some_and(|it| it.contains('/')), "{told}");
    let metrics = http::get(server.address, "/metrics", &[]).expect("metrics").body;
    assert!(metrics.contains("vantage_source_part{source=\"shop\",part=\"\",figure=\"kept_bytes\"}"), "{metrics}");
    other.execute("BEGIN; INSERT INTO items VALUES (4, 'd')");
    for _ in 0..3 {
        shop.owner.execute("SELECT pg_logical_emit_message(false, '', repeat('x', 16000000))");
    }
    let warns = |words: &str| source(&server)["warnings"]["slot"].as_str().is_some_and(|it| it.contains(words));
    wait_until(|| warns("has no limit for it"), &server);
    assert!(server.log().contains("has no limit for it"), "{}", server.log());
    shop.owner.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '64MB'");
    shop.owner.execute("SELECT pg_reload_conf()");
    wait_until(|| warns("gives the slot up when"), &server);
    assert!(source(&server)["parts"][0]["left_bytes"].is_u64());
    other.execute("COMMIT");
    wait_until(
        || {
            other.execute("CHECKPOINT");
            source(&server)["warnings"] == json!({})
        },
        &server,
    );
    shop.compare(&server, NAMES);
}

/// The engine asks about tables between two epochs, and a network may take long to say nothing.
#[test]
fn a_server_that_says_nothing_holds_up_nobody_else() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("address").port();
    let site = super::Site::new();
    let notes = site.service("notes.db");
    notes.execute_batch("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)").expect("table");
    site.install_capture("notes.db");
    site.write_views(&format!(
        "CREATE SOURCE away WITH (connector = 'postgres', host = '127.0.0.1', port = {port}, user = 'u', database = 'd');
         CREATE TABLE items FROM away TABLE 'items';
         CREATE SOURCE desk WITH (connector = 'sqlite', path = 'notes.db');
         CREATE TABLE notes FROM desk TABLE 'notes';
         CREATE MATERIALIZED VIEW texts AS SELECT text, count(*) AS n FROM notes GROUP BY text;"
    ));
    let mut server = site.serve();
    server.wait_for("/v1/views/texts?limit=1", |answer| answer.status == 200);
    for number in 0..200 {
        notes.execute("INSERT INTO notes (text) VALUES ('x')", []).expect("a note");
        let place: i64 = notes.query_row("SELECT max(id) FROM _vantage_changes", [], |row| row.get(0)).expect("log");
        let headers = [("vantage-after", &*format!("desk@{place}")), ("vantage-timeout-ms", "8000")];
        let answer = http::get(server.address, "/v1/views/texts?limit=1", &headers).expect("answer");
        assert_eq!(answer.status, 200, "{number}: {}\n{}", answer.body, server.log());
    }
    wait_for_words(&mut server, "does not answer");
}
