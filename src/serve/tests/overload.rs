//! What one client does must not be felt by the others: endless statements, silent connections, waiting reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fixture::{Server, publish, shop};
use crate::serve::ServeOptions;
use crate::store::Board;

/// Some of 40⁸ rows, which need no memory: each join streams what the inner ones make.
pub(super) fn endless(condition: &str) -> String {
    let inner = (0..6).rev().fold("products t6 CROSS JOIN products t7".to_string(), |inner, at| {
        format!("products t{at} CROSS JOIN ({inner})")
    });
    format!("SELECT count(*), sum((t0.id + t7.id) % 7) FROM {inner} WHERE {condition}")
}

fn hurried() -> ServeOptions {
    ServeOptions { statement_timeout: Duration::from_millis(300), ..ServeOptions::default() }
}

// The runtime has one thread, so anything that keeps it busy shows.
#[tokio::test]
async fn endless_statements_end_in_time_and_disturb_nobody() {
    let server = Server::with(hurried(), shop(1)).await;
    // The first statement of a process is planned slowly.
    server.sql("SELECT count(*) FROM products a, stock b", json!([])).await;
    let began = Instant::now();
    let asked = async |condition: &str| {
        let answer = server.sql(&endless(condition), json!([])).await;
        (answer, began.elapsed())
    };
    let meanwhile = async {
        let mut slowest = Duration::ZERO;
        while began.elapsed() < Duration::from_millis(250) {
            let asked = Instant::now();
            assert_eq!(server.get("/livez").await.status, 200);
            assert_eq!(server.get("/v1/views/products/1").await.status, 200);
            slowest = slowest.max(asked.elapsed());
        }
        slowest
    };
    let (a, b, c, d, slowest) = tokio::join!(
        asked("true"),
        asked("t0.id + t7.id > 2"),
        asked("t0.id < t3.id AND t2.name <> t6.name"),
        asked("t0.id = t7.id"),
        meanwhile
    );
    for (answer, took) in [a, b, c, d] {
        answer.assert_problem(504, "57014");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    // The work itself has ended, too: there is room for all of the others at once.
    let began = Instant::now();
    while server.sql("SELECT count(*) FROM products a, products b", json!([])).await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(5), "cancelled statements keep their threads");
    }
}

#[tokio::test]
async fn who_hangs_up_cancels_the_statement() {
    let options = ServeOptions { statement_timeout: Duration::from_secs(600), ..ServeOptions::default() };
    let server = Server::with(options, shop(1)).await;
    let body = json!({ "sql": endless("true") }).to_string();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!("POST /v1/sql HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut byte = [0];
        // It is given the time to begin, and no answer comes.
        assert!(tokio::time::timeout(Duration::from_millis(100), stream.read(&mut byte)).await.is_err());
    }
    // More than there are slots and threads would be taken for good otherwise.
    let last = tokio::time::timeout(Duration::from_secs(20), server.sql("SELECT count(*) FROM stock", json!([]))).await;
    assert_eq!(last.expect("a slot becomes free").status, 200);
}

#[tokio::test]
async fn with_queries_do_not_multiply_in_planning() {
    let server = Server::start().await;
    let chain = |length: usize| {
        let links: Vec<String> = (1..length)
            .map(|at| format!("c{at} AS (SELECT a.id FROM c{} a JOIN c{0} b ON a.id = b.id)", at - 1))
            .collect();
        let rest = if links.is_empty() { String::new() } else { format!(", {}", links.join(", ")) };
        format!("WITH c0 AS (SELECT id FROM products){rest} SELECT count(*) FROM c{}", length - 1)
    };
    assert_eq!(server.rows(&chain(4)).await, "[[40]]");
    let began = Instant::now();
    server.sql(&chain(29), json!([])).await.assert_problem(400, "54001");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn waiting_takes_no_room() {
    let options = ServeOptions { max_concurrency: 1, ..ServeOptions::default() };
    let server = Server::with(options, shop(1)).await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = "GET /v1/views/products/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nVantage-After: catalog@18\r\nVantage-Timeout-Ms: 10000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    for _ in 0..5 {
        assert_eq!(server.get("/v1/views/products/1").await.status, 200);
    }
    publish(&server.board, 2, 18, Vec::new());
    for mut stream in waiting {
        // One after the other may find the only place taken; none is cut off.
        let answer = super::fixture::read_answer(&mut stream).await;
        assert!([404, 503].contains(&answer.status), "{answer:?}");
    }
}

