//! Rows by key and by filters.

use serde_json::{Value as Json, json};

use super::fixture::{Answer, Server, board_of, publish, publish_at, published_rows, relation, shop};
use crate::catalog::ServedIndex;
use crate::change::{Column, DataType, Datum, KeyColumn, RelationId};
use crate::serve::ServeOptions;

fn ids(answer: &Answer) -> Vec<i64> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_array().unwrap().iter().map(|it| it["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_row_by_key_says_where_it_is_from() {
    let server = Server::start().await;
    let answer = server.get("/v1/views/products/1").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = r#"{"id":1,"name":"product 1","category":1,"price":123456789012345678.90,"rating":0.125,"added":"1970-01-02T00:00:00","active":false,"note":null}"#;
    assert_eq!(answer.body, expected);
    assert_eq!(answer.header("vantage-epoch"), "1-1");
    assert_eq!(answer.header("vantage-positions"), "catalog@17");
    assert!(answer.header("vantage-lag-ms").parse::<u64>().is_ok());
    assert_eq!(answer.header("cache-control"), "no-cache");
    let some = server.get("/v1/views/products/2?select=name,id").await;
    assert_eq!(some.body, r#"{"name":"product 2","id":2}"#);
}

#[tokio::test]
async fn composite_keys_take_any_text() {
    let server = Server::start().await;
    for (key, quantity) in [
        ("1,a%2Cb%2Fc", "9223372036854775807"),
        ("1,%C3%A9%20%C3%BC", "9007199254740993"),
        ("2,", "-1"),
        ("2,north", "7"),
    ] {
        let answer = server.get(&format!("/v1/views/stock/{key}?select=quantity")).await;
        assert_eq!(answer.body, format!("{{\"quantity\":{quantity}}}"), "{key}");
    }
}

#[tokio::test]
async fn wrong_keys_are_told_apart() {
    let server = Server::start().await;
    for (path, status, code) in [
        ("/v1/views/products/99", 404, "02000"),
        ("/v1/views/products/x", 400, "22P02"),
        ("/v1/views/products/1,2", 400, "22P02"),
        ("/v1/views/products/9223372036854775808", 400, "22P02"),
        ("/v1/views/products/%ff", 400, "22P02"),
        ("/v1/views/products/%zz", 400, "22P02"),
        ("/v1/views/products/", 400, "22P02"),
        ("/v1/views/stock/1", 400, "22P02"),
        ("/v1/views/nothing/1", 404, "42P01"),
        ("/v1/views/%ff/1", 400, "22023"),
        ("/v1/views/products/1?select=nope", 400, "42703"),
        ("/v1/views/products/1?id=eq.1", 400, "22023"),
        ("/v1/views/products/1/2", 404, "42P01"),
        ("/v1/views/growing/1", 503, "57P03"),
        ("/v1/views/broken/1", 409, "55000"),
        ("/v1/schema/nothing", 404, "42P01"),
        ("/nowhere", 404, "42P01"),
    ] {
        server.get(path).await.assert_problem(status, code);
    }
    server.ask("DELETE", "/v1/views/products/1", &[], "").await.assert_problem(405, "25006");
    server.ask("PUT", "/v1/views/products", &[], "").await.assert_problem(405, "25006");
    server.get("/v1/sql").await.assert_problem(405, "25006");
}

#[tokio::test]
async fn an_error_cell_costs_only_what_needs_it() {
    let server = Server::start().await;
    let answer = server.get("/v1/views/products/13").await;
    answer.assert_problem(422, "22000");
    let detail = answer.json()["detail"].as_str().unwrap().to_string();
    assert!(detail.contains("note") && detail.contains("13") && detail.contains("division by zero"), "{detail}");
    assert_eq!(server.get("/v1/views/products/13?select=id,name").await.status, 200);
    assert_eq!(server.get("/v1/views/products/14").await.status, 200);
    server.get("/v1/views/products?category=eq.1").await.assert_problem(422, "22000");
    server.get("/v1/views/products?note=is.null&select=id").await.assert_problem(422, "22000");
    server.get("/v1/views/products?category=eq.1&errors=fail").await.assert_problem(422, "22000");
    server.get("/v1/views/products?errors=null").await.assert_problem(400, "22023");
    for (query, rows, skipped) in [
        ("category=eq.1&errors=skip", 9, "1"),
        ("category=eq.1&errors=skip&order=name", 9, "1"),
        ("note=is.null&select=id&errors=skip", 39, "1"),
        ("order=note,id&select=id&errors=skip", 39, "1"),
        ("category=eq.1&select=id&errors=skip", 10, "0"),
    ] {
        let answer = server.get(&format!("/v1/views/products?{query}")).await;
        assert_eq!((answer.status, answer.header("vantage-errors")), (200, skipped), "{query}: {answer:?}");
        assert_eq!(answer.json().as_array().unwrap().len(), rows, "{query}");
    }
    assert_eq!(server.get("/v1/views/products?category=eq.1&select=id").await.status, 200);
    server.sql("SELECT note FROM products", json!([])).await.assert_problem(422, "22000");
    server.sql("SELECT id FROM products WHERE note = 'x'", json!([])).await.assert_problem(422, "22000");
    server.sql("SELECT note FROM products WHERE id = 13", json!([])).await.assert_problem(422, "22000");
    assert_eq!(server.rows("SELECT count(*) FROM products").await, "[[40]]");
}

#[tokio::test]
async fn a_row_tag_moves_with_the_row_only() {
    let server = Server::start().await;
    let first = server.get("/v1/views/products/2").await;
    let tag = first.header("etag").to_string();
    assert!(tag.starts_with('"'), "{tag}");
    let again = server.get_with("/v1/views/products/2", &[("If-None-Match", &tag)]).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(again.header("etag"), tag);
    publish(&server.board, 2, 18, published_rows(&server.board));
    let later = server.get_with("/v1/views/products/2", &[("If-None-Match", &format!("\"x\", W/{tag}"))]).await;
    assert_eq!((later.status, later.header("vantage-epoch")), (304, "1-2"));
    assert_ne!(server.get("/v1/views/products/3").await.header("etag"), tag);
    let list = server.get("/v1/views/products?select=id").await;
    let tag = list.header("etag").to_string();
    assert!(tag.starts_with("W/\"1-2-"), "{tag}");
    assert_eq!(server.get_with("/v1/views/products?select=id", &[("If-None-Match", &tag)]).await.status, 304);
    publish(&server.board, 3, 18, published_rows(&server.board));
    assert_eq!(server.get_with("/v1/views/products?select=id", &[("If-None-Match", &tag)]).await.status, 200);
}

#[tokio::test]
async fn a_list_tag_is_of_its_shape() {
    let tag = async |options: ServeOptions, name: &str, indexed: usize| {
        let columns = ["id", name, "other"].map(|it| Column::new(it, DataType::Int64));
        let key = vec![KeyColumn::ascending(indexed)];
        let index = ServedIndex { name: "by_it".into(), id: RelationId(11), key, include: vec![] };
        let board = board_of(relation(10, "things", columns.into(), 1, vec![index]), &[]);
        let server = Server::with(options, board).await;
        server.get("/v1/views/things?order=id").await.header("etag").to_string()
    };
    let options = ServeOptions::default;
    let first = tag(options(), "a", 1).await;
    assert_eq!(tag(options(), "a", 1).await, first);
    for other in [
        tag(ServeOptions { default_limit: 7, ..options() }, "a", 1).await,
        tag(ServeOptions { max_rows: 7, ..options() }, "a", 1).await,
        tag(options(), "b", 1).await,
        tag(options(), "a", 2).await,
    ] {
        assert_ne!(other, first);
    }
}

#[tokio::test]
async fn any_name_of_an_index_fits_into_a_header() {
    let columns = ["id", "size"].map(|it| Column::new(it, DataType::Int64));
    let key = vec![KeyColumn::ascending(1)];
    let index = ServedIndex { name: "größe, é".into(), id: RelationId(11), key, include: vec![] };
    let board = board_of(relation(10, "things", columns.into(), 1, vec![index]), &[&[Datum::Int(1), Datum::Int(2)]]);
    let server = Server::with(ServeOptions::default(), board).await;
    let answer = server.get("/v1/views/things?size=eq.2").await;
    assert_eq!((ids(&answer), answer.header("vantage-access")), (vec![1], "index gr%C3%B6%C3%9Fe%2C%20%C3%A9"));
}

#[tokio::test]
async fn ranges_without_rows_count_as_work() {
    let server = Server::with(ServeOptions { max_scanned_rows: 100, ..Default::default() }, shop(1)).await;
    let none: Vec<String> = (1000..1200).map(|it| it.to_string()).collect();
    let path = |column: &str, count: usize| format!("/v1/views/products?{column}=in.({})", none[..count].join(","));
    assert_eq!(server.get(&path("category", 90)).await.body, "[]");
    server.get(&path("category", 200)).await.assert_problem(422, "54000");
    assert_eq!(server.get(&path("id", 90)).await.body, "[]");
    server.get(&path("id", 200)).await.assert_problem(422, "54000");
    let some =
        format!("/v1/views/products?select=id&id=in.({},7,{},3)&limit=2", none[..40].join(","), none[40..90].join(","));
    assert_eq!(ids(&server.get(&some).await), [3, 7]);
}

#[tokio::test]
async fn heads_are_answers_without_their_bodies() {
    let server = Server::start().await;
    let whole = server.get("/v1/views/products/1").await;
    let head = server.ask("HEAD", "/v1/views/products/1", &[], "").await;
    assert_eq!((head.status, head.body.as_str(), head.header("etag")), (200, "", whole.header("etag")));
    assert_eq!(head.header("content-length"), whole.body.len().to_string());
}

#[tokio::test]
async fn problems_name_the_epoch_that_was_read() {
    let server = Server::start().await;
    publish_at(&server.board, 2, &[("catalog", 18), ("pricing", 4)], published_rows(&server.board));
    let batch = json!({ "keys": ["x"] }).to_string();
    let sql = json!({ "sql": "SELECT note FROM products" }).to_string();
    for (method, path, body, status) in [
        ("GET", "/v1/views/products/1", "", 200),
        ("GET", "/v1/views/products/99", "", 404),
        ("GET", "/v1/views/products/13", "", 422),
        ("GET", "/v1/views/products", "", 422),
        ("GET", "/v1/views/products?limit=x", "", 400),
        ("POST", "/v1/views/products/batch", &batch, 400),
        ("POST", "/v1/sql", &sql, 422),
    ] {
        let answer = server.ask(method, path, &[], body).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        // Products depend on the first source only.
        let from = (answer.header("vantage-epoch"), answer.header("vantage-positions"));
        assert_eq!(from, ("1-2", "catalog@18"), "{path}");
    }
    let unknown = server.get("/v1/views/nothing/1").await;
    assert_eq!(unknown.header("vantage-positions"), "catalog@18,pricing@4");
}

#[tokio::test]
async fn filters_and_orders_give_the_same_rows_by_every_path() {
    let server = Server::start().await;
    for (query, access, expected) in [
        ("id=eq.7", "key", vec![7]),
        ("id=in.(9,3,3,99)", "key", vec![3, 9]),
        ("id=gt.37", "key", vec![38, 39, 40]),
        ("id=gte.2&id=lt.4", "key", vec![2, 3]),
        ("order=id.desc&limit=3", "scan", vec![40, 39, 38]),
        ("category=eq.3&order=rating.desc.nullslast&limit=2", "index by_category sort", vec![39, 35]),
        ("category=eq.2&order=rating.desc&limit=3", "index by_category", vec![10, 30, 38]),
        ("category=eq.2&order=rating.asc&limit=3", "index by_category", vec![2, 6, 14]),
        ("category=eq.2&rating=gt.4&rating=lte.4.75", "index by_category", vec![38, 34]),
        ("category=eq.2&rating=is.null", "index by_category", vec![10, 30]),
        ("category=in.(1,2)&rating=gte.4.5", "index by_category", vec![37, 38]),
        ("price=lt.6.00", "index by_price", vec![2, 3]),
        ("price=not.is.null&limit=2", "index by_price", vec![2, 3]),
        ("category=eq.2&rating=is.not_null&limit=2", "index by_category", vec![38, 34]),
        ("id=is.not_null&limit=2", "scan", vec![1, 2]),
        ("price=gte.60&order=price.desc", "index by_price", vec![1, 40]),
        ("name=like.*3", "scan", vec![3, 13, 23, 33]),
        ("name=ilike.PRODUCT%201_&limit=2", "scan", vec![10, 11]),
        ("name=not.like.*t*&limit=2", "scan", vec![]),
        ("active=is.true&id=lt.9", "key", vec![2, 4, 8]),
        ("active=is.null&id=lt.9", "key", vec![3, 6]),
        ("active=not.is.null&id=lt.4", "key", vec![1, 2]),
        ("active=is.not_null&id=lt.4", "key", vec![1, 2]),
        ("id=neq.1&id=lt.4", "key", vec![2, 3]),
        ("id=not.in.(1,2)&id=lt.5", "key", vec![3, 4]),
        ("added=eq.1970-01-06T00:00:00", "scan", vec![5]),
        ("name=eq.product%205&order=rating", "scan sort", vec![5]),
        ("id=in.()", "key", vec![]),
        ("limit=0", "scan", vec![]),
    ] {
        let answer = server.get(&format!("/v1/views/products?select=id&{query}")).await;
        assert_eq!(ids(&answer), expected, "{query}");
        assert_eq!(answer.header("vantage-access"), access, "{query}");
    }
}

#[tokio::test]
async fn a_wrong_order_is_named() {
    let server = Server::start().await;
    for (order, named) in [("price.down", "down"), ("price.nullslast.desc", "nullslast"), ("price.desc.asc", "desc")] {
        let answer = server.get(&format!("/v1/views/products?order={order}")).await;
        answer.assert_problem(400, "22023");
        assert!(answer.json()["detail"].as_str().unwrap().contains(&format!("\"{named}\" cannot")), "{answer:?}");
    }
    server.get("/v1/views/products?order=nothing.desc").await.assert_problem(400, "42703");
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let server = Server::start().await;
    for (order, access) in [
        ("", "scan"),
        ("order=id.desc&", "scan"),
        ("order=rating.desc&", "scan sort"),
        ("order=rating.asc.nullsfirst,name.desc&", "scan sort"),
        ("order=category.asc,rating.desc&", "index by_category"),
        ("order=category.desc,rating.asc&", "index by_category"),
        ("order=price&", "index by_price"),
        ("category=in.(0,2,3)&", "index by_category"),
        ("id=in.(1,2,3,4,5,6,7,8,9,10,11)&", "key"),
    ] {
        let whole = ids(&server.get(&format!("/v1/views/products?{order}select=id,price&limit=1000")).await);
        let mut path = format!("/v1/views/products?{order}select=id,price&limit=7");
        let mut paged = Vec::new();
        for _ in 0..20 {
            let answer = server.get(&path).await;
            assert!(answer.header("vantage-access").starts_with(access.trim_end_matches("key")), "{order}: {answer:?}");
            paged.extend(ids(&answer));
            let link = answer.header("link");
            if link.is_empty() {
                break;
            }
            path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_string();
        }
        assert_eq!(paged, whole, "{order}");
        assert!(whole.len() > 10, "{order}");
    }
}

#[tokio::test]
async fn bad_lists_are_refused() {
    let server = Server::start().await;
    for (query, code) in [
        ("nope=eq.1", "42703"),
        ("id=1", "22P02"),
        ("id=eq.x", "22P02"),
        ("id=eq.", "22P02"),
        ("id=eq.1.5", "22P02"),
        ("id=foo.1", "22P02"),
        ("id=like.1", "22P02"),
        ("id=is.true", "22P02"),
        ("id=is.maybe", "22P02"),
        ("id=in.1,2", "22P02"),
        ("id=in.(1,x)", "22P02"),
        ("name=in.(%22a", "22P02"),
        ("name=in.(%22a%22b)", "22P02"),
        ("id=not.not.eq.1", "22P02"),
        ("price=eq.1.005", "22P02"),
        ("added=gt.yesterday", "22P02"),
        ("order=nope", "42703"),
        ("order=id.sideways", "22023"),
        ("select=", "42703"),
        ("select=id,nope", "42703"),
        ("limit=x", "22023"),
        ("limit=-1", "22023"),
        ("limit=1000000", "22023"),
        ("cursor=zz", "22023"),
        ("cursor=00", "22023"),
        ("cursor=000000000000000000", "22023"),
        ("id=eq.%ff", "22023"),
    ] {
        let answer = server.get(&format!("/v1/views/products?{query}")).await;
        answer.assert_problem(400, code);
    }
    let many: String = (0..100).map(|it| format!("id=eq.{it}&")).collect();
    server.get(&format!("/v1/views/products?{many}")).await.assert_problem(400, "22023");
}

#[tokio::test]
async fn many_keys_in_one_call() {
    let server = Server::start().await;
    let ask = |view: &str, body: Json| {
        let path = format!("/v1/views/{view}/batch");
        let (server, body) = (&server, body.to_string());
        async move { server.ask("POST", &path, &[], &body).await }
    };
    let answer = ask("products", json!({ "keys": [2, 99, [3], "4"], "select": ["id"] })).await;
    assert_eq!(answer.body, r#"{"rows":[{"id":2},null,{"id":3},{"id":4}]}"#);
    let answer = ask("stock", json!({ "keys": [[2, "north"], [1, "a,b/c"]], "select": ["quantity"] })).await;
    assert_eq!(answer.body, r#"{"rows":[{"quantity":7},{"quantity":9223372036854775807}]}"#);
    let answer = ask("products", json!({ "keys": [12, 13, 14] })).await;
    let json = answer.json();
    assert_eq!((answer.status, &json["rows"][1], &json["problems"][0]["row"]), (200, &Json::Null, &json!(1)));
    assert_eq!(json["problems"][0]["problem"]["code"], "22000");
    assert_eq!(json["rows"][2]["id"], 14);
    for body in [json!({}), json!([]), json!({ "keys": 1 }), json!({ "keys": [], "x": 1 })] {
        ask("products", body).await.assert_problem(400, "22023");
    }
    for body in
        [json!({ "keys": ["x"] }), json!({ "keys": [[1, 2]] }), json!({ "keys": [{}] }), json!({ "keys": [1.5] })]
    {
        ask("products", body).await.assert_problem(400, "22P02");
    }
    ask("nothing", json!({ "keys": [] })).await.assert_problem(404, "42P01");
    // Many are looked up in parts.
    let many: Vec<i64> = (0..1000).map(|it| it % 41).collect();
    let rows = ask("products", json!({ "keys": many, "select": ["id"] })).await.json()["rows"].clone();
    let expected: Vec<Json> = many.iter().map(|it| if *it == 0 { Json::Null } else { json!({ "id": it }) }).collect();
    assert_eq!(rows, Json::from(expected));
}
