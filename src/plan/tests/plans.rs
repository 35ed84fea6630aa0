//! Golden plans.

use expect_test::expect;

use super::{check, planned};

#[test]
fn product_card_is_one_assembly() {
    check(
        "CREATE MATERIALIZED VIEW product_card AS
         SELECT p.id, p.name, b.name AS brand, c.name AS category, pr.price, COALESCE(s.qty, 0) AS stock,
                COALESCE(r.reviews, 0) AS reviews, r.rating
         FROM products p JOIN brands b ON b.id = p.brand_id JOIN categories c ON c.id = p.category_id
         JOIN prices pr ON pr.product_id = p.id
         LEFT JOIN (SELECT product_id, SUM(qty) AS qty FROM stock GROUP BY product_id) s ON s.product_id = p.id
         LEFT JOIN (SELECT product_id, COUNT(*) AS reviews, AVG(rating) AS rating FROM reviews GROUP BY product_id) r
                ON r.product_id = p.id;
         CREATE INDEX by_category ON product_card (category, rating DESC);",
        expect![[r#"
            product_card
              index by_category (category, rating desc)
            -> Assembly Join  (key: id; keeps: rows)
                 cost: O(Δ + touched driver rows)
                 look-up brands by products.brand_id (back by index of products)
                 look-up categories by products.category_id (back by index of products)
                 look-up prices by products.id (same key)
                 left look-up stock by product_id by products.id (same key)
                 left look-up reviews by product_id by products.id (same key)
              -> Table products  (key: id; keeps: rows, also in memory, index (brand_id), index (category_id))
              -> Table brands  (key: id; keeps: rows, also in memory)
              -> Table categories  (key: id; keeps: rows, also in memory)
              -> Table prices  (key: product_id; keeps: rows, also in memory)
              -> Aggregate  (key: product_id; keeps: rows, also in memory)
                   cost: O(Δ), once per touched group
                   group by: product_id
                   aggregates: sum(qty)
                -> Table stock  (key: product_id, warehouse; keeps: rows, also in memory)
              -> Aggregate  (key: product_id; keeps: rows, also in memory)
                   cost: O(Δ), once per touched group
                   group by: product_id
                   aggregates: count(*), avg(rating)
                -> Table reviews  (key: id; keeps: rows, also in memory)
            id bigint, name text, brand text, category text, price numeric(10,2), stock bigint, reviews bigint, rating double precision
        "#]],
    );
}

#[test]
fn the_other_views_of_the_shop() {
    check(
        "CREATE MATERIALIZED VIEW category_page AS
         SELECT c.id AS category_id, c.name AS category, p.id AS product_id, p.name, pr.price
         FROM categories c, products p, prices pr WHERE p.category_id = c.id AND pr.product_id = p.id;
         CREATE MATERIALIZED VIEW bestsellers AS
         SELECT category_id, rank, product_id, name, units FROM (
           SELECT p.category_id, p.id AS product_id, p.name, s.units,
                  ROW_NUMBER() OVER (PARTITION BY p.category_id ORDER BY s.units DESC) AS rank
           FROM products p JOIN (SELECT product_id, SUM(qty) AS units FROM order_items GROUP BY product_id) s
             ON s.product_id = p.id) ranked
         WHERE rank <= 10;
         CREATE MATERIALIZED VIEW low_stock AS
         SELECT p.id, p.name, SUM(s.qty) FROM products p JOIN stock s ON s.product_id = p.id
         GROUP BY p.id, p.name HAVING SUM(s.qty) < 5;
         CREATE MATERIALIZED VIEW brand_summary AS
         SELECT b.id, b.name, COUNT(*), MIN(pr.price), MAX(pr.price) FROM brands b
         JOIN products p ON p.brand_id = b.id JOIN prices pr ON pr.product_id = p.id GROUP BY b.id, b.name;
         CREATE MATERIALIZED VIEW customer_orders AS
         SELECT o.id, c.id AS customer_id, c.name, o.created, t.total FROM orders o JOIN customers c ON c.id = o.customer_id
         LEFT JOIN (SELECT order_id, SUM(qty * price) AS total FROM order_items GROUP BY order_id) t ON t.order_id = o.id
         ORDER BY o.created;",
        expect![[r#"
            category_page
            -> Assembly Join  (key: product_id; keeps: rows)
                 cost: O(Δ + touched driver rows)
                 look-up categories by products.category_id (back by index of products)
                 look-up prices by products.id (same key)
              -> Table products  (key: id; keeps: rows, also in memory, index (category_id), index (brand_id))
              -> Table categories  (key: id; keeps: rows, also in memory)
              -> Table prices  (key: product_id; keeps: rows, also in memory)
            category_id bigint, category text, product_id bigint, name text, price numeric(10,2)
            bestsellers
            -> Map  (key: category_id, product_id; keeps: rows)
                 cost: O(Δ)
              -> Top N  (key: category_id, id; keeps: nothing)
                   cost: O(Δ log n + limit), once per touched group
                   first 10 per group of 1 key columns
                -> Order  (key: category_id, "sum(order_items.qty)" desc, id, name; keeps: rows)
                     cost: O(Δ log n)
                  -> Assembly Join  (key: id; keeps: rows)
                       cost: O(Δ + touched driver rows)
                       look-up order_items by product_id by products.id (same key)
                    -> Table products  (key: id; keeps: rows, also in memory, index (category_id), index (brand_id))
                    -> Aggregate  (key: product_id; keeps: rows, also in memory)
                         cost: O(Δ), once per touched group
                         group by: product_id
                         aggregates: sum(qty)
                      -> Table order_items  (key: order_id, line; keeps: rows, also in memory)
            category_id bigint, rank bigint, product_id bigint, name text, units bigint
            low_stock
            -> Map  (key: id, name; keeps: rows)
                 cost: O(Δ)
                 filter: assembly by id, name.sum(s.qty) < 5
              -> Aggregate  (key: id, name; keeps: rows)
                   cost: O(Δ), once per touched group
                   group by: id, name
                   aggregates: sum(qty)
                -> Assembly Join  (key: id, warehouse hidden; keeps: rows)
                     cost: O(Δ + touched driver rows)
                     look-up products by stock.product_id (back by index of stock)
                  -> Table stock  (key: product_id, warehouse; keeps: rows, also in memory, index (product_id))
                  -> Table products  (key: id; keeps: rows, also in memory, index (category_id), index (brand_id))
            id bigint, name text, sum bigint
            brand_summary
            -> Aggregate  (key: id, name; keeps: rows)
                 cost: O(Δ), once per touched group
                 group by: id, name
                 aggregates: count(*), min(price), max(price)
              -> Assembly Join  (key: id hidden; keeps: rows)
                   cost: O(Δ + touched driver rows)
                   look-up brands by products.brand_id (back by index of products)
                   look-up prices by products.id (same key)
                -> Table products  (key: id; keeps: rows, also in memory, index (category_id), index (brand_id))
                -> Table brands  (key: id; keeps: rows, also in memory)
                -> Table prices  (key: product_id; keeps: rows, also in memory)
              -> Order  (key: id, name, price, id; keeps: rows)
                   cost: O(Δ log n)
                   filter: assembly.price IS NOT NULL
                -> Assembly Join  (key: id hidden; keeps: rows)
                     the same as above
              -> Order  (key: id, name, price desc, id; keeps: rows)
                   cost: O(Δ log n)
                   filter: assembly.price IS NOT NULL
                -> Assembly Join  (key: id hidden; keeps: rows)
                     the same as above
            id bigint, name text, count bigint, min numeric(10,2), max numeric(10,2)
            customer_orders
              note: ORDER BY without LIMIT is ignored, a view has no order; ask for one when reading
            -> Assembly Join  (key: id; keeps: rows)
                 cost: O(Δ + touched driver rows)
                 look-up customers by orders.customer_id (back by index of orders)
                 left look-up order_items by order_id by orders.id (same key)
              -> Table orders  (key: id; keeps: rows, also in memory, index (customer_id))
              -> Table customers  (key: id; keeps: rows, also in memory)
              -> Aggregate  (key: order_id; keeps: rows, also in memory)
                   cost: O(Δ), once per touched group
                   group by: order_id
                   aggregates: sum((CAST(qty AS DECIMAL(20,0)) * price))
                -> Table order_items  (key: order_id, line; keeps: rows, also in memory)
            id bigint, customer_id bigint, name text, created timestamp, total numeric(38,2)
        "#]],
    );
}

#[test]
fn joins_without_unique_keys() {
    check(
        "CREATE MATERIALIZED VIEW pairs AS
         SELECT a.id AS left_id, b.id AS right_id FROM products a JOIN products b
           ON b.brand_id = a.brand_id AND b.category_id = a.category_id AND a.id < b.id;
         CREATE MATERIALIZED VIEW reviewed AS
         SELECT p.id, r.id AS review, COALESCE(r.body, '-') AS body FROM products p
         LEFT JOIN reviews r ON r.product_id = p.id AND r.rating > 3 AND r.body LIKE 'g%' WHERE p.name <> 'x';
         CREATE MATERIALIZED VIEW by_code AS
         SELECT l.message, p.id FROM log l JOIN products p ON p.name = upper(l.message);
         CREATE MATERIALIZED VIEW chained AS
         SELECT i.order_id, i.line, c.name FROM order_items i JOIN orders o ON o.id = i.order_id
         RIGHT JOIN customers c ON c.id = o.customer_id;",
        expect![[r#"
            pairs
            -> Delta Join  (key: left_id, right_id; keeps: rows)
                 cost: O(Δ + matches)
                 change of products: products by index (brand_id = products.brand_id, category_id = products.category_id)
                 change of products: products by index (brand_id = products.brand_id, category_id = products.category_id)
                 filter: products.id < products.id
              -> Table products  (key: id; keeps: rows, also in memory, index (brand_id, category_id), index (name))
              -> Table products  (key: id; keeps: rows, also in memory, index (brand_id, category_id), index (name))
            left_id bigint, right_id bigint
            reviewed
            -> Left Join  (key: id, review; keeps: rows)
                 cost: O(Δ + matches)
                 on: products.id = map.product_id
                 filter: products.name <> 'x'
              -> Table products  (key: id; keeps: rows, also in memory, index (brand_id, category_id), index (name))
              -> Arrange  (key: id; keeps: rows, also in memory, index (product_id))
                   cost: O(Δ)
                -> Map  (key: id; keeps: nothing)
                     cost: O(Δ)
                     filter: (reviews.rating > 3 AND body LIKE 'g%')
                  -> Table reviews  (key: id; keeps: rows, also in memory)
            id bigint, review bigint, body text
            by_code
            -> Delta Join  (key: _rowid hidden, id; keeps: rows)
                 cost: O(Δ + matches)
                 change of with join key: products by index (name = with join key.join key)
                 change of products: with join key by index (join key = products.name)
              -> Arrange  (key: _rowid; keeps: rows, also in memory, index (join key))
                   cost: O(Δ)
                -> Map  (key: _rowid; keeps: nothing)
                     cost: O(Δ)
                  -> Table log  (key: _rowid hidden; keeps: rows, also in memory)
              -> Table products  (key: id; keeps: rows, also in memory, index (brand_id, category_id), index (name))
            message text, id bigint
            chained
            -> Left Join  (key: id hidden, order_id, line; keeps: rows)
                 cost: O(Δ + matches)
                 on: customers.id = assembly.customer_id
              -> Table customers  (key: id; keeps: rows, also in memory)
              -> Assembly Join  (key: order_id, line; keeps: rows, also in memory, index (customer_id))
                   cost: O(Δ + touched driver rows)
                   look-up orders by order_items.order_id (back by index of order_items)
                -> Table order_items  (key: order_id, line; keeps: rows, also in memory, index (order_id))
                -> Table orders  (key: id; keeps: rows, also in memory)
            order_id bigint, line bigint, name text
        "#]],
    );
}

#[test]
fn other_operators_and_names() {
    check(
        "CREATE MATERIALIZED VIEW newest AS SELECT id, created FROM orders ORDER BY created DESC NULLS LAST LIMIT 3 OFFSET 1;
         CREATE MATERIALIZED VIEW every AS SELECT id, name FROM products UNION ALL SELECT id, name FROM customers
           UNION ALL SELECT qty, upper(warehouse) FROM stock;
         CREATE MATERIALIZED VIEW totals AS SELECT count(*), 1 + 1, 'a'::text, sum(qty) FILTER (WHERE line > 1) FROM order_items;
         CREATE MATERIALIZED VIEW different AS SELECT order_id, count(DISTINCT product_id), max(qty) FROM order_items GROUP BY order_id;
         CREATE MATERIALIZED VIEW cities AS SELECT DISTINCT currency FROM prices;
         CREATE VIEW named(a, b) AS SELECT id, name FROM products;
         CREATE MATERIALIZED VIEW over AS SELECT b, (SELECT count(*) FROM reviews r WHERE r.product_id = n.a) FROM named n WHERE a IN (1, 2);
         CREATE MATERIALIZED VIEW texts AS SELECT message, upper(message) || '!', CASE WHEN at IS NULL THEN 0 END, date_trunc('day', at) FROM log;",
        expect![[r#"
            newest
            -> Top N  (key: id; keeps: rows)
                 cost: O(Δ log n + offset + limit), once per touched group
                 first 3 after 1
              -> Order  (key: created desc nulls last, id; keeps: rows)
                   cost: O(Δ log n)
                -> Table orders  (key: id; keeps: rows, also in memory)
            id bigint, created timestamp
            every
            -> Union All  (key: _key1 hidden, _key2 hidden, _branch hidden; keeps: rows)
                 cost: O(Δ)
              -> Table products  (key: id; keeps: rows, also in memory)
              -> Table customers  (key: id; keeps: rows, also in memory)
              -> Table stock  (key: product_id, warehouse; keeps: rows, also in memory)
            id bigint, name text
            totals
            -> Map  (key: one row; keeps: rows)
                 cost: O(Δ)
              -> Aggregate  (key: one row; keeps: rows)
                   cost: O(Δ), once per touched group
                   group by: nothing
                   aggregates: count(*), sum(qty) FILTER (WHERE ("line" > 1))
                -> Table order_items  (key: order_id, line; keeps: rows, also in memory)
            count bigint, ?column? bigint, text text, sum bigint
            different
            -> Aggregate  (key: order_id; keeps: rows)
                 cost: O(Δ), once per touched group
                 group by: order_id
                 aggregates: count(alias1), max(alias2)
              -> Aggregate  (key: order_id, alias1; keeps: rows)
                   cost: O(Δ), once per touched group
                   group by: order_id, product_id
                   aggregates: max(qty)
                -> Table order_items  (key: order_id, line; keeps: rows, also in memory)
                -> Order  (key: order_id, product_id, qty desc, order_id, line; keeps: rows)
                     cost: O(Δ log n)
                     filter: order_items.qty IS NOT NULL
                  -> Table order_items  (key: order_id, line; keeps: rows, also in memory)
              -> Order  (key: order_id, alias2 desc, order_id, alias1; keeps: rows)
                   cost: O(Δ log n)
                   filter: order_items by order_id, product_id.alias2 IS NOT NULL
                -> Aggregate  (key: order_id, alias1; keeps: rows)
                     the same as above
            order_id bigint, count bigint, max bigint
            cities
            -> Aggregate  (key: currency; keeps: rows)
                 cost: O(Δ), once per touched group
                 group by: currency
              -> Table prices  (key: product_id; keeps: rows, also in memory)
            currency text
            over
            -> Assembly Join  (key: id hidden; keeps: rows)
                 cost: O(Δ + touched driver rows)
                 left look-up reviews by product_id by products.id (same key)
                 filter: (products.id = 1 OR products.id = 2)
              -> Table products  (key: id; keeps: rows, also in memory)
              -> Aggregate  (key: product_id; keeps: rows, also in memory)
                   cost: O(Δ), once per touched group
                   group by: product_id
                   aggregates: count(*)
                -> Table reviews  (key: id; keeps: rows, also in memory)
            b text, count bigint
            texts
            -> Map  (key: _rowid hidden; keeps: rows)
                 cost: O(Δ)
              -> Table log  (key: _rowid hidden; keeps: rows, also in memory)
            message text, ?column? text, case bigint, date_trunc timestamp
        "#]],
    );
}

#[test]
fn functions_in_the_condition_of_a_left_join() {
    check(
        "CREATE MATERIALIZED VIEW by_name AS
         SELECT p.id, b.id AS brand FROM products p LEFT JOIN brands b ON lower(p.name) = b.name;
         CREATE MATERIALIZED VIEW liked AS
         SELECT p.id, b.name AS brand FROM products p LEFT JOIN brands b ON p.brand_id = b.id AND concat(p.name, b.name) LIKE 'a%';",
        expect![[r#"
            by_name
            -> Left Join  (key: id, brand; keeps: rows)
                 cost: O(Δ + matches)
                 on: with join key.join key = brands.name
              -> Arrange  (key: id; keeps: rows, also in memory, index (join key))
                   cost: O(Δ)
                -> Map  (key: id; keeps: nothing)
                     cost: O(Δ)
                  -> Table products  (key: id; keeps: rows, also in memory, index (brand_id))
              -> Table brands  (key: id; keeps: rows, also in memory, index (name))
            id bigint, brand bigint
            liked
            -> Assembly Join  (key: id; keeps: rows)
                 cost: O(Δ + touched driver rows)
                 left look-up brands by products.brand_id if concat("name", "name") LIKE 'a%' (back by index of products)
              -> Table products  (key: id; keeps: rows, also in memory, index (brand_id))
              -> Table brands  (key: id; keeps: rows, also in memory, index (name))
            id bigint, brand text
        "#]],
    );
}

#[test]
fn joins_by_values_of_several_inputs() {
    check(
        "CREATE MATERIALIZED VIEW sums AS SELECT p.id, o.id AS order_id FROM orders o, products p, order_items i
           WHERE p.id + i.qty = o.customer_id AND p.id = i.product_id;",
        expect![[r#"
            sums
            -> Delta Join  (key: order_id hidden, line hidden, order_id; keeps: rows)
                 cost: O(Δ + matches)
                 change of with join key: orders by index (customer_id = with join key.join key)
                 change of orders: with join key by index (join key = orders.customer_id)
              -> Arrange  (key: order_id, line; keeps: rows, also in memory, index (join key))
                   cost: O(Δ)
                -> Map  (key: order_id, line; keeps: nothing)
                     cost: O(Δ)
                  -> Assembly Join  (key: order_id hidden, line hidden; keeps: rows, also in memory)
                       cost: O(Δ + touched driver rows)
                       look-up products by order_items.product_id (back by index of order_items)
                    -> Table order_items  (key: order_id, line; keeps: rows, also in memory, index (product_id))
                    -> Table products  (key: id; keeps: rows, also in memory)
              -> Table orders  (key: id; keeps: rows, also in memory, index (customer_id))
            id bigint, order_id bigint
        "#]],
    );
}

#[test]
fn names_and_types_are_those_of_postgresql() {
    check(
        "CREATE MATERIALIZED VIEW short(a) AS SELECT id, name FROM products;
         CREATE MATERIALIZED VIEW ranks AS SELECT id, n + 1 AS m FROM
           (SELECT id, ROW_NUMBER() OVER (ORDER BY name) AS n FROM products) q WHERE n <= 3;
         CREATE MATERIALIZED VIEW ranked AS SELECT n FROM
           (SELECT ROW_NUMBER() OVER (ORDER BY name) AS n FROM products) q WHERE n <= 3 UNION ALL SELECT id FROM brands;
         CREATE MATERIALIZED VIEW zoned AS SELECT at::timestamptz, at::date::timestamp AS day, 1::float AS one FROM log;",
        expect![[r#"
            short
            -> Map  (key: a; keeps: rows)
                 cost: O(Δ)
              -> Table products  (key: id; keeps: rows, also in memory)
            a bigint, name text
            ranks
            -> Map  (key: id; keeps: rows)
                 cost: O(Δ)
              -> Top N  (key: id; keeps: nothing)
                   cost: O(Δ log n + limit), once per touched group
                   first 3
                -> Order  (key: name, id; keeps: rows)
                     cost: O(Δ log n)
                  -> Table products  (key: id; keeps: rows, also in memory)
            id bigint, m bigint
            ranked
            -> Union All  (key: _key1 hidden, _branch hidden; keeps: rows)
                 cost: O(Δ)
              -> Top N  (key: id hidden; keeps: nothing)
                   cost: O(Δ log n + limit), once per touched group
                   first 3
                -> Order  (key: name, id; keeps: rows)
                     cost: O(Δ log n)
                  -> Table products  (key: id; keeps: rows, also in memory)
              -> Table brands  (key: id; keeps: rows, also in memory)
            n bigint
            zoned
            -> Map  (key: _rowid hidden; keeps: rows)
                 cost: O(Δ)
              -> Table log  (key: _rowid hidden; keeps: rows, also in memory)
            at timestamptz, day timestamp, one double precision
        "#]],
    );
}

#[test]
fn constants_of_calls_tell_plans_apart() {
    let fingerprint = |arguments: &str| {
        let (_, graph) =
            planned(&format!("CREATE MATERIALIZED VIEW v AS SELECT concat({arguments}) AS x FROM brands;"));
        graph.nodes[graph.views[0].node.0].fingerprint
    };
    let known = fingerprint("name, 'a', 'b'");
    assert_eq!(known, fingerprint("name, 'a', 'b'"));
    for other in ["name, 'a, b'", "name, 'a\", \"b'", "name, 'a\\', 'b'", "name, 'b', 'a'", "name, 'a', 'b', ''"] {
        assert_ne!(known, fingerprint(other), "{other}");
    }
}
