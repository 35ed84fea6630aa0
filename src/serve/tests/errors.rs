//! Cells that could not be computed: every access path says the same of them.

use super::fixture::{Answer, Server, board_of, relation};
use crate::catalog::ServedIndex;
use crate::change::{Column, DataType, Datum, KeyColumn, RelationId};
use crate::serve::ServeOptions;

/// Things with a kind and a rank: thing 4 has an error for its kind, thing 5, of kind 2, one for its rank.
async fn things(indexes: Vec<ServedIndex>) -> Server {
    let columns = ["id", "kind", "rank", "size"].map(|it| Column::new(it, DataType::Int64));
    let int = Datum::Int;
    let rows: [&[Datum<'_>]; 6] = [
        &[int(1), int(1), int(10), int(5)],
        &[int(2), int(1), int(20), int(6)],
        &[int(3), int(2), Datum::Null, int(5)],
        &[int(4), Datum::Error("kind?"), int(40), int(5)],
        &[int(5), int(2), Datum::Error("rank?"), int(6)],
        &[int(6), int(2), int(60), int(6)],
    ];
    Server::with(ServeOptions::default(), board_of(relation(10, "things", columns.into(), 1, indexes), &rows)).await
}

fn index(name: &str, id: u32, key: Vec<KeyColumn>, include: Vec<usize>) -> ServedIndex {
    ServedIndex { name: name.into(), id: RelationId(id), key, include }
}

/// The same without indexes, with plain ones, with covering ones, and with descending ones.
async fn all_ways() -> [Server; 4] {
    let (up, down) = (KeyColumn::ascending, KeyColumn::descending);
    let indexes = |key: fn(usize) -> KeyColumn, include: &[usize]| {
        let by_kind = index("by_kind", 11, vec![key(1), key(2)], include.to_vec());
        vec![by_kind, index("by_rank", 12, vec![key(2)], include.to_vec())]
    };
    [
        things(Vec::new()).await,
        things(indexes(up, &[])).await,
        things(indexes(up, &[0, 1, 2, 3])).await,
        things(indexes(down, &[])).await,
    ]
}

fn ids(answer: &Answer) -> Vec<i64> {
    let mut ids: Vec<i64> = answer.json().as_array().unwrap().iter().map(|it| it["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn an_error_in_a_filter_fails_by_every_path() {
    let servers = all_ways().await;
    for (query, left) in [
        ("kind=eq.1", vec![1, 2]),
        ("kind=eq.2", vec![3, 5, 6]),
        ("kind=in.(1,7)", vec![1, 2]),
        ("kind=gte.2", vec![3, 5, 6]),
        ("kind=is.not_null", vec![1, 2, 3, 5, 6]),
        ("kind=eq.2&rank=gt.0", vec![6]),
        ("kind=eq.2&rank=is.null", vec![3]),
        ("rank=lt.50", vec![1, 2, 4]),
        ("rank=lt.50&order=rank.desc", vec![1, 2, 4]),
    ] {
        for server in &servers {
            let path = format!("/v1/views/things?select=id&{query}");
            let answer = server.get(&path).await;
            let access = answer.header("vantage-access").to_string();
            answer.assert_problem(422, "22000");
            let answer = server.get(&format!("{path}&errors=skip")).await;
            assert_eq!((answer.status, ids(&answer)), (200, left.clone()), "{query} by {access}");
            assert_ne!(answer.header("vantage-errors"), "0", "{query} by {access}");
        }
    }
}

#[tokio::test]
async fn what_the_other_filters_leave_out_is_no_error() {
    for server in all_ways().await {
        for (query, left) in [
            ("kind=eq.1&size=eq.6", vec![2]),
            ("size=eq.6&kind=eq.1", vec![2]),
            ("rank=lt.50&kind=eq.1&id=neq.4", vec![1, 2]),
            ("id=lt.4&kind=eq.2", vec![3]),
        ] {
            let answer = server.get(&format!("/v1/views/things?select=id&{query}")).await;
            assert_eq!((answer.status, answer.header("vantage-errors")), (200, ""), "{query}: {answer:?}");
            assert_eq!(ids(&answer), left, "{query}");
            let answer = server.get(&format!("/v1/views/things?select=id&{query}&errors=skip")).await;
            assert_eq!((ids(&answer), answer.header("vantage-errors")), (left, "0"), "{query}");
        }
    }
}

#[tokio::test]
async fn an_error_in_an_order_fails_the_page_it_stands_on() {
    for server in all_ways().await {
        let access = async |query: &str| {
            let answer = server.get(&format!("/v1/views/things?select=id&{query}")).await;
            (answer.status, if answer.status == 200 { ids(&answer) } else { Vec::new() })
        };
        // Ascending, an error stands behind the values; descending, in front of them, behind NULL.
        assert_eq!(access("order=rank&limit=4").await, (200, vec![1, 2, 4, 6]));
        assert_eq!(access("order=rank&limit=5").await.0, 422);
        assert_eq!(access("order=rank.desc&limit=1").await, (200, vec![3]));
        assert_eq!(access("order=rank.desc&limit=2").await.0, 422);
        assert_eq!(access("order=rank.desc&limit=3&errors=skip").await, (200, vec![3, 4, 6]));
    }
}

#[tokio::test]
async fn sql_leaves_nothing_out_silently() {
    for server in all_ways().await {
        for sql in [
            "SELECT id FROM things WHERE kind = 1",
            "SELECT count(*) FROM things WHERE kind = 2 AND rank > 0",
            "SELECT id FROM things WHERE rank < 50 ORDER BY rank LIMIT 1",
        ] {
            server.sql(sql, serde_json::json!([])).await.assert_problem(422, "22000");
        }
        assert_eq!(server.rows("SELECT id FROM things WHERE kind = 1 AND size = 6").await, "[[2]]");
    }
}

#[tokio::test]
async fn what_was_free_of_errors_is_looked_at_again_in_the_next_epoch() {
    let columns = ["id", "kind"].map(|it| Column::new(it, DataType::Int64));
    let things =
        relation(10, "things", columns.into(), 1, vec![index("by_kind", 11, vec![KeyColumn::ascending(1)], vec![])]);
    let good = [Datum::Int(1), Datum::Int(1)];
    let server = Server::with(ServeOptions::default(), board_of(things.clone(), &[&good])).await;
    for _ in 0..2 {
        assert_eq!(server.get("/v1/views/things?kind=eq.1").await.status, 200);
    }
    let bad = [Datum::Int(2), Datum::Error("kind?")];
    let rows = [good, bad].iter().flat_map(|cells| super::fixture::rows_of(&things, cells)).collect();
    super::fixture::publish(&server.board, 2, 18, rows);
    for _ in 0..2 {
        server.get("/v1/views/things?kind=eq.1").await.assert_problem(422, "22000");
    }
}