#[tokio::test]
async fn several_header_lines_are_one_list() {
    let server = Server::start().await;
    let lines = [("Vantage-After", "catalog@17"), ("Vantage-After", "catalog@19"), ("Vantage-Timeout-Ms", "0")];
    server.get_with("/v1/views/products/1", &lines).await.assert_problem(503, "57P03");
    let etag = server.get("/v1/views/products/1").await.header("etag").to_string();
    let lines = [("If-None-Match", "\"other\""), ("If-None-Match", &etag)];
    assert_eq!(server.get_with("/v1/views/products/1", &lines).await.status, 304);
}

#[tokio::test]
async fn what_is_not_known_yet_is_not_missing() {
    let board = Arc::new(Board::new(vec!["catalog".into()]));
    let server = Server::with(ServeOptions::default(), board).await;
    server.get("/v1/views/products/1").await.assert_problem(503, "57P03");
    server.get("/v1/views/products").await.assert_problem(503, "57P03");
    server.sql("SELECT * FROM products", json!([])).await.assert_problem(503, "57P03");
    assert!(server.get("/readyz").await.body.contains("not known yet"));
}

#[tokio::test]
async fn intake_that_waits_shows() {
    let server = Server::start().await;
    let metric = |line: &'static str| {
        let server = &server;
        async move { server.get("/metrics").await.body.contains(line) }
    };
    assert!(metric("vantage_intake_paused 0").await && metric("vantage_intake_halted 0").await);
    let row = async || server.get("/v1/views/products/1").await;
    let state = async || server.get("/v1/schema/products").await.json()["status"].clone();
    assert_eq!((row().await.header("vantage-stale"), state().await), ("", json!({ "state": "live" })));
    server.board.set_paused(Some("the disk is full".into()));
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 503);
    // What concerns all of them is said once.
    assert_eq!(answer.body.matches("intake waits: the disk is full").count(), 1, "{}", answer.body);
    assert!(metric("vantage_intake_paused 1").await);
    // Whoever reads is told, too.
    assert_eq!(row().await.header("vantage-stale"), "\"products\" is stale: intake waits: the disk is full");
    assert_eq!(state().await["reason"], "intake waits: the disk is full");
    let answer = server.sql("SELECT count(*) FROM products", json!([])).await;
    assert_eq!((answer.status, answer.header("vantage-stale").contains("disk")), (200, true));
    server.board.set_paused(None);
    assert!(!server.get("/readyz").await.body.contains("disk"));
    assert_eq!((row().await.header("vantage-stale"), state().await), ("", json!({ "state": "live" })));
    server.board.halt("broken".into());
    assert!(metric("vantage_intake_halted 1").await);
    assert_eq!(row().await.header("vantage-stale"), "\"products\" is stale: intake stopped: broken");
}

#[tokio::test]
async fn silent_connections_end_and_are_counted() {
    let options =
        ServeOptions { max_connections: 2, idle_timeout: Duration::from_millis(200), ..ServeOptions::default() };
    let server = Server::with(options, shop(1)).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nHos").await.unwrap();
    assert_eq!(server.get("/livez").await.status, 200);
    for stream in [&mut silent, &mut slow] {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still open");
    }
}

#[tokio::test]
async fn newcomers_are_heard_however_many_say_nothing() {
    let options = ServeOptions { max_connections: 20, ..ServeOptions::default() };
    let server = Server::with(options, shop(1)).await;
    let mut strangers = Vec::new();
    for round in 0..20 {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let begun =
                ["", "GET /livez HTT", "POST /v1/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"][round % 3];
            stream.write_all(begun.as_bytes()).await.unwrap();
            strangers.push(stream);
        }
        // Who has connected and is a little late is heard, too.
        let mut late = TcpStream::connect(server.address).await.unwrap();
        assert_eq!(server.get("/v1/views/products/1").await.status, 200);
        assert_eq!(server.rows("SELECT 1").await, "[[1]]");
        late.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(super::fixture::read_answer(&mut late).await.status, 200);
    }
    // One that was answered and asks again soon keeps its connection.
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..10 {
        kept.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut some = [0; 12];
        kept.read_exact(&mut some).await.unwrap();
        assert_eq!(&some, b"HTTP/1.1 200");
        while kept.try_read(&mut [0; 4096]).is_ok() {}
        for _ in 0..20 {
            strangers.push(TcpStream::connect(server.address).await.unwrap());
        }
    }
}

