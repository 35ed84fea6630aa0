//! What is in the way is named, with what to do, and goes on when it is mended.

use super::super::support::postgres::Server as Postgres;
use super::super::support::{Server, http};
use super::Shop;

const ITEMS: &str = "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'a'), (2, 'b');";
const DECLARED: &str = "CREATE TABLE items FROM shop TABLE 'items';
CREATE MATERIALIZED VIEW names AS SELECT id, name FROM items;";
const NAMES: &[(&str, &str)] = &[("names", "SELECT id, name FROM items")];

/// Waits until the server says that it is not ready because of this.
fn wait_for_words(server: &mut Server, words: &str) {
    server.wait_for("/readyz", |answer| answer.status == 503 && answer.body.contains(words));
}

/// A site whose source has these options besides the database's.
fn with_options(shop: &mut Shop, options: &[(&str, &str)]) {
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
        (&[("user", "reader"), ("sslmode", "require")], "see the option sslmode"),
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
    assert_eq!(answer.json()["rows"], serde_json::json!([[2]]));
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
    let deadline = std::time::Instant::now() + super::super::support::PATIENCE;
    while other.query(&confirmed).expect("slot").rows[0][0].as_deref() != Some("t") {
        assert!(std::time::Instant::now() < deadline, "the slot stands still: {}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
