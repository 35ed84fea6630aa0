//! Small cases that once went wrong, or that the random ones reach too rarely, each with the reason in its name.

use super::run::replay;
use super::schema::Table;

struct Regression {
    name: &'static str,
    /// `name: column type, …; key columns`.
    tables: &'static [&'static str],
    views: &'static [(&'static str, &'static str)],
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
        epochs: &[
            &["INSERT INTO t VALUES (14, 5, 6), (15, 7, 5), (16, 5, 6), (16, 7, 5), (5, 0, 7), (20, -1, NULL)"],
            &["INSERT OR REPLACE INTO t VALUES (21, 4, 1), (16, 7, 2), (22, 2, -2)"],
            &["UPDATE t SET b = 7 WHERE id = 16"],
            &["DELETE FROM t WHERE a = 5"],
        ],
    },
];

#[test]
fn oracle_regressions() {
    for it in REGRESSIONS {
        eprintln!("regression: {}", it.name);
        replay(it.tables.iter().map(|it| Table::parse(it)).collect(), it.views, it.epochs);
    }
}
