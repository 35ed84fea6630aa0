//! Small cases that once went wrong, or that the random ones reach too rarely, each with the reason in its name.

use super::run::replay;
use super::schema::Table;

struct Regression {
    name: &'static str,
    /// `name: column type, …; key columns`.
    tables: &'static [&'static str],
    views: &'static [(&'static str, &'static str)],
    /// Queries that say the same to SQLite, where the view's own does not.
    truths: &'static [(&'static str, &'static str)],
    epochs: &'static [&'static [&'static str]],
}

const REGRESSIONS: &[Regression] = &[
    Regression {
        name: "a column grouped by twice",
        tables: &["t: id int, a int; id"],
        views: &[
            ("v", "SELECT a AS g0, a AS g1, count(*) AS n, min(id) AS least FROM t GROUP BY a, a"),
            ("w", "SELECT a AS g0, a AS g1, sum(id) AS s FROM t GROUP BY a, a HAVING count(*) > 1"),
        ],
        truths: &[],
        epochs: &[
            &["INSERT INTO t VALUES (1, 5), (2, 5), (3, NULL)"],
            &["DELETE FROM t WHERE id = 1"],
            &["UPDATE t SET a = 7"],
        ],
    },
    Regression {
        name: "a left join by three crossing equalities",
        tables: &["l: id int, a int, b int; id", "r: id int, x int, y int, z int; id"],
        views: &[("v", "SELECT l.id AS l, r.id AS r FROM l LEFT JOIN r ON l.a = r.y AND l.b = r.z AND l.b = r.x")],
        truths: &[],
        epochs: &[
            &["INSERT INTO l VALUES (1, 1, 2), (2, 2, 2)", "INSERT INTO r VALUES (1, 2, 1, 2), (2, 9, 1, 2)"],
            &["UPDATE r SET x = 2 WHERE id = 2"],
            &["UPDATE r SET x = 9"],
            &["DELETE FROM l WHERE id = 2"],
        ],
    },
    Regression {
        name: "computed columns of an optional side that is joined by a computed key",
        tables: &["l: id int, a int; id", "r: id int, b int; id"],
        views: &[(
            "v",
            "SELECT l.id AS l, q.k AS k, q.word AS word FROM l LEFT JOIN (SELECT coalesce(b, 0) AS k, 'x' AS word FROM r) AS q ON l.a = q.k",
        )],
        truths: &[],
        epochs: &[
            &["INSERT INTO l VALUES (1, 0), (2, 5), (3, NULL)", "INSERT INTO r VALUES (1, NULL), (2, 0)"],
            &["UPDATE r SET b = 5 WHERE id = 1"],
            &["DELETE FROM r"],
        ],
    },
    Regression {
        name: "both parts of a driver's key are one value",
        tables: &["d: id int, a int, t text; a id", "u: id int, w text; id"],
        views: &[
            ("v", "SELECT u.id AS k, d.t AS t, u.w AS w FROM d JOIN u ON d.id = u.id AND d.a = u.id"),
            ("n", "SELECT v.k AS k, count(*) AS n, min(v.t) AS t FROM v LEFT JOIN u ON v.k = u.id GROUP BY v.k"),
        ],
        truths: &[],
        epochs: &[
            &["INSERT INTO d VALUES (1, 1, 'x'), (1, 2, 'y'), (2, 2, 'z')", "INSERT INTO u VALUES (1, 'a'), (2, 'b')"],
            &["UPDATE u SET w = 'c'", "DELETE FROM d WHERE a = 2"],
            &["UPDATE d SET id = 2, a = 2 WHERE id = 1"],
        ],
    },
    Regression {
        name: "a look-up by one column twice beside a left join by two columns",
        tables: &["t: id int, a int, b int; a id"],
        views: &[
            ("u", "SELECT r1.b AS c0 FROM t AS r0 LEFT JOIN t AS r1 ON r0.id = r1.id AND r0.id = r1.a"),
            (
                "v",
                "SELECT r2.b + 4 AS c0, 'b b' AS c1 FROM t AS r0 LEFT JOIN t AS r1 ON r0.b = r1.b AND r0.b = r1.id LEFT JOIN t AS r2 ON r1.a = r2.a AND r1.b = r2.b UNION ALL SELECT r0.a * 3 AS c0, '' AS c1 FROM t AS r0 LEFT JOIN t AS r1 ON r0.id = r1.id AND r0.a = r1.b",
            ),
        ],
        truths: &[],
        epochs: &[
            &["INSERT INTO t VALUES (14, 5, 6), (15, 7, 5), (16, 5, 6), (16, 7, 5), (5, 0, 7), (20, -1, NULL)"],
            &["INSERT OR REPLACE INTO t VALUES (21, 4, 1), (16, 7, 2), (22, 2, -2)"],
            &["UPDATE t SET b = 7 WHERE id = 16"],
            &["DELETE FROM t WHERE a = 5"],
        ],
    },
    Regression {
        name: "cells that cannot be computed stay errors of their row or group, and heal",
        tables: &["t: id int, g int, a int, b int, s text; id"],
        views: &[
            ("quotient", "SELECT id, a / b AS q, a AS a FROM t"),
            ("chosen", "SELECT id, CASE WHEN b <> 0 THEN a / b ELSE -1 END AS q FROM t"),
            ("cast_one", "SELECT id, CAST(s AS BIGINT) AS n FROM t"),
            ("kept", "SELECT id, a FROM t WHERE a / b > 1"),
            ("sums", "SELECT g, sum(a / b) AS s, max(a / b) AS m, count(*) AS n FROM t GROUP BY g"),
            ("groups", "SELECT a / b AS q, count(*) AS n FROM t GROUP BY a / b"),
            ("above", "SELECT q + 1 AS r, coalesce(1, q) AS c FROM quotient"),
            ("ids", "SELECT id FROM t WHERE a / b > 1"),
            ("joined", "SELECT k.id AS id, t.g AS g FROM kept AS k JOIN t ON k.id = t.id"),
            ("joined_groups", "SELECT g, count(*) AS n FROM joined GROUP BY g"),
            ("each", "SELECT id, count(*) AS n FROM ids GROUP BY id"),
            ("beside_many", "SELECT k.id AS id, u.g AS g FROM kept AS k LEFT JOIN t AS u ON u.g = k.id AND u.a > k.a"),
            ("beside", "SELECT t.id AS id, t.g AS g, k.a AS a FROM t LEFT JOIN kept AS k ON k.id = t.id"),
        ],
        truths: &[
            (
                "quotient",
                "SELECT id, CASE WHEN a IS NOT NULL AND b = 0 THEN 'error' ELSE a / b END AS q, a AS a FROM t",
            ),
            (
                "cast_one",
                "SELECT id, CASE WHEN s GLOB '*[^0-9]*' OR s = '' THEN 'error' ELSE CAST(s AS INTEGER) END FROM t",
            ),
            (
                "kept",
                "SELECT id, CASE WHEN b = 0 THEN 'error' ELSE a END AS a FROM t WHERE a / b > 1 OR (a IS NOT NULL AND b = 0)",
            ),
            (
                "sums",
                "SELECT g, CASE WHEN count(e) > 0 THEN 'error' ELSE sum(a / b) END, CASE WHEN count(e) > 0 THEN 'error' ELSE max(a / b) END, count(*) FROM (SELECT *, CASE WHEN a IS NOT NULL AND b = 0 THEN 1 END AS e FROM t) GROUP BY g",
            ),
            ("groups", "SELECT q, count(*) FROM quotient GROUP BY q"),
            ("above", "SELECT CASE WHEN q = 'error' THEN q ELSE q + 1 END, 1 FROM quotient"),
            ("ids", "SELECT id FROM kept"),
            (
                "joined",
                "SELECT k.id, CASE WHEN k.a = 'error' THEN k.a ELSE t.g END AS g FROM kept AS k JOIN t ON k.id = t.id",
            ),
            ("joined_groups", "SELECT g, CASE WHEN g = 'error' THEN g ELSE count(*) END FROM joined GROUP BY g"),
            (
                "beside_many",
                "SELECT k.id, CASE WHEN k.a = 'error' THEN k.a ELSE u.g END FROM kept AS k LEFT JOIN t AS u ON u.g = k.id AND (k.a = 'error' OR u.a > k.a)",
            ),
            ("each", "SELECT id, CASE WHEN a = 'error' THEN a ELSE 1 END FROM kept"),
        ],
        epochs: &[
            &["INSERT INTO t VALUES (1, 1, 7, 2, '12'), (2, 1, 9, 0, 'x'), (3, 2, NULL, 0, NULL), (4, 2, 8, 4, '')"],
            &["UPDATE t SET b = 0 WHERE id = 4", "UPDATE t SET s = '5' WHERE id = 2"],
            &["UPDATE t SET b = 3 WHERE b = 0"],
            &["UPDATE t SET b = 0, s = 'y'"],
            &["DELETE FROM t WHERE g = 1", "UPDATE t SET b = 1"],
        ],
    },
    Regression {
        name: "one row of many that cannot be cast",
        tables: &["t: id int, s text; id"],
        views: &[
            ("v", "SELECT id, CAST(s AS BIGINT) AS n FROM t"),
            (
                "w",
                "SELECT CAST(s AS BIGINT) % 7 AS g, count(*) AS n FROM t WHERE id <> 777 GROUP BY CAST(s AS BIGINT) % 7",
            ),
        ],
        truths: &[
            ("v", "SELECT id, CASE WHEN s GLOB '*[^0-9]*' THEN 'error' ELSE CAST(s AS INTEGER) END FROM t"),
            ("w", "SELECT CAST(s AS INTEGER) % 7, count(*) FROM t WHERE id <> 777 GROUP BY 1"),
        ],
        epochs: &[
            &[
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t SELECT i, CASE i WHEN 777 THEN 'no' ELSE i * 3 END FROM n",
            ],
            &["UPDATE t SET s = '4' WHERE id = 777"],
            &["UPDATE t SET s = s || 'z' WHERE id = 777", "DELETE FROM t WHERE id % 5 = 0"],
        ],
    },
    Regression {
        name: "sums of floats and decimals are exact after deletes",
        tables: &["t: id int, g int, x real; id"],
        views: &[
            ("v", "SELECT g, sum(x) AS s, avg(x) AS a, count(x) AS n, min(x) AS m FROM t GROUP BY g"),
            ("d", "SELECT sum(g * 0.01) AS s, max(g * 0.25) AS m FROM t"),
            ("tot", "SELECT sum(x) AS s, count(*) AS n FROM t"),
        ],
        truths: &[],
        epochs: &[
            &["INSERT INTO t VALUES (1, 1, 1e16), (2, 1, 1.0), (3, 1, 0.1), (4, 2, 0.1), (5, 2, 0.2), (6, 2, -1e300)"],
            &["DELETE FROM t WHERE id IN (1, 6)"],
            &["UPDATE t SET x = NULL WHERE id = 2", "UPDATE t SET g = 3 WHERE id = 5"],
            &["INSERT INTO t VALUES (7, 3, 1e308), (8, 1, -4.5)"],
            &["DELETE FROM t WHERE id = 7"],
            &["DELETE FROM t"],
        ],
    },
    Regression {
        name: "keys with more than 64 matches, and rows in several chunks",
        tables: &["l: id int, k int, t text; id", "r: id int, k int, x int; id"],
        views: &[
            ("v", "SELECT l.id AS l, r.id AS r, r.x AS x FROM l JOIN r ON l.k = r.k WHERE l.id <= 150"),
            ("w", "SELECT l.id AS l, r.id AS r FROM l LEFT JOIN r ON l.k = r.k AND r.x > l.id"),
            (
                "n",
                "SELECT l.k AS k, count(*) AS n, sum(r.x) AS s, max(r.x) AS m FROM l LEFT JOIN r ON l.k = r.k GROUP BY l.k",
            ),
            (
                "first",
                "SELECT * FROM (SELECT id, k, t, ROW_NUMBER() OVER (PARTITION BY k ORDER BY t DESC NULLS FIRST, id) AS n FROM l) AS q WHERE n <= 3",
            ),
            ("copy", "SELECT id, upper(t) AS t FROM l WHERE k IS NOT NULL"),
        ],
        truths: &[],
        epochs: &[
            &[
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 24000) INSERT INTO l SELECT i, CASE WHEN i <= 200 THEN i % 2 ELSE nullif(i, i / 9 * 9) END, 'row ' || (i % 77) FROM n",
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 180) INSERT INTO r SELECT i, i % 2, i FROM n",
            ],
            &["DELETE FROM r WHERE id <= 100 AND k = 1"],
            &["UPDATE l SET k = 1 WHERE id <= 200", "UPDATE r SET x = x + 1 WHERE id > 170"],
            &["UPDATE r SET k = 5000 WHERE k = 1"],
            &["DELETE FROM l WHERE id % 3 = 0"],
        ],
    },
    Regression {
        name: "calls that differ only in where a constant ends",
        tables: &["t: id int, s text; id"],
        views: &[
            ("pair", "SELECT id, concat(s, 'a, b') AS x, concat(s, 'a', 'b') AS y FROM t"),
            ("one", "SELECT id, concat(s, 'a, b') AS x FROM t"),
            ("other", "SELECT id, concat(s, 'a', 'b') AS x FROM t"),
            ("quoted", "SELECT id, concat(s, 'a\"), Utf8(\"b') AS x FROM t"),
        ],
        truths: &[
            ("pair", "SELECT id, coalesce(s, '') || 'a, b', coalesce(s, '') || 'ab' FROM t"),
            ("one", "SELECT id, coalesce(s, '') || 'a, b' FROM t"),
            ("other", "SELECT id, coalesce(s, '') || 'ab' FROM t"),
            ("quoted", "SELECT id, coalesce(s, '') || 'a\"), Utf8(\"b' FROM t"),
        ],
        epochs: &[&["INSERT INTO t VALUES (1, 'x'), (2, NULL)"], &["UPDATE t SET s = 'y'"]],
    },
    Regression {
        name: "a key that ignores case is spelled anew",
        tables: &["o: id int, name text; id", "u: name nocase, boss rtrim, w int; name", "b: name rtrim, w int; name"],
        views: &[
            ("v", "SELECT o.id, u.w FROM o LEFT JOIN u ON o.name = u.name"),
            ("i", "SELECT o.id, u.w FROM o JOIN u ON o.name = u.name"),
            ("two", "SELECT o.id, u.w, b.w AS bw FROM o JOIN u ON o.name = u.name LEFT JOIN b ON u.boss = b.name"),
            ("back", "SELECT u.name, o.id FROM u LEFT JOIN o ON o.name = u.name"),
            ("own", "SELECT u.w, x.w AS xw FROM u JOIN u AS x ON x.name = u.boss"),
        ],
        truths: &[],
        epochs: &[
            &[
                "INSERT INTO o VALUES (1, 'bob'), (2, 'Bob'), (3, 'eve')",
                "INSERT INTO main.u VALUES ('bob', 'x', 5), ('eve', 'x ', 6), ('x', 'BOB', 7)",
                "INSERT INTO main.b VALUES ('x', 1)",
            ],
            &["UPDATE main.u SET name = 'Bob' WHERE name = 'bob'"],
            &["UPDATE main.b SET name = 'x '"],
            &["UPDATE main.u SET name = 'BOB', w = 8 WHERE name = 'bob'", "UPDATE main.b SET name = 'x', w = 2"],
            &["DELETE FROM main.u WHERE name = 'bob'"],
        ],
    },
    Regression {
        name: "a row whose join key cannot be computed is an error and not lost",
        tables: &["a: id int, x int, y int, t text; id", "b: id int, k int, w int, v int; id"],
        views: &[
            ("delta", "SELECT a.id AS a, a.t AS t, b.v AS v FROM a JOIN b ON a.x / a.y = b.k"),
            ("other", "SELECT a.id AS a, a.t AS t, b.id AS b FROM a JOIN b ON a.x = b.k / b.w"),
            ("looked_up", "SELECT a.id AS a, a.t AS t, b.v AS v FROM a JOIN b ON a.x / a.y = b.id"),
            ("filtered", "SELECT a.id AS a, b.v AS v FROM a JOIN b ON a.x / a.y = b.k WHERE a.t = 'x'"),
            ("left_many", "SELECT a.id AS a, a.t AS t, b.v AS v FROM a LEFT JOIN b ON a.x / a.y = b.k"),
            ("left_one", "SELECT a.id AS a, a.t AS t, b.v AS v FROM a LEFT JOIN b ON a.x / a.y = b.id"),
            ("on_many", "SELECT a.id AS a, a.t AS t, b.v AS v FROM a LEFT JOIN b ON a.x = b.k AND a.y / b.w > 0"),
            ("on_one", "SELECT a.id AS a, a.t AS t, b.v AS v FROM a LEFT JOIN b ON a.x = b.id AND a.y / b.w > 0"),
        ],
        truths: &[
            (
                "delta",
                "SELECT a.id, a.t, b.v FROM a JOIN b ON a.x / a.y = b.k UNION ALL SELECT id, 'error', 'error' FROM a WHERE y = 0 AND x IS NOT NULL",
            ),
            (
                "other",
                "SELECT a.id, a.t, b.id FROM a JOIN b ON a.x = b.k / b.w UNION ALL SELECT 'error', 'error', id FROM b WHERE w = 0 AND k IS NOT NULL",
            ),
            (
                "looked_up",
                "SELECT a.id, a.t, b.v FROM a JOIN b ON a.x / a.y = b.id UNION ALL SELECT id, 'error', 'error' FROM a WHERE y = 0 AND x IS NOT NULL",
            ),
            (
                "filtered",
                "SELECT a.id, b.v FROM a JOIN b ON a.x / a.y = b.k WHERE t = 'x' UNION ALL SELECT id, 'error' FROM a WHERE y = 0 AND x IS NOT NULL AND t = 'x'",
            ),
            (
                "left_many",
                "SELECT a.id, a.t, CASE WHEN y = 0 AND x IS NOT NULL THEN 'error' ELSE b.v END FROM a LEFT JOIN b ON a.x / a.y = b.k",
            ),
            (
                "left_one",
                "SELECT a.id, a.t, CASE WHEN y = 0 AND x IS NOT NULL THEN 'error' ELSE b.v END FROM a LEFT JOIN b ON a.x / a.y = b.id",
            ),
            (
                "on_many",
                "SELECT a.id, a.t, CASE WHEN w = 0 THEN 'error' ELSE b.v END FROM a LEFT JOIN b ON a.x = b.k AND (a.y / b.w > 0 OR w = 0 AND y IS NOT NULL)",
            ),
            (
                "on_one",
                "SELECT a.id, a.t, CASE WHEN w = 0 THEN 'error' ELSE b.v END FROM a LEFT JOIN b ON a.x = b.id AND (a.y / b.w > 0 OR w = 0 AND y IS NOT NULL)",
            ),
        ],
        epochs: &[
            &[
                "INSERT INTO a VALUES (1, 4, 2, 'x'), (2, 4, 0, 'x'), (3, NULL, 0, 'y'), (4, 2, 1, 'y'), (5, 2, 0, 'y')",
                "INSERT INTO b VALUES (1, 2, 0, 10), (2, 2, 1, 20), (3, 4, 1, 30), (4, NULL, 0, 40)",
            ],
            &["UPDATE a SET y = 1 WHERE id = 2", "UPDATE b SET w = 0 WHERE id = 3"],
            &["UPDATE a SET y = 0, t = 'z'", "UPDATE b SET w = 2 WHERE w = 0"],
            &["DELETE FROM a WHERE id < 3", "UPDATE b SET w = 0, v = v + 1"],
            &["DELETE FROM b", "UPDATE a SET y = 2"],
        ],
    },
    Regression {
        name: "functions in the condition of a left join",
        tables: &[
            "l: id int, code text, name text; id",
            "r: id int, code text, pattern text; id",
            "c: code text, w int; code",
        ],
        views: &[
            ("one_side", "SELECT l.id AS l, r.id AS r FROM l LEFT JOIN r ON l.code = r.code AND l.name LIKE 'a%'"),
            ("computed", "SELECT l.id AS l, r.id AS r FROM l LEFT JOIN r ON lower(l.code) = r.code"),
            ("cast_key", "SELECT l.id AS l, r.code AS c FROM l LEFT JOIN r ON CAST(l.name AS BIGINT) = r.id"),
            (
                "both",
                "SELECT l.id AS l, r.id AS r FROM l LEFT JOIN r ON l.code = r.code AND concat(l.name, r.pattern) LIKE 'a%z'",
            ),
            (
                "looked_up",
                "SELECT l.id AS l, c.w AS w FROM l LEFT JOIN c ON lower(l.code) = c.code AND trim(l.name) <> c.code",
            ),
            (
                "three",
                "SELECT l.id AS l, r.id AS r, c.w AS w FROM l LEFT JOIN r ON l.code = r.code AND lower(l.name) = lower(r.pattern) LEFT JOIN c ON lower(r.code) = c.code",
            ),
        ],
        truths: &[
            (
                "cast_key",
                "SELECT l.id, CASE WHEN l.name GLOB '*[^0-9]*' OR l.name = '' THEN 'error' ELSE r.code END FROM l LEFT JOIN r ON l.name NOT GLOB '*[^0-9]*' AND l.name <> '' AND CAST(l.name AS INTEGER) = r.id",
            ),
            (
                "both",
                "SELECT l.id, r.id FROM l LEFT JOIN r ON l.code = r.code AND coalesce(l.name, '') || coalesce(r.pattern, '') LIKE 'a%z'",
            ),
        ],
        epochs: &[
            &[
                "INSERT INTO l VALUES (1, 'A', 'ab'), (2, 'b', 'ax'), (3, 'b', '2'), (4, NULL, NULL)",
                "INSERT INTO r VALUES (1, 'a', 'z'), (2, 'b', 'AX'), (3, 'b', 'z')",
                "INSERT INTO c VALUES ('a', 1), ('b', 2)",
            ],
            &["UPDATE l SET name = 'a' WHERE id = 3", "UPDATE r SET code = 'A' WHERE id = 3"],
            &["DELETE FROM r WHERE id = 2", "UPDATE c SET w = 3 WHERE code = 'a'"],
            &["UPDATE l SET code = 'a'", "INSERT INTO r VALUES (4, 'a', 'ab')", "DELETE FROM c WHERE code = 'b'"],
        ],
    },
    Regression {
        name: "a condition that most right rows of a key do not meet",
        tables: &["l: id int, k int, low int; id", "r: id int, k int, x int; id"],
        views: &[("v", "SELECT l.id AS l, r.id AS r FROM l LEFT JOIN r ON l.k = r.k AND r.x > l.low")],
        truths: &[],
        epochs: &[
            &[
                "INSERT INTO l VALUES (1, 1, 5), (2, 1, 9), (3, 1, 0)",
                "INSERT INTO r VALUES (1, 1, 3), (2, 1, 4), (3, 1, 7)",
            ],
            &["UPDATE r SET x = 6 WHERE id = 3"],
            &["UPDATE r SET x = 1 WHERE id = 3"],
            &["UPDATE r SET x = 8 WHERE id = 2", "UPDATE r SET x = 10 WHERE id = 3"],
            &["DELETE FROM r WHERE id = 2", "UPDATE r SET x = 2 WHERE id = 3", "INSERT INTO r VALUES (4, 1, 6)"],
            &["DELETE FROM r"],
        ],
    },
    Regression {
        name: "a value of two inputs joined with a third",
        tables: &["x: id int, k int, a int; id", "y: id int, k int, b int; id", "z: id int, c int; id"],
        views: &[
            ("v", "SELECT x.id AS x, y.id AS y, z.id AS z FROM x JOIN y ON x.k = y.k JOIN z ON x.a + y.b = z.c"),
            ("w", "SELECT x.id AS x, z.id AS z FROM z, x, y WHERE x.a + y.b = z.c AND x.k = y.k AND y.b > z.id"),
        ],
        truths: &[],
        epochs: &[
            &[
                "INSERT INTO x VALUES (1, 1, 2), (2, 1, 3)",
                "INSERT INTO y VALUES (1, 1, 4), (2, 2, 4)",
                "INSERT INTO z VALUES (1, 6), (2, 7), (3, 6)",
            ],
            &["UPDATE y SET k = 1, b = 3 WHERE id = 2"],
            &["UPDATE z SET c = c + 1", "DELETE FROM x WHERE id = 1"],
        ],
    },
    Regression {
        name: "first rows whose group changes before, at and behind the last of them",
        tables: &["t: id int, g int, x int; id"],
        views: &[
            (
                "ranked",
                "SELECT g, id, n FROM (SELECT g, id, ROW_NUMBER() OVER (PARTITION BY g ORDER BY x, id) AS n FROM t) AS q WHERE n <= 3",
            ),
            (
                "counted",
                "SELECT id, n + 1 AS m FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY x, id) AS n FROM t) AS q WHERE n <= 3 UNION ALL SELECT id, g FROM t",
            ),
            ("page", "SELECT id, x FROM t ORDER BY x, id LIMIT 2 OFFSET 2"),
        ],
        truths: &[],
        epochs: &[
            &["INSERT INTO t VALUES (1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 1, 4), (5, 1, 5), (6, 2, 1)"],
            &["UPDATE t SET x = 6 WHERE id = 5"],
            &["INSERT INTO t VALUES (7, 1, 3)", "DELETE FROM t WHERE id = 5"],
            &["DELETE FROM t WHERE id = 2"],
            &["UPDATE t SET x = 0 WHERE id = 4"],
            &["UPDATE t SET g = 2 WHERE id IN (1, 4)", "DELETE FROM t WHERE id = 6"],
        ],
    },
];

#[test]
fn oracle_regressions() {
    for it in REGRESSIONS {
        eprintln!("regression: {}", it.name);
        replay(it.tables.iter().map(|it| Table::parse(it)).collect(), it.views, it.truths, it.epochs);
    }
}
