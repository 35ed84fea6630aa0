//! What is wrong in a view file is said with file, line and caret.

use expect_test::{Expect, expect};

use super::{DeclaredColumn, File, Name, Options, Source, Table, read_files};

fn problems(text: &str) -> String {
    let files = vec![File { path: "views/shop.sql".into(), text: text.into() }];
    match read_files(files, Vec::new()) {
        Ok(catalog) => format!("no problem: {} views", catalog.views.len()),
        Err((files, problems)) => problems.iter().map(|it| it.render(&files)).collect::<Vec<_>>().join("\n\n"),
    }
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&problems(text));
}

const SHOP: &str = "CREATE SOURCE shop WITH (connector = 'sqlite', 'path' = 'shop.db');\n\
                    CREATE TABLE products FROM shop TABLE 'products';\n";

#[test]
fn declarations_in_any_order_are_sorted_by_dependence() {
    let text = "-- The second.\n-- It has two lines.\nCREATE VIEW b AS SELECT * FROM a;\n\
                CREATE INDEX i ON c (x DESC, y NULLS FIRST) INCLUDE (z);\n\
                CREATE MATERIALIZED VIEW c (x, y, z) WITH (freshness = '1s') AS \
                WITH a2 AS (SELECT * FROM b) SELECT * FROM a2 JOIN \"Odd\" o ON o.id = a2.id;\n\
                /* The first. */ CREATE VIEW a AS SELECT id, (SELECT max(id) FROM products) FROM products; -- not a doc\n\
                CREATE TABLE \"Odd\" (id BIGINT, n NUMERIC(10, 2) NOT NULL, PRIMARY KEY (id)) FROM shop TABLE 'odd one';\n";
    let files = vec![File { path: "views/shop.sql".into(), text: format!("{text}{SHOP}") }];
    let catalog = read_files(files, Vec::new()).unwrap();
    let views: Vec<_> = catalog.views.iter().map(|it| (&it.name[..], it.depends_on.join(" "), &it.doc[..])).collect();
    assert_eq!(
        views,
        [
            ("a", "products".to_string(), "The first."),
            ("b", "a".to_string(), "The second.\nIt has two lines."),
            ("c", "b Odd".to_string(), ""),
        ]
    );
    assert_eq!(catalog.views[2].columns, ["x", "y", "z"]);
    let index = &catalog.indexes[0];
    assert_eq!(
        (&index.include[..], index.columns[0].nulls_first, index.columns[1].nulls_first),
        (&["z".into()][..], true, true)
    );
    let odd = catalog.tables.iter().find(|it| it.name == "Odd").unwrap();
    assert_eq!(
        (odd.upstream.as_str(), odd.declared.len(), odd.declared[0].primary_key, odd.doc.as_str()),
        ("odd one", 2, true, "")
    );
}

