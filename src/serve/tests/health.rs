//! Probes, metrics, admission, waiting and shutdown.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::fixture::{Server, publish, read_answer, shop};
use crate::change::{Details, Excerpt, Notation, Part, Place, Position, Rejected, Rejections, SourceHealth};
use crate::serve::{ServeError, ServeOptions};
use crate::store::{Board, Epoch, RelationState};

#[tokio::test]
async fn readiness_names_every_reason() {
    let server = Server::start().await;
    assert_eq!(server.get("/livez").await.status, 200);
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("growing is being built: 5 of 9 rows") && answer.body.contains("no such luck"));
    let relations = server.board.relations();
    let live = relations.iter().take(2).map(|(it, _)| (it.clone(), RelationState::Live)).collect();
    server.board.set_relations(live);
    assert_eq!(server.get("/readyz").await.status, 200);
    assert_eq!(server.get("/v1/views/growing/1").await.status, 404);
    let next = Instant::now() + Duration::from_secs(60);
    *server.board.sources()[1].health.write().unwrap() =
        SourceHealth::Retrying { reason: "locked".into(), attempts: 4, next };
    let status = server.get("/v1/sources").await.json()[1]["status"].clone();
    assert_eq!(
        (&status["state"], &status["reason"], &status["attempts"]),
        (&json!("retrying"), &json!("locked"), &json!(4))
    );
    assert!((1..=60_000).contains(&status["retry_in_ms"].as_u64().unwrap()), "{status}");
    assert!(
        server
            .get("/readyz")
            .await
            .body
            .contains("source pricing is waited for, and asked again from time to time: locked")
    );
    *server.board.sources()[1].health.write().unwrap() = SourceHealth::Streaming;
    server.board.halt("disk full".into());
    assert!(server.get("/readyz").await.body.contains("intake stopped: disk full"));
}

