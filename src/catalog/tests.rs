//! What is wrong in a view file is said with file, line and caret.

use expect_test::{Expect, expect};

use super::{File, read_files};

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

#[test]
fn two_sources_over_one_file_are_a_problem() {
    let other = "CREATE SOURCE again WITH (connector = 'sqlite', path = './shop.db');\n";
    check(
        &format!("{SHOP}{other}"),
        expect![[r#"
            error: source "shop" reads the same file
             --> views/shop.sql:3:15
              |
            3 | CREATE SOURCE again WITH (connector = 'sqlite', path = './shop.db');
              |               ^^^^^
              = hint: one source can have many tables: CREATE TABLE … FROM shop"#]],
    );
    // A file that is there is known whatever it is called.
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("shop.db"), directory.path().join("link.db"));
    std::fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let source = |name: &str, path: &std::path::Path| {
        format!("CREATE SOURCE {name} WITH (connector = 'sqlite', path = '{}');\n", path.display())
    };
    let text = problems(&format!("{}{}", source("shop", &file), source("again", &link)));
    assert!(text.contains("source \"shop\" reads the same file"), "{text}");
}