#[test]
fn a_source_has_a_name_that_fits_into_a_header() {
    check(
        "CREATE SOURCE größe WITH (connector = 'sqlite', path = 'x.db');\n\
         CREATE SOURCE \"a@b\" WITH (connector = 'sqlite', path = 'x.db');\n\
         CREATE SOURCE \"a,b\" WITH (connector = 'sqlite', path = 'x.db');\n\
         CREATE SOURCE \"Shop-1.x\" WITH (connector = 'sqlite', path = 'x.db');\n",
        expect![[r#"
            error: a source cannot be called "größe"
             --> views/shop.sql:1:15
              |
            1 | CREATE SOURCE größe WITH (connector = 'sqlite', path = 'x.db');
              |               ^^^^^
              = hint: use letters from a to z, digits and _: readers write it in a header, as name@17

            error: a source cannot be called "a@b"
             --> views/shop.sql:2:15
              |
            2 | CREATE SOURCE "a@b" WITH (connector = 'sqlite', path = 'x.db');
              |               ^^^^^
              = hint: use letters from a to z, digits and _: readers write it in a header, as name@17

            error: a source cannot be called "a,b"
             --> views/shop.sql:3:15
              |
            3 | CREATE SOURCE "a,b" WITH (connector = 'sqlite', path = 'x.db');
              |               ^^^^^
              = hint: use letters from a to z, digits and _: readers write it in a header, as name@17"#]],
    );
}

#[test]
fn all_problems_are_reported_with_their_places() {
    check(
        "CREATE SOURCE s WITH (conector = 'sqlite');\n\
         CREATE TABLE t FROM s TABLE products;\n\
         CREATE MATERIALIZED VIEW v AS SELECT a FROM t WHERE ;\n\
         CREATE UNIQUE INDEX i ON v (a);\n\
         DROP TABLE t;\n",
        expect![[r#"
            error: there is no option "conector"
             --> views/shop.sql:1:23
              |
            1 | CREATE SOURCE s WITH (conector = 'sqlite');
              |                       ^^^^^^^^
              = hint: did you mean "connector"?

            error: expected the table's name at the source, found "products"
             --> views/shop.sql:2:29
              |
            2 | CREATE TABLE t FROM s TABLE products;
              |                             ^^^^^^^^
              = hint: write it in single quotes: 'like this'

            error: expected an expression, found the end of the query
             --> views/shop.sql:3:51
              |
            3 | CREATE MATERIALIZED VIEW v AS SELECT a FROM t WHERE ;
              |                                                   ^

            error: an index cannot be UNIQUE: views keep no rule their query does not have
             --> views/shop.sql:4:8
              |
            4 | CREATE UNIQUE INDEX i ON v (a);
              |        ^^^^^^
              = hint: write CREATE INDEX

            error: expected CREATE SOURCE, CREATE TABLE … FROM, CREATE VIEW, CREATE MATERIALIZED VIEW or CREATE INDEX, found "DROP"
             --> views/shop.sql:5:1
              |
            5 | DROP TABLE t;
              | ^^^^
              = hint: a view file only declares things; data stays with its owner"#]],
    );
}

#[test]
fn names_that_mean_nothing_or_two_things_are_problems() {
    let text = format!(
        "{SHOP}CREATE TABLE prices FROM shopp TABLE 'prices';\n\
         CREATE VIEW products AS SELECT 1;\n\
         CREATE VIEW v AS\n  SELECT * FROM prodcuts p JOIN nowhere n ON n.id = p.id;\n\
         CREATE INDEX i ON v (id);\n\
         CREATE VIEW x AS SELECT * FROM y;\nCREATE VIEW y AS SELECT * FROM x;\n\
         CREATE MATERIALIZED VIEW w WITH (freshness = 'soon') AS SELECT 'ü' FROM products;\n"
    );
    check(
        &text.replace(" WITH (freshness = 'soon')", ""),
        expect![[r#"
        error: source "shopp" does not exist
         --> views/shop.sql:3:26
          |
        3 | CREATE TABLE prices FROM shopp TABLE 'prices';
          |                          ^^^^^
          = hint: did you mean "shop"?

        error: "products" is declared twice
         --> views/shop.sql:4:13
          |
        4 | CREATE VIEW products AS SELECT 1;
          |             ^^^^^^^^
          = hint: the first one is at views/shop.sql:2

        error: relation "prodcuts" does not exist
         --> views/shop.sql:6:17
          |
        6 |   SELECT * FROM prodcuts p JOIN nowhere n ON n.id = p.id;
          |                 ^^^^^^^^
          = hint: did you mean "products"?

        error: relation "nowhere" does not exist
         --> views/shop.sql:6:33
          |
        6 |   SELECT * FROM prodcuts p JOIN nowhere n ON n.id = p.id;
          |                                 ^^^^^^^
          = hint: declare it with CREATE TABLE … FROM or CREATE VIEW

        error: view "v" is not kept, so it cannot have an index
         --> views/shop.sql:7:19
          |
        7 | CREATE INDEX i ON v (id);
          |                   ^
          = hint: declare it with CREATE MATERIALIZED VIEW

        error: views read each other in a circle: y → x → y
         --> views/shop.sql:9:32
          |
        9 | CREATE VIEW y AS SELECT * FROM x;
          |                                ^
          = hint: a view can only read tables and views that do not depend on it"#]],
    );
    check(
        &text,
        expect![[r#"
        error: "products" is declared twice
         --> views/shop.sql:4:13
          |
        4 | CREATE VIEW products AS SELECT 1;
          |             ^^^^^^^^
          = hint: the first one is at views/shop.sql:2

        error: view "v" is not kept, so it cannot have an index
         --> views/shop.sql:7:19
          |
        7 | CREATE INDEX i ON v (id);
          |                   ^
          = hint: declare it with CREATE MATERIALIZED VIEW

        error: views read each other in a circle: y → x → y
         --> views/shop.sql:9:32
          |
        9 | CREATE VIEW y AS SELECT * FROM x;
          |                                ^
          = hint: a view can only read tables and views that do not depend on it

        error: "soon" is not a duration
          --> views/shop.sql:10:46
           |
        10 | CREATE MATERIALIZED VIEW w WITH (freshness = 'soon') AS SELECT 'ü' FROM products;
           |                                              ^^^^^^
           = hint: write '500ms', '1s', '5m' or '1h'"#]],
    );
}

/// What is declared of sources and tables, a line each.
fn declared(text: &str) -> String {
    let files = vec![File { path: "views/shop.sql".into(), text: text.into() }];
    let catalog = match read_files(files, Vec::new()) {
        Ok(catalog) => catalog,
        Err((files, problems)) => return problems.iter().map(|it| it.render(&files)).collect::<Vec<_>>().join("\n\n"),
    };
    let pairs = |options: &Options| {
        let pair = |(name, value): &(Name, Name)| format!("{} = {}", name.text, value.text);
        format!("({})", options.iter().map(pair).collect::<Vec<_>>().join(", "))
    };
    let source = |it: &Source| {
        let unshared = if it.is_unshared { ", unshared" } else { "" };
        format!("source {}{unshared}: {} {}", it.name, it.connector.text, pairs(&it.options))
    };
    let table = |it: &Table| {
        let column = |it: &DeclaredColumn| {
            let key = if it.primary_key { " key" } else { "" };
            let metadata = it.metadata.iter().map(|it| format!(" <- {}", it.text)).collect::<String>();
            format!("{} {}{key}{metadata}", it.name, it.data_type)
        };
        let columns = it.declared.iter().map(column).collect::<Vec<_>>().join(", ");
        let format = it
            .format
            .iter()
            .map(|it| format!(" format {} encode {} {}", it.envelope.text, it.encoding.text, pairs(&it.options)));
        let (source, options) = (&catalog.sources[it.source].name, pairs(&it.options));
        let format = format.collect::<String>();
        format!("table {} [{columns}] of {source} {:?} {options}{format}", it.name, it.upstream)
    };
    let sources = catalog.sources.iter().map(source);
    sources.chain(catalog.tables.iter().map(table)).collect::<Vec<_>>().join("\n")
}

#[test]
fn tables_are_declared_as_other_systems_have_them() {
    let shop = "CREATE SOURCE shop WITH (connector = 'x');\n";
    for (text, expected) in [
        // RisingWave.
        (
            "CREATE TABLE orders (id bigint PRIMARY KEY, qty int) WITH (connector = 'kafka', topic = 'shop.orders', \
             properties.bootstrap.server = 'localhost:9092') FORMAT DEBEZIUM ENCODE JSON",
            expect![[r#"
                source orders, unshared: kafka (properties.bootstrap.server = localhost:9092)
                table orders [id bigint key, qty integer] of orders "shop.orders" () format debezium encode json ()"#]],
        ),
        (
            "CREATE TABLE t (a int, PRIMARY KEY (a)) WITH (connector = 'kafka', topic = 't') \
             FORMAT PLAIN ENCODE AVRO (schema.registry = 'http://r', 'message' = 'm')",
            expect![[r#"
                source t, unshared: kafka ()
                table t [a integer key] of t "t" () format plain encode avro (schema.registry = http://r, message = m)"#]],
        ),
        // Flink.
        (
            "CREATE TABLE t (a STRING, sent TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, \"offset\" BIGINT NOT NULL METADATA, \
             PRIMARY KEY (a) NOT ENFORCED) WITH ('connector' = 'kafka', 'topic' = 'x', 'format' = 'debezium-json', \
             'debezium-json.schema-include' = 'true', 'properties.group.id' = 'g')",
            expect![[r#"
                source t, unshared: kafka (properties.group.id = g)
                table t [a text key, sent timestamptz <- timestamp, offset bigint <- offset] of t "x" () format debezium encode json (schema-include = true)"#]],
        ),
        (
            "CREATE TABLE t (a int) WITH ('connector' = 'kafka', 'topic' = 'x', 'format' = 'avro-confluent', 'avro-confluent.url' = 'u')",
            expect![[r#"
                source t, unshared: kafka ()
                table t [a integer] of t "x" () format plain encode avro (url = u)"#]],
        ),
        (
            "CREATE TABLE t (a bytea) WITH ('connector' = 'kafka', 'format' = 'raw')",
            expect![[r#"
                source t, unshared: kafka ()
                table t [a bytea] of t "t" () format plain encode bytes ()"#]],
        ),
        // A source that many tables share.
        (
            "CREATE TABLE t FROM shop TOPIC 'x.y' WITH (group.id = 7, eager = TRUE, 'Path' = 'p') FORMAT UPSERT ENCODE JSON",
            expect![[r#"
                source shop: x ()
                table t [] of shop "x.y" (group.id = 7, eager = true, Path = p) format upsert encode json ()"#]],
        ),
        (
            "CREATE TABLE t FROM shop TABLE 'x' WITH (format = 'csv', csv.delimiter = ';')",
            expect![[r#"
                source shop: x ()
                table t [] of shop "x" () format plain encode csv (delimiter = ;)"#]],
        ),
        // A table of a source of its own is called as it is here when nothing else is said.
        (
            "CREATE TABLE items WITH (connector = 'sqlite', path = 'a.db'); \
             CREATE TABLE again WITH (connector = 'sqlite', path = 'b.db', table = 'items')",
            expect![[r#"
                source items, unshared: sqlite (path = a.db)
                source again, unshared: sqlite (path = b.db)
                table items [] of items "items" ()
                table again [] of again "items" ()"#]],
        ),
        (
            "CREATE TABLE t (a uuid, b jsonb, c json, d tinyint, e bytes, f int METADATA FROM 'headers.x') FROM shop TABLE 't'",
            expect![[r#"
                source shop: x ()
                table t [a text, b text, c text, d integer, e bytea, f integer <- headers.x] of shop "t" ()"#]],
        ),
    ] {
        let with_shop = if text.contains("FROM shop") { format!("{shop}{text};") } else { format!("{text};") };
        expected.assert_eq(&declared(&with_shop));
    }
}

#[test]
fn what_a_table_cannot_be_declared_with_is_refused() {
    let from = |rest: &str| format!("CREATE TABLE t {rest} FROM shop TABLE 'x';");
    for (text, expected) in [
        (
            "CREATE TABLE t WITH (path = 'x');".to_string(),
            expect![[r#"
            error: table "t" does not say how to connect
             --> views/shop.sql:3:14
              |
            3 | CREATE TABLE t WITH (path = 'x');
              |              ^
              = hint: add connector = '…'"#]],
        ),
        (
            "CREATE TABLE t WITH (connectr = 'x');".into(),
            expect![[r#"
            error: there is no option "connectr"
             --> views/shop.sql:3:22
              |
            3 | CREATE TABLE t WITH (connectr = 'x');
              |                      ^^^^^^^^
              = hint: did you mean "connector"?"#]],
        ),
        (
            "CREATE TABLE \"ü\" WITH (connector = 'x');".into(),
            expect![[r#"
            error: a table with a source of its own cannot be called "ü"
             --> views/shop.sql:3:14
              |
            3 | CREATE TABLE "ü" WITH (connector = 'x');
              |              ^^^
              = hint: use letters from a to z, digits and _: readers write it in a header, as name@17"#]],
        ),
        (
            "CREATE TABLE shop WITH (connector = 'x');".into(),
            expect![[r#"
            error: "shop" brings a source of its own, and there is another of this name
             --> views/shop.sql:3:14
              |
            3 | CREATE TABLE shop WITH (connector = 'x');
              |              ^^^^
              = hint: that one is at views/shop.sql:1; rename one of them, or write FROM shop TABLE '…'"#]],
        ),
        (
            "CREATE TABLE t WITH (connector = 'x'); CREATE TABLE u FROM t TABLE 'x';".into(),
            expect![[r#"
            error: source "t" belongs to table "t" alone
             --> views/shop.sql:3:60
              |
            3 | CREATE TABLE t WITH (connector = 'x'); CREATE TABLE u FROM t TABLE 'x';
              |                                                            ^
              = hint: declare it by itself, with CREATE SOURCE, and both tables FROM it"#]],
        ),
        (
            "CREATE TABLE t WITH (connector = 'x', topic = 'a', table = 'b');".into(),
            expect![[r#"
            error: the table's name at the source is given twice
             --> views/shop.sql:3:39
              |
            3 | CREATE TABLE t WITH (connector = 'x', topic = 'a', table = 'b');
              |                                       ^^^^^"#]],
        ),
        (
            "CREATE TABLE t (a int);".into(),
            expect![[r#"
            error: expected FROM, found the end of the statement
             --> views/shop.sql:3:22
              |
            3 | CREATE TABLE t (a int);
              |                      ^
              = hint: a table is always a source's: CREATE TABLE products FROM catalog TABLE 'products'"#]],
        ),
        (
            "CREATE TABLE t FROM shop TABLE 'x' WITH (a = 'b', 'a' = 'c');".into(),
            expect![[r#"
            error: option "a" is given twice
             --> views/shop.sql:3:51
              |
            3 | CREATE TABLE t FROM shop TABLE 'x' WITH (a = 'b', 'a' = 'c');
              |                                                   ^^^"#]],
        ),
        (
            "CREATE TABLE t FROM shop TABLE 'x' WITH (a = b);".into(),
            expect![[r#"
            error: expected the option's value, found "b"
             --> views/shop.sql:3:46
              |
            3 | CREATE TABLE t FROM shop TABLE 'x' WITH (a = b);
              |                                              ^
              = hint: write it in single quotes: 'like this'"#]],
        ),
        (
            "CREATE TABLE t FROM shop TABLE 'x' WITH (format = 'json') FORMAT PLAIN ENCODE JSON;".into(),
            expect![[r#"
            error: the format is given twice
             --> views/shop.sql:3:42
              |
            3 | CREATE TABLE t FROM shop TABLE 'x' WITH (format = 'json') FORMAT PLAIN ENCODE JSON;
              |                                          ^^^^^^
              = hint: leave this option out, or the clause FORMAT … ENCODE …"#]],
        ),
        (
            "CREATE TABLE t FROM shop TABLE 'x' FORMAT DEBEZIUM;".into(),
            expect![[r#"
            error: expected ENCODE, found the end of the statement
             --> views/shop.sql:3:50
              |
            3 | CREATE TABLE t FROM shop TABLE 'x' FORMAT DEBEZIUM;
              |                                                  ^
              = hint: write FORMAT DEBEZIUM ENCODE JSON, say"#]],
        ),
        (
            "CREATE TABLE t INCLUDE timestamp AS at WITH (connector = 'x');".into(),
            expect![[r#"
            error: what a message carries besides its value is declared as a column
             --> views/shop.sql:3:16
              |
            3 | CREATE TABLE t INCLUDE timestamp AS at WITH (connector = 'x');
              |                ^^^^^^^
              = hint: write it among the columns: sent_at timestamptz METADATA FROM 'timestamp'"#]],
        ),
        (
            from("(a int, a int)"),
            expect![[r#"
            error: column "a" is declared twice
             --> views/shop.sql:3:24
              |
            3 | CREATE TABLE t (a int, a int) FROM shop TABLE 'x';
              |                        ^"#]],
        ),
        (
            from("(a int PRIMARY KEY, b int PRIMARY KEY)"),
            expect![[r#"
            error: the primary key is declared twice
             --> views/shop.sql:3:36
              |
            3 | CREATE TABLE t (a int PRIMARY KEY, b int PRIMARY KEY) FROM shop TABLE 'x';
              |                                    ^
              = hint: write a key of several columns behind them: PRIMARY KEY (…, …)"#]],
        ),
        (
            from("(a int PRIMARY KEY, PRIMARY KEY (a))"),
            expect![[r#"
            error: the primary key is declared twice
             --> views/shop.sql:3:36
              |
            3 | CREATE TABLE t (a int PRIMARY KEY, PRIMARY KEY (a)) FROM shop TABLE 'x';
              |                                    ^^^^^^^"#]],
        ),
        (
            from("(a int, PRIMARY KEY (b))"),
            expect![[r#"
            error: key column "b" is not declared
             --> views/shop.sql:3:37
              |
            3 | CREATE TABLE t (a int, PRIMARY KEY (b)) FROM shop TABLE 'x';
              |                                     ^"#]],
        ),
        (
            from("(a int AS (b + 1))"),
            expect![[r#"
            error: expected ")", found "AS"
             --> views/shop.sql:3:23
              |
            3 | CREATE TABLE t (a int AS (b + 1)) FROM shop TABLE 'x';
              |                       ^^"#]],
        ),
        (
            from("(a AS b + 1)"),
            expect![[r#"
            error: a table's columns are its source's
             --> views/shop.sql:3:19
              |
            3 | CREATE TABLE t (a AS b + 1) FROM shop TABLE 'x';
              |                   ^^
              = hint: compute it in a view"#]],
        ),
        (
            from("(a timestamp, WATERMARK FOR a AS a - INTERVAL '5' SECOND)"),
            expect![[r#"
            error: a table has no watermark
             --> views/shop.sql:3:30
              |
            3 | CREATE TABLE t (a timestamp, WATERMARK FOR a AS a - INTERVAL '5' SECOND) FROM shop TABLE 'x';
              |                              ^^^^^^^^^
              = hint: leave it out: views hold what was committed, and wait for nothing"#]],
        ),
        (
            from("(a int METADATA FROM offset)"),
            expect![[r#"
            error: expected what the column holds, found "offset"
             --> views/shop.sql:3:37
              |
            3 | CREATE TABLE t (a int METADATA FROM offset) FROM shop TABLE 'x';
              |                                     ^^^^^^
              = hint: write it in single quotes: 'like this'"#]],
        ),
        (
            from("(a int[])"),
            expect![[r#"
            error: type INT[] is not supported
             --> views/shop.sql:3:19
              |
            3 | CREATE TABLE t (a int[]) FROM shop TABLE 'x';
              |                   ^^^
              = hint: types: boolean, integer, bigint, double precision, numeric(p,s), text, bytea, date, timestamp, timestamptz; json, jsonb and uuid as text"#]],
        ),
        (
            "CREATE SOURCE s (a int) WITH (connector = 'x');".into(),
            expect![[r#"
            error: a source has no columns, its tables have
             --> views/shop.sql:3:17
              |
            3 | CREATE SOURCE s (a int) WITH (connector = 'x');
              |                 ^
              = hint: write CREATE TABLE … (…) FROM s TABLE '…'"#]],
        ),
        (
            "CREATE SOURCE s WITH (connector = 'x') FORMAT PLAIN ENCODE JSON;".into(),
            expect![[r#"
            error: a source has no format, its tables have
             --> views/shop.sql:3:40
              |
            3 | CREATE SOURCE s WITH (connector = 'x') FORMAT PLAIN ENCODE JSON;
              |                                        ^^^^^^
              = hint: write it behind CREATE TABLE … FROM s TABLE '…'"#]],
        ),
        (
            "CREATE TABLE t FROM shop TABLE 'x' FORMAT PLAIN ENCODE JSON ON ERROR IGNORE;".into(),
            expect![[r#"
            error: expected SKIP or HALT, found "IGNORE"
             --> views/shop.sql:3:70
              |
            3 | CREATE TABLE t FROM shop TABLE 'x' FORMAT PLAIN ENCODE JSON ON ERROR IGNORE;
              |                                                                      ^^^^^^
              = hint: ON ERROR SKIP leaves out messages that cannot be read, and keeps them aside; ON ERROR HALT stops there"#]],
        ),
        (
            "CREATE VIEW v WITH (freshness = '1s') AS SELECT 1;".into(),
            expect![[r#"
            error: a plain view is as fresh as what it reads
             --> views/shop.sql:3:21
              |
            3 | CREATE VIEW v WITH (freshness = '1s') AS SELECT 1;
              |                     ^^^^^^^^^
              = hint: give the option to the CREATE MATERIALIZED VIEW that reads it"#]],
        ),
        (
            "CREATE MATERIALIZED VIEW v WITH (freshnes = '1s') AS SELECT 1;".into(),
            expect![[r#"
            error: there is no option "freshnes"
             --> views/shop.sql:3:34
              |
            3 | CREATE MATERIALIZED VIEW v WITH (freshnes = '1s') AS SELECT 1;
              |                                  ^^^^^^^^
              = hint: did you mean "freshness"?"#]],
        ),
        (
            "CREATE MATERIALIZED VIEW v WITH (freshness = '10ms') AS SELECT 1;".into(),
            expect![[r#"
            error: 10ms is shorter than what can be told
             --> views/shop.sql:3:46
              |
            3 | CREATE MATERIALIZED VIEW v WITH (freshness = '10ms') AS SELECT 1;
              |                                              ^^^^^^
              = hint: sources are asked several times a second: write '1s', or '500ms' at least"#]],
        ),
        (
            "CREATE MATERIALIZED VIEW v WITH (freshness = 5) AS SELECT 1;".into(),
            expect![[r#"
            error: "5" is not a duration
             --> views/shop.sql:3:46
              |
            3 | CREATE MATERIALIZED VIEW v WITH (freshness = 5) AS SELECT 1;
              |                                              ^
              = hint: write '500ms', '1s', '5m' or '1h'"#]],
        ),
    ] {
        check(&format!("{SHOP}{text}"), expected);
    }
}

#[test]
fn a_view_says_how_fresh_it_has_to_be() {
    for (freshness, millis) in
        [("500ms", 500), ("1s", 1_000), ("2 minutes", 120_000), ("1H", 3_600_000), ("7 days", 604_800_000)]
    {
        let text =
            format!("{SHOP}CREATE MATERIALIZED VIEW v WITH (freshness = '{freshness}') AS SELECT id FROM products;");
        let catalog = read_files(vec![File { path: "a.sql".into(), text }], Vec::new()).unwrap();
        assert_eq!(catalog.views[0].freshness.map(|it| it.as_millis()), Some(millis), "{freshness}");
    }
}

#[test]
fn a_table_says_what_becomes_of_messages_that_cannot_be_read() {
    for (clause, expected) in [("", false), ("ON ERROR HALT", false), ("on error skip", true)] {
        let text = format!("{SHOP}CREATE TABLE t FROM shop TABLE 'x' FORMAT PLAIN ENCODE JSON {clause};");
        let catalog = read_files(vec![File { path: "a.sql".into(), text }], Vec::new()).unwrap();
        let table = catalog.tables.iter().find(|it| it.name == "t").unwrap();
        assert_eq!(table.skips_errors.is_some(), expected, "{clause}");
    }
}