#[tokio::test]
async fn a_view_that_is_behind_more_than_declared_is_stale() {
    let server = Server::start().await;
    let relations = server.board.relations();
    let mut products = relations[0].0.clone();
    products.freshness = Some(Duration::from_secs(60));
    let stock = relations[1].0.clone();
    server.board.set_relations(vec![(products, RelationState::Live), (stock, RelationState::Live)]);
    let set_lag = |lag: Duration| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        server.board.sources()[0].current_until_us.store((now - lag).as_micros() as u64, Ordering::Release);
    };
    set_lag(Duration::from_secs(1));
    assert_eq!(server.get("/readyz").await.status, 200);
    let read = server.get("/v1/views/products/1").await;
    assert_eq!((read.status, read.header("vantage-stale")), (200, ""));
    assert_eq!(server.get("/v1/schema/products").await.json()["freshness_ms"], json!(60_000));

    set_lag(Duration::from_secs(90));
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("products is stale: it is 90") && ready.body.contains("60s"), "{}", ready.body);
    assert_eq!(server.get("/readyz?views=stock").await.status, 200);
    assert_eq!(server.get("/v1/schema/products").await.json()["status"]["state"], "stale");
    assert!(server.get("/metrics").await.body.contains("vantage_relation_state{name=\"products\",state=\"stale\"} 1"));
    let read = server.get("/v1/views/products/1").await;
    assert!(read.status == 200 && read.header("vantage-stale").contains("\"products\" is stale"), "{:?}", read.body);
    let read = server.get("/v1/views/stock?limit=1").await;
    assert_eq!((read.status, read.header("vantage-stale")), (200, ""));
    set_lag(Duration::ZERO);
    assert_eq!(server.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn views_are_described() {
    let server = Server::start().await;
    let all = server.get("/v1/views").await.json();
    assert_eq!(all.as_array().unwrap().len(), 4);
    let one = server.get("/v1/schema/products").await.json();
    assert_eq!(one["columns"], all[0]["columns"]);
    assert_eq!(one["key"], json!(["id"]));
    assert_eq!(one["columns"][3], json!({ "name": "price", "type": "numeric(20,2)", "nullable": true }));
    assert_eq!(
        one["indexes"][0],
        json!({ "name": "by_category", "columns": ["category", "rating.desc"], "include": [] })
    );
    assert_eq!(one["status"], json!({ "state": "live" }));
    assert_eq!(one["sources"], json!(["catalog"]));
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let server = Server::start().await;
    server.get("/v1/views/products/1").await;
    server.get("/v1/views/products/99").await;
    server.sql("SELECT 1", json!([])).await;
    server.sql("SELECT 1", json!([])).await;
    let text = server.get("/metrics").await.body;
    for line in [
        "vantage_http_requests_total{route=\"/v1/views/{view}/{key}\",status=\"200\"} 1",
        "vantage_http_requests_total{route=\"/v1/views/{view}/{key}\",status=\"404\"} 1",
        "vantage_http_request_duration_seconds_count{route=\"/v1/views/{view}/{key}\"} 2",
        "vantage_http_request_duration_seconds_bucket{le=\"+Inf\",route=\"/v1/views/{view}/{key}\"} 2",
        "# TYPE vantage_http_request_duration_seconds histogram",
        "vantage_sql_plans_reused_total 1",
        "vantage_sql_plans_made_total 1",
        "vantage_epoch 1",
        "vantage_source_state{name=\"catalog\",state=\"streaming\"} 1",
        "vantage_relation_state{name=\"growing\",state=\"building\"} 1",
        "process_resident_memory_bytes ",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_token_guards_everything_but_probes() {
    let options = ServeOptions { token: Some("s3cret".into()), ..ServeOptions::default() };
    let server = Server::with(options, shop(1)).await;
    for path in ["/v1/views", "/v1/views/products/1", "/metrics", "/nowhere"] {
        server.get(path).await.assert_problem(401, "28000");
        let refused = server.get(path).await;
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
        let told = ["vantage-positions", "vantage-epoch", "vantage-lag-ms"].map(|it| refused.header(it).to_string());
        assert_eq!(told, ["", "", ""]);
        for wrong in ["Bearer s3creu", "Bearer s3cre", "Bearer ", "Basic s3cret", "s3cret"] {
            server.get_with(path, &[("Authorization", wrong)]).await.assert_problem(401, "28000");
        }
    }
    assert_eq!(server.get_with("/v1/views", &[("Authorization", "bearer s3cret")]).await.status, 200);
    // Who asks only whether it lives learns nothing of what there is.
    for (path, body) in [("/livez", r#"{"status":"ok"}"#), ("/readyz", r#"{"status":"not ready"}"#)] {
        let answer = server.get(path).await;
        let told = ["vantage-positions", "vantage-epoch", "vantage-lag-ms"].map(|it| answer.header(it).to_string());
        assert_eq!((answer.body.as_str(), told), (body, ["", "", ""].map(String::from)));
    }
    let answer = server.get_with("/readyz", &[("Authorization", "Bearer s3cret")]).await;
    assert!(answer.body.contains("growing is being built") && answer.header("vantage-epoch") == "1-1", "{answer:?}");
}

#[tokio::test]
async fn an_open_door_is_refused() {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let ended = crate::serve::serve(listener, shop(1), ServeOptions::default(), async {}).await;
    assert!(matches!(ended, Err(ServeError::Exposed(_))), "{ended:?}");
}

#[tokio::test]
async fn a_read_waits_for_what_was_written() {
    let server = Server::start().await;
    let now = server.get_with("/v1/views/products/1", &[("Vantage-After", "catalog@17")]).await;
    assert_eq!(now.status, 200);
    let late = [("Vantage-After", "catalog@19"), ("Vantage-Timeout-Ms", "20")];
    let answer = server.get_with("/v1/views/products/1", &late).await;
    answer.assert_problem(503, "57P03");
    assert!(answer.body.contains("catalog is at 17, not yet at 19"), "{}", answer.body);
    let unread = [("Vantage-After", "catalog@1, pricing@1"), ("Vantage-Timeout-Ms", "0")];
    let answer = server.get_with("/v1/views/products", &unread).await;
    assert!(answer.body.contains("pricing has not been read yet"), "{}", answer.body);
    let board = std::sync::Arc::clone(&server.board);
    let waiting = async {
        let headers = [("Vantage-After", "catalog@19"), ("Vantage-Timeout-Ms", "60000")];
        server.get_with("/v1/views/stock?select=place", &headers).await
    };
    let writing = async {
        for (number, position) in [(2, 18), (3, 19)] {
            tokio::time::sleep(Duration::from_millis(5)).await;
            publish(&board, number, position, Vec::new());
        }
    };
    let (answer, ()) = tokio::join!(waiting, writing);
    assert_eq!((answer.status, answer.header("vantage-positions")), (200, "catalog@19"));
    for bad in ["nowhere@1", "catalog", "catalog@x", "catalog@-1", "", "catalog@1,,"] {
        server.get_with("/v1/views/products/1", &[("Vantage-After", bad)]).await.assert_problem(400, "22023");
    }
    let bad = [("Vantage-After", "catalog@1"), ("Vantage-Timeout-Ms", "soon")];
    server.get_with("/v1/views/products/1", &bad).await.assert_problem(400, "22023");
}

#[tokio::test]
async fn sources_are_told_with_positions_and_reasons() {
    let server = Server::start().await;
    *server.board.sources()[1].health.write().unwrap() = SourceHealth::Halted { reason: "no such luck".into() };
    let answer = server.get("/v1/sources").await;
    let sources: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&sources[0]["name"], &sources[0]["positions"]), (&json!("catalog"), &json!(["catalog@17"])));
    assert_eq!(sources[1]["status"], json!({ "state": "halted", "reason": "no such luck" }));
    assert_eq!((&sources[1]["positions"], &sources[1]["events"]), (&json!([]), &json!(0)));
    server.ask("POST", "/v1/sources", &[], "{}").await.assert_problem(405, "25006");
}

#[tokio::test]
async fn copies_are_asked_for_by_who_shows_the_token_and_says_what_it_sends() {
    let token = ServeOptions { token: Some("secret".into()), ..ServeOptions::default() };
    let server = Server::with(token, shop(1)).await;
    let path = "/v1/sources/catalog/resync";
    let (bearer, json_body) = (("Authorization", "Bearer secret"), ("Content-Type", "application/json"));
    let asked = || server.board.sources()[0].take_resync().into_iter().collect::<Vec<_>>();
    server.ask("POST", path, &[json_body], "{}").await.assert_problem(401, "28000");
    server.ask("POST", path, &[bearer], "{}").await.assert_problem(415, "22023");
    server.ask("GET", path, &[bearer], "").await.assert_problem(405, "25006");
    server.ask("POST", path, &[bearer, json_body], "{\"table\": \"nothing\"}").await.assert_problem(404, "42P01");
    server.ask("POST", path, &[bearer, json_body], "{\"tabel\": \"x\"}").await.assert_problem(400, "22023");
    let other = "/v1/sources/nothing/resync";
    server.ask("POST", other, &[bearer, json_body], "{}").await.assert_problem(404, "42704");
    assert_eq!(asked(), Vec::<String>::new());
    let answer = server.ask("POST", path, &[bearer, json_body], "{}").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["source"], "catalog");
}

#[tokio::test]
async fn parts_are_told_with_what_their_source_says_of_them() {
    let server = Server::start().await;
    let part = Part {
        state: "streaming".into(),
        numbers: [("end", 40), ("behind", 23)].into(),
        words: [("wal_status", "reserved".to_string())].into(),
    };
    let parts = [(String::new(), part.clone()), ("9".to_string(), Part { state: "halted".into(), ..part })];
    let warnings = [("slot", "it fills the disk".to_string())];
    server.board.sources()[0].set_details(Details { parts: parts.into(), warnings: warnings.into() });
    let sources = server.get("/v1/sources").await.json();
    let expected = json!([
        {"part": "", "position": "catalog@17", "state": "streaming", "end": 40, "behind": 23, "wal_status": "reserved"},
        {"part": "9", "position": null, "state": "halted", "end": 40, "behind": 23, "wal_status": "reserved"},
    ]);
    assert_eq!(sources[0]["parts"], expected);
    assert_eq!(sources[0]["warnings"], json!({ "slot": "it fills the disk" }));
    let metrics = server.get("/metrics").await.body;
    for line in [
        "vantage_source_part{source=\"catalog\",part=\"\",figure=\"behind\"} 23",
        "vantage_source_part{source=\"catalog\",part=\"\",figure=\"position\"} 17",
        "vantage_source_warnings{source=\"catalog\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn messages_that_were_left_out_are_shown_to_who_may_see_rows() {
    let token = ServeOptions { token: Some("secret".into()), ..ServeOptions::default() };
    let server = Server::with(token, shop(1)).await;
    let bearer = [("Authorization", "Bearer secret")];
    let path = "/v1/sources/catalog/rejected";
    server.get(path).await.assert_problem(401, "28000");
    assert_eq!(server.get_with(path, &bearer).await.json(), json!([]));
    let mut rejections = Rejections::default();
    rejections.add(Rejected {
        topic: "orders".into(),
        partition: 3,
        offset: 17,
        reason: "no JSON".into(),
        key: Some(Excerpt::of(&[0xff, 0])),
        value: Some(Excerpt::of("é".repeat(1000).as_bytes())),
    });
    server.board.sources()[0].reject("orders", rejections);
    let json = server.get_with(path, &bearer).await.json();
    assert_eq!((&json[0]["table"], &json[0]["count"]), (&json!("orders"), &json!(1)));
    let message = &json[0]["last"][0];
    assert_eq!(
        (&message["topic"], &message["offset"], &message["reason"]),
        (&json!("orders"), &json!(17), &json!("no JSON"))
    );
    assert_eq!(message["key"], json!({ "base64": "/wA=", "bytes": 2 }));
    assert_eq!(message["value"], json!({ "text": "é".repeat(512), "bytes": 2000 }));
    let metrics = server.get_with("/metrics", &bearer).await.body;
    assert!(metrics.contains("vantage_source_rejected_total{source=\"catalog\",table=\"orders\"} 1"), "{metrics}");
    let sources = server.get_with("/v1/sources", &bearer).await.json();
    assert_eq!(sources[0]["rejected"], json!({ "orders": 1 }));
    server.get_with("/v1/sources/nothing/rejected", &bearer).await.assert_problem(404, "42704");
}

#[tokio::test]
async fn a_read_waits_for_the_parts_it_names() {
    let server = Server::start().await;
    let publish = |number, parts: &[(&str, u64)]| {
        let parts = parts.iter().map(|it| (it.0.to_string(), Place { at: it.1, ..Place::default() })).collect();
        let partitioned = Position { log: "cluster".into(), notation: Notation::Number, parts };
        let journal = Position { notation: Notation::Lsn, ..Position::whole("system", 0x16B_3748, &[]) };
        let positions = [("catalog".to_string(), partitioned), ("pricing".to_string(), journal)].into();
        server.board.publish(std::sync::Arc::new(Epoch::for_tests(number, positions, Vec::new())));
    };
    publish(2, &[("0", 1842), ("1", 7)]);
    let read = async |after: &str| {
        let headers = [("Vantage-After", after), ("Vantage-Timeout-Ms", "0")];
        server.get_with("/v1/views/products", &headers).await
    };
    for included in ["catalog@0:1842", "catalog@1:7,catalog@0:5", "pricing@0/16B3748, catalog@1:0", "pricing@0/0"] {
        assert_eq!(read(included).await.status, 200, "{included}");
    }
    let all = read("catalog@0:1").await;
    assert_eq!(all.header("vantage-positions"), "catalog@0:1842,catalog@1:7");
    let late = [
        ("catalog@0:1842,catalog@1:8", "catalog is at 1:7, not yet at 1:8"),
        ("pricing@1/0", "pricing is at 0/16B3748, not yet at 1/0"),
        ("catalog@2:1", "catalog has no part 2 yet"),
    ];
    for (after, detail) in late {
        let answer = read(after).await;
        answer.assert_problem(503, "57P03");
        assert!(answer.body.contains(detail), "{after}: {}", answer.body);
    }
    for (after, form) in
        [("catalog@17", "catalog@0:1842"), ("pricing@17", "pricing@0/16B3748"), ("pricing@0:1/2", "pricing@0/16B")]
    {
        let answer = read(after).await;
        answer.assert_problem(400, "22023");
        assert!(answer.body.contains(&format!("a position of that source is like {form}")), "{after}: {}", answer.body);
    }
    // A log may get another part.
    publish(3, &[("0", 1842), ("1", 7), ("2", 1)]);
    assert_eq!(read("catalog@2:1").await.status, 200);
}

#[tokio::test]
async fn positions_of_a_source_that_is_copied_again_are_not_trusted() {
    let server = Server::start().await;
    let set = |health| *server.board.sources()[0].health.write().unwrap() = health;
    let after = async |wait: &str| {
        let headers = [("Vantage-After", "catalog@17"), ("Vantage-Timeout-Ms", wait)];
        server.get_with("/v1/views/products/1", &headers).await
    };
    assert_eq!(after("0").await.status, 200);
    set(SourceHealth::Snapshotting { rows: 1, total: None });
    let answer = after("20").await;
    answer.assert_problem(503, "57P03");
    assert!(answer.body.contains("catalog is being copied again"), "{}", answer.body);
    // It is noticed without a new epoch when the copy is done.
    let (answer, ()) = tokio::join!(after("60000"), async {
        tokio::task::yield_now().await;
        set(SourceHealth::Streaming);
    });
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn bodies_and_crowds_are_limited() {
    let options = ServeOptions { max_body_bytes: 1000, max_concurrency: 1, ..ServeOptions::default() };
    let server = Server::with(options, shop(1)).await;
    let long = format!("SELECT '{}'", "x".repeat(2000));
    server.sql(&long, json!([])).await.assert_problem(413, "54000");
    for body in ["", "{", "[]", "{\"sql\": 1}", "{\"sql\": \"SELECT 1\", \"x\": 1}", "\u{0}"] {
        server.ask("POST", "/v1/sql", &[], body).await.assert_problem(400, "22023");
    }
    // Half a body takes no place.
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    let body = "{\"sql\": \"SELECT 1\"}";
    let head = |body: &str| {
        format!("POST /v1/sql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len())
    };
    slow.write_all(format!("{}{{", head(body)).as_bytes()).await.unwrap();
    assert_eq!(server.get("/v1/views/products/1").await.status, 200);
    // Nor do statements, be they many and endless.
    let endless = json!({ "sql": super::overload::endless("true") }).to_string();
    let mut crowd = Vec::new();
    for _ in 0..300 {
        let mut busy = TcpStream::connect(server.address).await.unwrap();
        busy.write_all(format!("{}{endless}", head(&endless)).as_bytes()).await.unwrap();
        crowd.push(busy);
    }
    // Twelve are under way, so many may wait, and the others are told.
    let answers = crowd.iter_mut().map(|it| Box::pin(read_answer(it)));
    let (turned_away, ..) = futures::future::select_all(answers).await;
    turned_away.assert_problem(503, "53300");
    assert_eq!(turned_away.header("retry-after"), "1");
    while !server.get("/readyz").await.body.contains("ad-hoc SQL is busy") {}
    assert!(server.get("/metrics").await.body.contains("vantage_sql_places_free 0"));
    assert_eq!(server.sql("SELECT 1", json!([])).await.status, 200);
    assert_eq!(server.get("/v1/views/products/1").await.status, 200);
    assert_eq!(server.get("/livez").await.status, 200);
    drop(crowd);
    slow.write_all(&body.as_bytes()[1..]).await.unwrap();
    assert_eq!(read_answer(&mut slow).await.status, 200);
}

#[tokio::test]
async fn shutdown_says_so_first_and_finishes_what_is_under_way() {
    let options = ServeOptions { drain_delay: Duration::from_millis(300), ..ServeOptions::default() };
    let board = shop(1);
    let mut server = Server::with(options, board).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    let head = "GET /v1/views/products/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nVantage-After: catalog@18\r\nVantage-Timeout-Ms: 10000\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    server.get("/livez").await;
    server.stop();
    loop {
        let answer = server.get("/readyz").await;
        if answer.body.contains("shutting down") {
            break;
        }
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(TcpStream::connect(server.address).await.is_err(), "new connections are refused");
    let epoch = server.board.epoch();
    let rows = epoch.scan(crate::change::RelationId(10), &crate::store::KeyRange::all(), false, 100).unwrap();
    publish(&server.board, 2, 18, rows.into_iter().map(|it| (crate::change::RelationId(10), it)).collect());
    assert_eq!(read_answer(&mut slow).await.status, 200);
    server.ended().await.unwrap();
}

#[tokio::test]
async fn an_empty_board_is_served() {
    let server = Server::with(ServeOptions::default(), std::sync::Arc::new(Board::new(Vec::new()))).await;
    assert_eq!(server.get("/v1/views").await.body, "[]");
    assert_eq!(server.get("/readyz").await.status, 200);
    assert_eq!(server.rows("SELECT 1").await, "[[1]]");
}
