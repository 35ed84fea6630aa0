//! A value that cannot be computed is an error of its key or group only, says why, and heals when the row does.

use rusqlite::Connection;

use super::support::{Server, Site, http};

const VIEWS: &str = "
CREATE SOURCE shop WITH (connector = 'sqlite', path = 'shop.db');
CREATE TABLE lines FROM shop TABLE 'lines';
CREATE MATERIALIZED VIEW unit AS SELECT id, colour, price / quantity AS each FROM lines;
CREATE MATERIALIZED VIEW totals AS SELECT colour, sum(price) AS total, count(*) AS lines FROM lines GROUP BY colour;
CREATE MATERIALIZED VIEW dear AS SELECT id FROM lines WHERE price / quantity > 5;
CREATE MATERIALIZED VIEW pricey AS SELECT id, colour FROM lines WHERE price / quantity > 5;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM dear;
CREATE MATERIALIZED VIEW rounded AS SELECT id, CAST(colour AS BIGINT) AS number FROM lines;
";

struct Shop {
    owner: Connection,
    server: Server,
    /// Kept so that the files outlive the server.
    _site: Site,
}

impl Shop {
    fn open() -> Shop {
        let site = Site::new();
        site.write_views(VIEWS);
        let owner = site.service("shop.db");
        owner
            .execute_batch(
                "CREATE TABLE lines (id INTEGER PRIMARY KEY, colour TEXT, price INTEGER, quantity INTEGER);
                 INSERT INTO lines VALUES (1, 'red', 10, 2), (2, 'red', 20, 4), (3, 'blue', 30, 5);",
            )
            .expect("shop");
        site.install_capture("shop.db");
        let mut server = site.serve();
        server.wait_ready();
        Shop { owner, server, _site: site }
    }

    /// Changes the owner's data.
    fn change(&self, statement: &str) {
        self.owner.execute_batch(statement).expect("statement");
    }

    /// Reads a path, including every change so far.
    fn get(&self, path: &str) -> http::Answer {
        let newest: i64 =
            self.owner.query_row("SELECT max(id) FROM _vantage_changes", [], |row| row.get(0)).unwrap_or_default();
        let after = format!("shop@{newest}");
        let headers = [("vantage-after", &*after), ("vantage-timeout-ms", "20000")];
        http::get(self.server.address, path, &headers).expect("answer")
    }

    fn assert_error(&self, path: &str, words: &[&str]) {
        let answer = self.get(path);
        assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        for word in words {
            assert!(answer.body.contains(word), "{path} does not say {word}: {}", answer.body);
        }
    }

    fn assert_cell(&self, path: &str, column: &str, expected: i64) {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!(answer.json()[column], expected, "{path}: {}", answer.body);
    }
}

#[test]
fn a_division_by_zero_is_an_error_of_its_key() {
    let shop = Shop::open();
    shop.change("UPDATE lines SET quantity = 0 WHERE id = 2");
    shop.assert_error("/v1/views/unit/2", &["division by zero", "each"]);
    shop.assert_cell("/v1/views/unit/1", "each", 5);
    let answer = shop.get("/v1/views/unit/2?select=colour");
    assert_eq!(answer.status, 200, "columns without an error can be read: {}", answer.body);
    shop.change("UPDATE lines SET quantity = 10 WHERE id = 2");
    shop.assert_cell("/v1/views/unit/2", "each", 2);
}

#[test]
fn an_overflowing_sum_is_an_error_of_its_group() {
    let shop = Shop::open();
    shop.change("UPDATE lines SET price = 9223372036854775807 WHERE id IN (1, 2)");
    shop.assert_error("/v1/views/totals/red", &["out of range", "total"]);
    shop.assert_cell("/v1/views/totals/blue", "total", 30);
    shop.change("UPDATE lines SET price = 1 WHERE id = 1");
    shop.assert_error("/v1/views/totals/red", &["out of range"]);
    shop.change("UPDATE lines SET price = 2 WHERE id = 2");
    shop.assert_cell("/v1/views/totals/red", "total", 3);
}

#[test]
fn a_value_that_is_not_of_the_declared_type_is_an_error_of_its_row_and_group() {
    let shop = Shop::open();
    shop.change("UPDATE lines SET price = 'a lot' WHERE id = 3");
    shop.assert_error("/v1/views/lines/3", &["price", "a lot"]);
    shop.assert_error("/v1/views/unit/3", &["price"]);
    shop.assert_error("/v1/views/totals/blue", &["total"]);
    shop.assert_cell("/v1/views/totals/red", "total", 30);
    shop.change("DELETE FROM lines WHERE id = 3");
    assert_eq!(shop.get("/v1/views/totals/blue").status, 404);
    shop.change("INSERT INTO lines VALUES (3, 'blue', 7, 1)");
    shop.assert_cell("/v1/views/totals/blue", "total", 7);
}

#[test]
fn a_failed_cast_is_an_error_of_its_key() {
    let shop = Shop::open();
    shop.assert_error("/v1/views/rounded/1", &["number"]);
    shop.change("UPDATE lines SET colour = '17' WHERE id = 1");
    shop.assert_cell("/v1/views/rounded/1", "number", 17);
    shop.assert_error("/v1/views/rounded/2", &["red"]);
}

#[test]
fn a_row_whose_filter_cannot_be_computed_is_neither_shown_nor_counted() {
    let shop = Shop::open();
    shop.assert_cell("/v1/views/dear/3", "id", 3);
    shop.change("UPDATE lines SET quantity = 0 WHERE id = 1");
    let rows = ["/v1/views/dear/1", "/v1/views/pricey/1", "/v1/views/pricey/1?select=id"];
    let lists = ["/v1/views/dear", "/v1/views/counted", "/v1/views/pricey?select=id", "/v1/views/pricey?colour=eq.red"];
    for path in rows.iter().chain(&lists) {
        shop.assert_error(path, &["division by zero"]);
    }
    for statement in ["SELECT count(*) FROM pricey", "SELECT id FROM pricey", "SELECT id FROM dear WHERE id = 1"] {
        let answer = http::sql(shop.server.address, statement).expect("answer");
        assert_eq!(answer.status, 422, "{statement}: {}", answer.body);
        assert!(answer.body.contains("division by zero"), "{statement}: {}", answer.body);
    }
    let skipped = shop.get("/v1/views/pricey?select=id&errors=skip");
    assert_eq!((skipped.status, &*skipped.body), (200, r#"[{"id":3}]"#));
    shop.assert_cell("/v1/views/dear/3", "id", 3);
    shop.change("UPDATE lines SET quantity = 1 WHERE id = 1");
    shop.assert_cell("/v1/views/dear/1", "id", 1);
    let counted = shop.get("/v1/views/counted");
    assert_eq!((counted.status, counted.json()[0]["n"].as_i64()), (200, Some(2)), "{}", counted.body);
}
