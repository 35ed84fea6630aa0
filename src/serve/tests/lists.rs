//! What a list can be asked for beyond single filters: conditions joined, columns renamed and cast, other formats; and
//! plain views by SQL.

use serde_json::json;

use super::fixture::{Answer, Server, board_of, publish, relation, rows_of, shop};
use crate::catalog::View;
use crate::change::{Column, DataType, Datum};
use crate::serve::ServeOptions;

fn ids(answer: &Answer) -> Vec<i64> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_array().unwrap().iter().map(|it| it["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn conditions_are_joined() {
    let server = Server::start().await;
    for (query, access, expected) in [
        ("or=(id.eq.3,id.eq.1)", "key", vec![1, 3]),
        ("or=(id.eq.3,id.in.(1,7),id.eq.1)", "key", vec![1, 3, 7]),
        ("or=(id.lt.3,id.gt.39)", "scan", vec![1, 2, 40]),
        ("or=(id.lt.2,name.eq.%22product%205%22)", "scan", vec![1, 5]),
        ("and=(id.gt.2,id.lt.5)", "key", vec![3, 4]),
        ("and=(category.eq.2,or(rating.is.null,rating.gt.4.7))", "index by_category", vec![10, 30, 38]),
        ("category=eq.2&or=(rating.is.null,rating.gt.4.7)", "index by_category", vec![10, 30, 38]),
        ("id=lt.6&not.and=(id.gt.1,id.lt.5)", "key", vec![1, 5]),
        ("id=lt.6&not.or=(id.eq.2,id.eq.4)", "key", vec![1, 3, 5]),
        ("id=lt.9&or=(active.not.is.null,not.id.lt.6)", "key", vec![1, 2, 4, 5, 6, 7, 8]),
        ("id=lt.5&or=(and(id.gt.1,id.lt.3),not.and(id.gt.0,id.lt.4))", "key", vec![2, 4]),
        ("id=lt.9&active=isdistinct.true", "key", vec![1, 3, 5, 6, 7]),
        ("id=lt.9&active=not.isdistinct.true", "key", vec![2, 4, 8]),
        ("name=match.ct%201.$", "scan", vec![10, 11, 12, 13, 14, 15, 16, 17, 18, 19]),
        ("name=imatch.%5EPRODUCT%20[34]$", "scan", vec![3, 4]),
        ("name=not.match.[0-8]$&id=lt.20", "key", vec![9, 19]),
        ("name=like(any).%7B*1,*2%7D&id=lt.13", "key", vec![1, 2, 11, 12]),
        ("name=like(all).%7B*1*,*2%7D&id=lt.13", "key", vec![12]),
        ("id=eq(any).%7B4,2%7D", "scan", vec![2, 4]),
        ("or=(name.eq.%22product%201%22,name.like.*%205)&id=lt.9", "key", vec![1, 5]),
    ] {
        let answer = server.get(&format!("/v1/views/products?select=id&{query}&order=id")).await;
        assert_eq!(ids(&answer), expected, "{query}");
        let got = answer.header("vantage-access");
        assert!(got.starts_with(access), "{query}: {got}");
    }
    let nested = format!("or={}id.eq.1{}", "(or".repeat(20), ")".repeat(20));
    for query in ["or=(id.eq.1", "or=id.eq.1", "or=(id)", "or=(nope.eq.1)", "or=(id.eq.x)", "or=()", &nested] {
        let answer = server.get(&format!("/v1/views/products?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn an_error_decides_only_where_nothing_else_does() {
    let columns = ["id", "kind", "rank"].map(|it| Column::new(it, DataType::Int64));
    let things = relation(10, "things", columns.into(), 1, vec![]);
    let (int, error) = (Datum::Int, Datum::Error("kind?"));
    let rows: [&[Datum<'_>]; 3] = [&[int(1), int(1), int(1)], &[int(2), error, int(1)], &[int(3), error, Datum::Null]];
    let server = Server::with(ServeOptions::default(), board_of(things, &rows)).await;
    assert_eq!(ids(&server.get("/v1/views/things?select=id&id=lt.3&or=(kind.eq.1,rank.eq.1)").await), [1, 2]);
    assert_eq!(ids(&server.get("/v1/views/things?select=id&and=(kind.eq.1,id.eq.1)").await), [1]);
    server.get("/v1/views/things?select=id&or=(kind.eq.1,rank.eq.1)").await.assert_problem(422, "22000");
    let answer = server.get("/v1/views/things?select=id&or=(kind.eq.1,rank.eq.1)&errors=skip").await;
    assert_eq!((ids(&answer), answer.header("vantage-errors")), (vec![1, 2], "1"));
}

#[tokio::test]
async fn columns_are_renamed_and_cast() {
    let server = Server::start().await;
    for (select, expected) in [
        ("id,title:name", r#"{"id":2,"title":"product 2"}"#),
        ("id::text", r#"{"id":"2"}"#),
        ("cost:price::text,rating::integer", r#"{"cost":"3.00","rating":0}"#),
        ("price::numeric(10,1)", r#"{"price":3.0}"#),
        ("added::date", r#"{"added":"1970-01-03"}"#),
        ("id,id", r#"{"id":2}"#),
        ("%22id%22", r#"{"id":2}"#),
        ("%22a,b%22:id", r#"{"a,b":2}"#),
        ("number:id,*", r#"{"number":2,"id":2,"#),
    ] {
        for path in ["/v1/views/products/2?", "/v1/views/products?id=eq.2&"] {
            let answer = server.get(&format!("{path}select={select}")).await;
            assert_eq!(answer.status, 200, "{select}: {answer:?}");
            assert!(answer.body.trim_start_matches('[').starts_with(expected), "{select}: {}", answer.body);
        }
    }
    let body = json!({ "keys": [2], "select": ["n:id::text"] }).to_string();
    let answer = server.ask("POST", "/v1/views/products/batch", &[], &body).await;
    assert_eq!(answer.body, r#"{"rows":[{"n":"2"}]}"#);
    for (select, status, code) in [
        ("id,id:name", 400, "42701"),
        ("id,id::text", 400, "42701"),
        ("id::nothing", 400, "0A000"),
        ("id::varchar(2)", 400, "0A000"),
        ("id::text)%20FROM%20products%20--", 400, "22023"),
        ("id::text)%20AS%20a,(1", 400, "22023"),
        ("id::text%20AS%20a", 400, "0A000"),
        ("name::integer", 422, "22000"),
        ("count()", 400, "22023"),
        ("stock(quantity)", 400, "22023"),
        (":id", 400, "22023"),
    ] {
        let answer = server.get(&format!("/v1/views/products?limit=1&select={select}")).await;
        answer.assert_problem(status, code);
    }
}

#[tokio::test]
async fn rows_are_passed_over() {
    let server = Server::start().await;
    for order in ["id", "rating", "name", "price.desc", "category,rating.desc"] {
        let path = |rest: &str| format!("/v1/views/products?select=id,name&order={order}{rest}");
        let whole = ids(&server.get(&path("")).await);
        assert_eq!(ids(&server.get(&path("&limit=5&offset=7")).await), whole[7..12], "{order}");
        assert_eq!(ids(&server.get(&path("&offset=39")).await), whole[39..], "{order}");
        assert_eq!(ids(&server.get(&path("&offset=100")).await), [0i64; 0], "{order}");
        // The next page goes on behind the rows of this one.
        let answer = server.get(&path("&limit=5&offset=7")).await;
        let next = answer.header("link").trim_start_matches('<').split('>').next().unwrap().to_string();
        assert_eq!(ids(&server.get(&next).await), whole[12..17], "{order}: {next}");
    }
}

#[tokio::test]
async fn lists_are_answered_in_other_formats() {
    let server = Server::start().await;
    let get = async |query: &str, accept: &str| {
        let path = format!("/v1/views/products?{query}");
        server.get_with(&path, &[("Accept", accept)]).await
    };
    let query = "select=id,name,rating,active&id=in.(2,3,10)";
    let answer = get(query, "application/x-ndjson").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"));
    let lines = "{\"id\":2,\"name\":\"product 2\",\"rating\":0.25,\"active\":true}\n\
                 {\"id\":3,\"name\":\"product 3\",\"rating\":0.375,\"active\":null}\n\
                 {\"id\":10,\"name\":\"product 10\",\"rating\":null,\"active\":true}\n";
    assert_eq!(unchunked(&answer), lines);
    let answer = get(query, "text/csv").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/csv; charset=utf-8"));
    assert_eq!(
        unchunked(&answer),
        "id,name,rating,active\n2,product 2,0.25,true\n3,product 3,0.375,\n10,product 10,,true\n"
    );
    assert_eq!(unchunked(&get("id=eq.99&select=id", "text/csv").await), "id\n");
    // A page of lines is a page.
    let answer = get("select=id&limit=2", "text/csv").await;
    assert_eq!(answer.body, "id\n1\n2\n");
    assert!(answer.header("link").contains("rel=\"next\""), "{answer:?}");
    // Each format has its own tag.
    let json = server.get(&format!("/v1/views/products?{query}")).await;
    assert_ne!(json.header("etag"), get(query, "text/csv").await.header("etag"));
    assert_eq!(json.header("vary"), "accept");
    get(query, "image/png").await.assert_problem(406, "0A000");
    get("limit=1&select=note&id=eq.13", "text/csv").await.assert_problem(422, "22000");
}

/// A table of `count` numbers whose even ones are kept apart by an index of their halves.
async fn numbers(count: i64, options: ServeOptions) -> Server {
    let columns = ["id", "half"].map(|it| Column::new(it, DataType::Int64));
    let numbers = relation(10, "numbers", columns.into(), 1, vec![]);
    let board = board_of(numbers.clone(), &[]);
    let cells = (1..=count).map(|id| [Datum::Int(id), Datum::Int(id / 2)]);
    let rows = cells.flat_map(|cells| rows_of(&numbers, &cells)).collect();
    publish(&board, 2, 18, rows);
    Server::with(options, board).await
}

#[tokio::test]
async fn lines_may_be_more_than_one_answer_has_rows() {
    let options = ServeOptions { max_rows: 100, max_scanned_rows: 50_000, ..ServeOptions::default() };
    let server = numbers(30_000, options).await;
    let lines = async |query: &str| {
        let path = format!("/v1/views/numbers?{query}");
        server.get_with(&path, &[("Accept", "application/x-ndjson")]).await
    };
    let answer = lines("").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = unchunked(&answer);
    let ids: Vec<i64> =
        body.lines().map(|it| serde_json::from_str::<serde_json::Value>(it).unwrap()["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=30_000).collect::<Vec<i64>>());
    assert_eq!(unchunked(&lines("limit=20000&offset=5&order=id.desc").await).lines().count(), 20_000);
    assert_eq!(unchunked(&lines("id=gt.29990").await).lines().count(), 10);
    // What would have to be sorted first is bounded.
    lines("order=half").await.assert_problem(422, "54000");
    assert_eq!(unchunked(&lines("order=half.desc&id=lt.50").await).lines().count(), 49);
    lines("errors=skip").await.assert_problem(400, "22023");
    server.get("/v1/views/numbers?limit=1000").await.assert_problem(400, "22023");
}

#[tokio::test]
async fn statements_are_answered_in_other_formats() {
    let options = ServeOptions { max_rows: 100, ..ServeOptions::default() };
    let server = numbers(30_000, options).await;
    let ask = async |sql: &str, accept: &str| {
        server.ask("POST", "/v1/sql", &[("Accept", accept)], &json!({ "sql": sql }).to_string()).await
    };
    for sql in ["SELECT id, half AS h FROM numbers WHERE id = 3", "SELECT id, half AS h FROM numbers WHERE id + 0 = 3"]
    {
        let answer = ask(sql, "application/x-ndjson").await;
        assert_eq!(answer.header("content-type"), "application/x-ndjson", "{answer:?}");
        assert_eq!(unchunked(&answer), "{\"id\":3,\"h\":1}\n", "{sql}");
        assert_eq!(unchunked(&ask(sql, "text/csv").await), "id,h\n3,1\n", "{sql}");
        assert!(ask(sql, "application/json").await.body.contains("\"rows\":[[3,1]],\"epoch\""), "{sql}");
    }
    assert_eq!(
        unchunked(&ask("SELECT NULL, '', 'a,b', ARRAY[1, 2]", "text/csv").await).lines().nth(1),
        Some(",\"\",\"a,b\",\"[1,2]\"")
    );
    let all = unchunked(&ask("SELECT id FROM numbers ORDER BY half DESC, id", "text/csv").await);
    assert_eq!((all.lines().count(), all.lines().nth(1)), (30_001, Some("30000")));
    ask("SELECT id FROM numbers", "application/json").await.assert_problem(422, "54000");
    ask("SELECT id, id FROM numbers", "application/x-ndjson").await.assert_problem(400, "42701");
    ask("SELECT 1", "image/png").await.assert_problem(406, "0A000");
    ask("SELECT 1 / (id - id) FROM numbers", "text/csv").await.assert_problem(422, "22012");
}

fn unchunked(answer: &Answer) -> String {
    if answer.header("transfer-encoding") != "chunked" {
        return answer.body.clone();
    }
    let (mut rest, mut body) = (answer.body.as_str(), String::new());
    loop {
        let (size, after) = rest.split_once("\r\n").expect("a chunk's size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return body;
        }
        body += &after[..size];
        rest = &after[size + 2..];
    }
}

#[tokio::test]
async fn plain_views_are_read_by_sql() {
    let view = |name: &str, columns: &[&str], query: &str| View {
        name: name.into(),
        columns: columns.iter().map(|it| (*it).into()).collect(),
        query: query.into(),
        doc: format!("The {name}."),
        ..View::default()
    };
    let board = shop(1);
    board.set_plain_views(vec![
        view("cheap", &["number"], "SELECT id, name, price FROM products WHERE price < 6"),
        view("counted", &[], "SELECT count(*), max(number) AS highest FROM cheap"),
        view("odd", &[], "WITH products AS (SELECT 1 AS id) SELECT id FROM products"),
        view("wrong", &[], "SELECT repeat(name, 2) FROM products"),
    ]);
    let server = Server::with(ServeOptions::default(), board).await;
    assert_eq!(
        server.rows("SELECT * FROM cheap ORDER BY number").await,
        r#"[[2,"product 2",3.00],[3,"product 3",4.50]]"#
    );
    assert_eq!(server.rows("SELECT count, highest FROM counted").await, "[[2,3]]");
    assert_eq!(
        server.rows("SELECT c.name FROM cheap c JOIN stock s ON s.product = c.number").await,
        r#"[["product 2"],["product 2"]]"#
    );
    // Neither sees the other's names.
    assert_eq!(server.rows("WITH products AS (SELECT 9 AS id) SELECT number FROM cheap, products").await, "[[2],[3]]");
    assert_eq!(server.rows("SELECT * FROM odd").await, "[[1]]");
    assert_eq!(server.rows("WITH cheap AS (SELECT 7 AS x) SELECT * FROM cheap").await, "[[7]]");
    let wrong = server.sql("SELECT * FROM wrong", json!([])).await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    assert!(wrong.body.contains("view \\\"wrong\\\" cannot be read"), "{wrong:?}");
    server.get("/v1/views/cheap").await.assert_problem(400, "0A000");
    server.get("/v1/views/cheap/1").await.assert_problem(400, "0A000");
    let listed = server.get("/v1/views").await.json();
    let cheap = listed.as_array().unwrap().iter().find(|it| it["name"] == "cheap").unwrap().clone();
    assert_eq!((&cheap["kind"], &cheap["doc"]), (&json!("plain view"), &json!("The cheap.")));
    assert_eq!(server.get("/v1/schema/cheap").await.json()["query"], cheap["query"]);
    // What it reads has to be complete.
    let board = &server.board;
    board.set_plain_views(vec![view("grown", &[], "SELECT id FROM growing")]);
    let relations = board.relations();
    board.set_relations(relations.iter().map(|(it, state)| (it.clone(), state.read().unwrap().clone())).collect());
    server.sql("SELECT * FROM grown", json!([])).await.assert_problem(503, "57P03");
}

#[tokio::test]
async fn rows_are_compared_in_sql() {
    let server = Server::start().await;
    for (condition, expected) in [
        ("(category, id) > (3, 30)", "[[31],[35],[39]]"),
        ("(category, id) >= (3, 35)", "[[35],[39]]"),
        ("(category, id) < (0, 9)", "[[4],[8]]"),
        ("ROW(category, id) = ROW(1, 5)", "[[5]]"),
        ("(category, id) IN ((1, 5), (2, 6), (1, 6))", "[[5],[6]]"),
        ("(category, id) BETWEEN (3, 35) AND (3, 100)", "[[35],[39]]"),
        ("(rating, id) IS NULL AND id < 0", "[]"),
        ("NOT (rating, id) IS NOT NULL", "[[10],[20],[30],[40]]"),
        ("(rating, id) > (4.9, 0)", "[]"),
        ("(id, rating) = (10, 1)", "[]"),
        ("(id, rating) <> (10, 1) AND id = 10", "[]"),
        ("(id, rating) <> (11, 1) AND id = 10", "[[10]]"),
        ("(id, rating) IS DISTINCT FROM (10, NULL) AND id < 11 AND id > 8", "[[9]]"),
    ] {
        let rows = server.rows(&format!("SELECT id FROM products WHERE {condition} ORDER BY id")).await;
        assert_eq!(rows, expected, "{condition}");
    }
}
