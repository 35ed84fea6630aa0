//! What is refused: why, where, and what to do instead.

use expect_test::expect;

use super::refused;

#[test]
fn what_cannot_be_bound_is_refused_where_it_stands() {
    refused(
        "SELECT idd FROM products",
        expect![[r#"
        error: column "idd" does not exist
          --> views/shop.sql:12:38
           |
        12 | CREATE MATERIALIZED VIEW v AS SELECT idd FROM products;
           |                                      ^^^
           = hint: did you mean "id"?"#]],
    );
    refused(
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t",
        expect![[r#"
            error: WITH RECURSIVE is not supported
              --> views/shop.sql:12:31
               |
            12 | CREATE MATERIALIZED VIEW v AS WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t;
               |                               ^^^^^^^^^^^^^^"#]],
    );
    refused(
        "SELECT id, id FROM products",
        expect![[r#"
            error: two columns of the view are called "id"
              --> views/shop.sql:12:31
               |
            12 | CREATE MATERIALIZED VIEW v AS SELECT id, id FROM products;
               |                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^
               = hint: name one of them with AS, writing the columns instead of *, or name them all: CREATE … VIEW v (a, b, …) AS"#]],
    );
    refused(
        "SELECT foo(id) FROM products",
        expect![[r#"
            error: function foo() does not exist
              --> views/shop.sql:12:38
               |
            12 | CREATE MATERIALIZED VIEW v AS SELECT foo(id) FROM products;
               |                                      ^^^
               = hint: SQL functions are those of PostgreSQL that docs/sql.md lists"#]],
    );
    refused(
        "SELECT id + name FROM products",
        expect![[r#"
            error: operator does not exist: bigint + text
              --> views/shop.sql:12:38
               |
            12 | CREATE MATERIALIZED VIEW v AS SELECT id + name FROM products;
               |                                      ^^^^^^^^^
               = hint: cast one of them, like x::text"#]],
    );
    refused(
        "SELECT 1",
        expect![[r#"
        error: a view must read a table: constants never change
          --> views/shop.sql:12:31
           |
        12 | CREATE MATERIALIZED VIEW v AS SELECT 1;
           |                               ^^^^^^^^
           = hint: add FROM"#]],
    );
}

#[test]
fn functions_whose_value_changes_are_refused() {
    refused(
        "SELECT p.id, now() FROM products p",
        expect![[r#"
        error: now() changes with time, so a view that uses it would change without any event
          --> views/shop.sql:12:44
           |
        12 | CREATE MATERIALIZED VIEW v AS SELECT p.id, now() FROM products p;
           |                                            ^^^
           = hint: compare with the time when the view is read"#]],
    );
    refused(
        "SELECT random() FROM products",
        expect![[r#"
        error: random() has a new value at every call, so there is no right answer to keep
          --> views/shop.sql:12:38
           |
        12 | CREATE MATERIALIZED VIEW v AS SELECT random() FROM products;
           |                                      ^^^^^^
           = hint: use columns of the tables only"#]],
    );
}

#[test]
fn joins_and_set_operations_that_are_refused() {
    refused(
        "SELECT p.id FROM products p, brands b",
        expect![[r#"
        error: products and brands are joined without an equality, so one change could touch every row
          --> views/shop.sql:12:31
           |
        12 | CREATE MATERIALIZED VIEW v AS SELECT p.id FROM products p, brands b;
           |                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           = hint: join them ON a column of one = a column of the other"#]],
    );
    refused(
        "SELECT p.id FROM products p FULL JOIN brands b ON b.id = p.brand_id",
        expect![[r#"
        error: FULL JOIN cannot be kept up to date yet
          --> views/shop.sql:12:59
           |
        12 | CREATE MATERIALIZED VIEW v AS SELECT p.id FROM products p FULL JOIN brands b ON b.id = p.brand_id;
           |                                                           ^^^^
           = hint: use a LEFT JOIN and a UNION ALL of the rows without a match"#]],
    );
    refused(
        "SELECT id FROM products WHERE id IN (SELECT product_id FROM stock)",
        expect![[r#"
            error: IN (SELECT …) cannot be kept up to date yet
              --> views/shop.sql:12:64
               |
            12 | CREATE MATERIALIZED VIEW v AS SELECT id FROM products WHERE id IN (SELECT product_id FROM stock);
               |                                                                ^^^^^^^^^^
               = hint: JOIN with (SELECT DISTINCT …), or LEFT JOIN it and test IS NULL"#]],
    );
    refused(
        "SELECT id FROM products EXCEPT SELECT product_id FROM stock",
        expect![[r#"
        error: EXCEPT and INTERSECT cannot be kept up to date yet
          --> views/shop.sql:12:31
           |
        12 | CREATE MATERIALIZED VIEW v AS SELECT id FROM products EXCEPT SELECT product_id FROM stock;
           |                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           = hint: use a LEFT JOIN with IS NULL, or a JOIN with SELECT DISTINCT"#]],
    );
}

#[test]
fn aggregates_and_window_functions_that_are_refused() {
    refused(
        "SELECT stddev(qty) FROM stock",
        expect![[r#"
        error: aggregate stddev() cannot be kept up to date yet
          --> views/shop.sql:12:38
           |
        12 | CREATE MATERIALIZED VIEW v AS SELECT stddev(qty) FROM stock;
           |                                      ^^^^^^
           = hint: supported: count, sum, avg, min, max"#]],
    );
    refused(
        "SELECT id, rank() OVER (ORDER BY id) FROM products",
        expect![[r#"
        error: window function rank() cannot be kept up to date yet
          --> views/shop.sql:12:42
           |
        12 | CREATE MATERIALIZED VIEW v AS SELECT id, rank() OVER (ORDER BY id) FROM products;
           |                                          ^^^^
           = hint: only ROW_NUMBER() with an outer WHERE n <= … is supported"#]],
    );
    refused(
        "SELECT id, row_number() OVER (ORDER BY id) FROM products",
        expect![[r#"
        error: row_number() can be kept only when an outer WHERE keeps the first rows of each group
          --> views/shop.sql:12:42
           |
        12 | CREATE MATERIALIZED VIEW v AS SELECT id, row_number() OVER (ORDER BY id) FROM products;
           |                                          ^^^^^^^^^^
           = hint: SELECT … FROM (SELECT …, ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) AS n FROM …) WHERE n <= 10"#]],
    );
    refused(
        "SELECT count(DISTINCT qty), sum(product_id) FILTER (WHERE qty > 1) FROM stock",
        expect![[r#"
        error: count(DISTINCT qty) cannot be kept beside other aggregates yet
          --> views/shop.sql:12:44
           |
        12 | CREATE MATERIALIZED VIEW v AS SELECT count(DISTINCT qty), sum(product_id) FILTER (WHERE qty > 1) FROM stock;
           |                                            ^^^^^^^^
           = hint: aggregate over a subquery with SELECT DISTINCT"#]],
    );
    refused(
        "SELECT array_agg(id) FROM products",
        expect![[r#"
        error: aggregate array_agg() cannot be kept up to date yet
          --> views/shop.sql:12:38
           |
        12 | CREATE MATERIALIZED VIEW v AS SELECT array_agg(id) FROM products;
           |                                      ^^^^^^^^^
           = hint: supported: count, sum, avg, min, max"#]],
    );
}

#[test]
fn distinct_on_is_refused_by_name() {
    for (query, expected) in [
        (
            "SELECT DISTINCT ON (brand_id) id FROM products ORDER BY brand_id, id",
            expect![[r#"
            error: DISTINCT ON cannot be kept up to date yet
              --> views/shop.sql:12:38
               |
            12 | CREATE MATERIALIZED VIEW v AS SELECT DISTINCT ON (brand_id) id FROM products ORDER BY brand_id, id;
               |                                      ^^^^^^^^^^^
               = hint: number the rows with ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) and keep number 1"#]],
        ),
        (
            "SELECT id FROM (SELECT DISTINCT ON (id) id FROM products) AS q",
            expect![[r#"
            error: DISTINCT ON cannot be kept up to date yet
              --> views/shop.sql:12:54
               |
            12 | CREATE MATERIALIZED VIEW v AS SELECT id FROM (SELECT DISTINCT ON (id) id FROM products) AS q;
               |                                                      ^^^^^^^^^^^
               = hint: number the rows with ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) and keep number 1"#]],
        ),
    ] {
        refused(query, expected);
    }
}

#[test]
fn joins_and_types_that_would_mean_something_else_are_refused() {
    for (query, expected) in [
        (
            "SELECT product_id FROM stock RIGHT JOIN prices USING (product_id)",
            expect![[r#"
            error: RIGHT JOIN with USING is not supported
              --> views/shop.sql:12:78
               |
            12 | CREATE MATERIALIZED VIEW v AS SELECT product_id FROM stock RIGHT JOIN prices USING (product_id);
               |                                                                              ^^^^^
               = hint: join ON a column of one = a column of the other, and say whose column you select"#]],
        ),
        (
            "SELECT left(name, 3), name::varchar(3) FROM products",
            expect![[r#"
            error: type varchar(3) is not supported
              --> views/shop.sql:12:59
               |
            12 | CREATE MATERIALIZED VIEW v AS SELECT left(name, 3), name::varchar(3) FROM products;
               |                                                           ^^^^^^^^^^
               = hint: shorten it with left(…, n)"#]],
        ),
        (
            "SELECT id::smallint FROM products",
            expect![[r#"
            error: type smallint is not supported
              --> views/shop.sql:12:42
               |
            12 | CREATE MATERIALIZED VIEW v AS SELECT id::smallint FROM products;
               |                                          ^^^^^^^^
               = hint: cast it to integer or bigint"#]],
        ),
        (
            "SELECT id FROM products ORDER BY id OFFSET 10",
            expect![[r#"
            error: OFFSET without LIMIT cannot be kept: one change could move every row
              --> views/shop.sql:12:67
               |
            12 | CREATE MATERIALIZED VIEW v AS SELECT id FROM products ORDER BY id OFFSET 10;
               |                                                                   ^^^^^^
               = hint: add a LIMIT, or use OFFSET when reading"#]],
        ),
    ] {
        refused(query, expected);
    }
}