#[tokio::test]
async fn refusals_arrive_although_more_was_sent() {
    let options = ServeOptions { token: Some("secret".into()), ..ServeOptions::default() };
    let server = Server::with(options, shop(1)).await;
    let body = "x".repeat(3 << 20);
    for (header, status) in [("Authorization: Bearer secret", 413), ("X: y", 401), (&*format!("X: {body}"), 431)] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!("POST /v1/sql HTTP/1.1\r\nHost: x\r\n{header}\r\nContent-Length: {}\r\n\r\n", body.len());
        // As a client does that sends all it has before it reads.
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn who_does_not_read_gives_way_to_who_does() {
    let options = ServeOptions { max_unsent_bytes: 1 << 20, ..ServeOptions::default() };
    let server = Server::with(options, shop(1)).await;
    let modest = "SELECT a.name, b.name FROM products a, products b";
    let request = |sql: &str| {
        let body = json!({ "sql": sql }).to_string();
        let accept = "Accept: text/csv\r\nConnection: close";
        format!("POST /v1/sql HTTP/1.1\r\nHost: x\r\n{accept}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let mut unread = Vec::new();
    for _ in 0..30 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream
            .write_all(
                request("SELECT a.name, b.name, c.name, d.name FROM products a, products b, products c, products d")
                    .as_bytes(),
            )
            .await
            .unwrap();
        unread.push(stream);
    }
    // Each waits for a place, for room, and is answered whole.
    for _ in 0..3 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(request(modest).as_bytes()).await.unwrap();
        let answer = super::fixture::read_answer(&mut stream).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.matches('\n').count() >= 1600, "{}", answer.body.len());
    }
    drop(unread);
}

#[tokio::test]
async fn whatever_grows_is_counted_as_memory() {
    let options = ServeOptions { max_sql_memory_bytes: 16 << 20, ..ServeOptions::default() };
    let server = Server::with(options, shop(1)).await;
    let three = "products a, products b, products c";
    let four = "products a, products b, products c, products d";
    for sql in [
        format!("SELECT length(string_agg(a.name || b.name || c.name || d.name, ',')) FROM {four}"),
        format!(
            "SELECT max(array_length(x, 1)) FROM (SELECT array_agg(a.id) OVER (ORDER BY a.id, b.id, c.id) x FROM {three}) y"
        ),
        format!(
            "SELECT max(length(x)) FROM (SELECT string_agg(a.name, ',') OVER (ORDER BY a.id, b.id, c.id) x FROM {three}) y"
        ),
        format!("SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY a.id, d.id) n FROM {four}) y"),
        format!("SELECT count(DISTINCT a.name || b.name || c.name || d.name) FROM {four}"),
        format!("SELECT median(a.id * b.id + c.id * d.id) FROM {four}"),
        format!("SELECT a.id, b.id, c.id, d.id, count(*) FROM {four} GROUP BY a.id, b.id, c.id, d.id LIMIT 1"),
        format!(
            "SELECT count(u), count(x) FROM (SELECT unnest(x) u, x FROM (SELECT array_agg(a.id) x FROM {three}) y) z"
        ),
    ] {
        let answer = server.sql(&sql, json!([])).await;
        assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("53200")), "{sql}");
    }
    // What one has held is there for the next.
    let sql = format!("SELECT count(*), length(string_agg(a.name, ',')) > 1000 FROM {three}");
    assert_eq!(server.rows(&sql).await, "[[64000,true]]");
}

#[tokio::test]
async fn wide_rows_are_joined_in_small_batches() {
    let server = Server::start().await;
    // A text of a megabyte and a half beside each of 64,000 rows would be 1.6 GB for a batch.
    let wide = "(SELECT string_agg(a.name || b.name || c.name, ',') AS s FROM products a, products b, products c) t";
    let sql =
        format!("SELECT count(*), max(length(s)) > 1000000 FROM {wide}, products p WHERE s LIKE '%' || p.name || '%'");
    assert_eq!(server.rows(&sql).await, "[[40,true]]");
}

#[tokio::test]
async fn who_does_not_end_is_replaced_and_told_of() {
    let workers = crate::serve::sql::Workers::new(1 << 30);
    let places = workers.load().places;
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(held));
    // Without any checkpoint: each takes its turn and a place.
    let stuck = (0..places).map(|_| {
        let held = Arc::clone(&held);
        workers.run(crate::serve::sql::Kind::Ordinary, Duration::from_secs(3), async move |_| {
            let _ = held.lock().unwrap_or_else(|it| it.into_inner()).recv();
            Ok(())
        })
    });
    for result in futures::future::join_all(stuck).await {
        assert_eq!(result.map_err(|it| it.code), Err("57014"));
    }
    assert_eq!(workers.load().places, 0);
    let other = workers.run(crate::serve::sql::Kind::Ordinary, Duration::from_secs(60), async |_| Ok(7)).await;
    assert_eq!(other.map_err(|it| it.code), Ok(7));
    let load = workers.load();
    assert!(load.overdue > 0 && load.reason().is_some() && !load.notes().is_empty(), "{load:?}");
    drop(release);
    while workers.load().under_way > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((workers.load().places, workers.load().reason()), (places, None));
}
