//! An attack on a real process under a memory limit: statements that would compute for hours or ask for more memory than
//! there is, clients that do not read, that do not end what they say, that hang up. Whatever they do, others are answered,
//! the process lives, its memory stays within bounds, and what was begun for them ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Server, Site, http};

/// Resident memory the process may reach at any time.
const MAX_RESIDENT_BYTES: u64 = 1 << 30;
/// Address space it may have: what is only reserved counts here, too.
const MAX_ADDRESS_KIB: u64 = 6 << 20;
const ITEMS: usize = 100_000;
/// Rows of some 6 KB: all of them are an answer of 61 MB.
const DOCUMENTS: usize = 10_000;

/// A server over many small rows and some long ones.
fn site() -> (Site, Server) {
    let site = Site::new();
    let mut owner = site.service("shop.db");
    owner
        .execute_batch(
            "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, tag INTEGER NOT NULL);
             CREATE TABLE documents (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
        )
        .expect("tables");
    let transaction = owner.transaction().expect("transaction");
    {
        let mut insert = transaction.prepare("INSERT INTO items VALUES (?, ?, ?)").expect("insert");
        for id in 0..ITEMS {
            insert.execute((id as i64, format!("item {id} of the shop, {}", id * 7919), (id % 3) as i64)).expect("row");
        }
        let mut insert = transaction.prepare("INSERT INTO documents VALUES (?, ?)").expect("insert");
        for id in 0..DOCUMENTS {
            insert.execute((id as i64, format!("document {id:06} says: {}", "so it is. ".repeat(608)))).expect("row");
        }
    }
    transaction.commit().expect("commit");
    drop(owner);
    site.install_capture("shop.db");
    site.write_views(
        "CREATE SOURCE shop WITH (connector = 'sqlite', path = 'shop.db');
         CREATE TABLE items FROM shop TABLE 'items';
         CREATE TABLE documents FROM shop TABLE 'documents';",
    );
    let serve = site.serve_command();
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -v {MAX_ADDRESS_KIB}; exec \"$0\" \"$@\"")]).arg(serve.get_program());
    limited.args(serve.get_args()).args(["--statement-timeout-ms", "1500"]).current_dir(site.root());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let mut server = site.start(limited);
    server.wait_ready();
    (site, server)
}

/// Statements that no machine answers in time or in memory, each of its own kind.
fn statements() -> Vec<String> {
    let many = |count: usize, from: &str| (0..count).map(|at| format!("{from} t{at}")).collect::<Vec<_>>().join(", ");
    let nested =
        |levels: usize, call: &dyn Fn(String) -> String| (0..levels).fold("body".to_string(), |it, _| call(it));
    let doubled = |first: &str, twice: &str, levels: usize| {
        let links: Vec<String> =
            (1..levels).map(|at| format!("c{at} AS (SELECT {twice} AS x FROM c{})", at - 1)).collect();
        format!("WITH c0 AS ({first}), {} SELECT count(x) FROM c{}", links.join(", "), levels - 1)
    };
    let numbers = (0..5000).map(|it| it.to_string()).collect::<Vec<_>>().join(",");
    let all = "(SELECT string_agg(name, ',') AS s FROM items) a";
    let ids = "(SELECT array_agg(id) AS a FROM items) x";
    vec![
        // Joins whose conditions are looked at pair by pair.
        "SELECT count(*) FROM items a, items b WHERE a.name LIKE '%' || b.name || '%'".into(),
        "SELECT count(*) FROM items a, items b WHERE a.id + b.id < 0".into(),
        "SELECT count(*) FROM items a, items b WHERE a.id < b.id AND a.name <> b.name AND a.tag + b.tag > 9".into(),
        "SELECT count(*) FROM items a JOIN items b ON a.tag = b.tag AND a.name LIKE b.name || '%x'".into(),
        "SELECT count(*) FROM items a LEFT JOIN items b ON a.tag = b.tag".into(),
        "SELECT count(*) FROM items a WHERE EXISTS (SELECT 1 FROM items b WHERE b.tag = a.tag AND b.id > a.id + 999999)".into(),
        "SELECT count(*) FROM items a WHERE NOT EXISTS (SELECT 1 FROM items b WHERE b.name || 'x' = a.name)".into(),
        format!("SELECT count(*) FROM {}", many(8, "items")),
        format!("SELECT sum(t0.id * t5.id % 7) FROM {}", many(6, "items")),
        // State that grows.
        "SELECT max(array_length(x, 1)) FROM (SELECT array_agg(id) OVER (ORDER BY id) x FROM items) y".into(),
        "SELECT max(length(x)) FROM (SELECT string_agg(name, ',') OVER (ORDER BY id) x FROM items) y".into(),
        "SELECT max(length(x)) FROM (SELECT string_agg(name, ',') OVER (ORDER BY id ROWS BETWEEN 50000 PRECEDING AND \
         50000 FOLLOWING) x FROM items) y"
            .into(),
        "SELECT length(string_agg(a.name, b.name)) FROM items a, items b".into(),
        "SELECT array_length(array_agg(a.id + b.id), 1) FROM items a, items b".into(),
        "SELECT count(DISTINCT a.name || b.name) FROM items a, items b".into(),
        "SELECT median(a.id * b.id % 1000003) FROM items a, items b".into(),
        "SELECT a.id, b.id, count(*) FROM items a, items b GROUP BY a.id, b.id".into(),
        "SELECT a.name, b.name FROM items a, items b ORDER BY a.name || b.name".into(),
        "SELECT DISTINCT a.body, b.name FROM documents a, items b".into(),
        "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY a.name, b.name) n FROM items a, items b) x".into(),
        "SELECT count(*) FROM documents a JOIN documents b ON a.id % 3 = b.id % 3 JOIN documents c ON c.id % 3 = a.id % 3 \
         WHERE length(a.body || b.body || c.body) < 0"
            .into(),
        // Wide values, multiplied.
        format!("SELECT count(*) FROM {all}, items b WHERE a.s LIKE '%' || b.name || 'x%'"),
        format!("SELECT count(*) FROM {all}, {} WHERE a.s < 'a'", many(3, "items")),
        format!("SELECT max(length(a.s)) FROM {all} JOIN items b ON length(a.s) > b.id"),
        format!("SELECT count(u), count(a) FROM (SELECT unnest(a) AS u, a FROM {ids}) y"),
        format!("SELECT count(*) FROM (SELECT unnest(string_to_array(a.s, ',')) AS u FROM {all}) y, items b WHERE u < b.name"),
        "SELECT count(*) FROM (SELECT array_agg(name) a FROM items) x, (SELECT array_agg(name || 'y') b FROM items) y WHERE \
         array_has_all(a, b)"
            .into(),
        doubled("SELECT body AS x FROM documents", "x || x", 9),
        doubled(&format!("SELECT a AS x FROM {ids}"), "array_concat(x, x)", 9),
        // Much to compute for each row.
        "SELECT count(*) FROM documents WHERE body ~ '(a{1000}){1000}'".into(),
        "SELECT count(*) FROM documents WHERE body ~ '(so|it|is|[a-z .]{1,40}){1,60}x$'".into(),
        "SELECT count(*) FROM items a, documents b WHERE b.body LIKE '%s_o' || a.name || '_%'".into(),
        format!("SELECT count({}) FROM documents, items", nested(60, &|it| format!("replace({it}, 'so', 'os')"))),
        format!("SELECT count(*) FROM items a, items b WHERE a.id * b.id IN ({numbers})"),
        format!("SELECT count(*) FROM ({}) x", ["SELECT a.id FROM items a, items b WHERE a.id = -b.id - 1"; 8].join(" UNION ALL ")),
        "SELECT (SELECT count(*) FROM items b WHERE b.id < a.id AND b.name < a.name) FROM items a".into(),
    ]
}

/// Asks for `select 1` again and again, as somebody does who has nothing to do with it all.
fn bystander(address: SocketAddr, over: &AtomicBool) -> Vec<Duration> {
    let mut took = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let answer = answered(|| http::sql(address, "SELECT 1"));
        took.push(began.elapsed());
        assert_eq!(answer.status, 200, "{answer:?}");
        let row = answered(|| http::get(address, "/v1/views/items/7", &[]));
        assert_eq!(row.status, 200, "{row:?}");
    }
    took.sort();
    took
}

/// The answer to a request. On a machine that is busy with other things, too, a connection may have to give way before its
/// request was seen; a client asks again then, a few times.
fn answered(ask: impl Fn() -> std::io::Result<http::Answer>) -> http::Answer {
    let is_reset = |it: &std::io::Result<http::Answer>| {
        it.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    };
    let mut answer = ask();
    for _ in 0..20 {
        if !is_reset(&answer) {
            break;
        }
        answer = ask();
    }
    answer.expect("an answer")
}

/// Says that an attack is over, also when it fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The number a metric has.
fn metric(address: SocketAddr, name: &str) -> u64 {
    let body = answered(|| http::get(address, "/metrics", &[])).body;
    let line = body.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(' ').map(str::to_string));
    line.unwrap_or_else(|| panic!("no {name} in {body}")).parse().expect("a number")
}

/// The most memory the process had.
fn peak_bytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).expect("the process lives");
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).expect("peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

fn until(what: &str, test: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !test() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// A request that is sent and whose answer is not read.
fn unread(address: SocketAddr, sql: &str) -> TcpStream {
    let body = serde_json::json!({ "sql": sql }).to_string();
    let mut stream = TcpStream::connect(address).expect("connection");
    let head = format!("POST /v1/sql HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).expect("request");
    stream
}

/// Runs `attack` while a bystander is answered; then everything that was begun for it has to end.
fn under(server: &Server, name: &str, attack: impl FnOnce()) {
    let over = AtomicBool::new(false);
    let took = std::thread::scope(|scope| {
        let bystander = scope.spawn(|| bystander(server.address, &over));
        let ends = Over(&over);
        attack();
        drop(ends);
        bystander.join().expect("the bystander is answered")
    });
    let (p99, slowest) = (took[took.len() * 99 / 100], took[took.len() - 1]);
    let peak = peak_bytes(server) >> 20;
    println!("{name}: SELECT 1 {} times, p99 {p99:?}, the slowest {slowest:?}; peak {peak} MB", took.len());
    until("statements end", || metric(server.address, "vantage_sql_statements") == 0);
    until("answers are given up", || metric(server.address, "vantage_answers_unsent_bytes") == 0);
    assert_eq!(metric(server.address, "vantage_sql_memory_bytes"), 0);
    assert!(peak_bytes(server) <= MAX_RESIDENT_BYTES, "{name}: {} bytes", peak_bytes(server));
}

fn endless_statements(address: SocketAddr) {
    let (statements, next) = (statements(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(sql) = statements.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = answered(|| http::sql(address, sql));
                    let (status, body) = (answer.status, &answer.body[..answer.body.len().min(300)]);
                    assert!([200, 400, 422, 503, 504].contains(&status), "{status} {body}: {sql}");
                }
            });
        }
    });
}

/// More requests for endless statements than there may be under way and waiting.
fn a_crowd(address: SocketAddr) {
    let statements = statements();
    let asked = statements.iter().cycle().take(400).map(|sql| unread(address, sql)).collect::<Vec<_>>();
    until("places are taken", || metric(address, "vantage_sql_places_free") == 0);
    let ready = answered(|| http::get(address, "/readyz", &[]));
    assert!(ready.status == 200 && ready.body.contains("ad-hoc SQL is busy"), "{ready:?}");
    // The first of them run out of time.
    for mut stream in asked.into_iter().take(20) {
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("an answer");
    }
}

fn clients_that_do_not_read(address: SocketAddr) {
    let asked = |sql: &str, count: usize| (0..count).map(|_| unread(address, sql)).collect::<Vec<_>>();
    let all = asked("SELECT * FROM documents", 60);
    let sorted = asked("SELECT * FROM documents ORDER BY body DESC", 20);
    let lists: Vec<TcpStream> = (0..60)
        .map(|_| {
            let mut stream = TcpStream::connect(address).expect("connection");
            let head = "GET /v1/views/documents?limit=10000 HTTP/1.1\r\nHost: x\r\n\r\n";
            stream.write_all(head.repeat(20).as_bytes()).expect("requests");
            stream
        })
        .collect();
    until("answers are made", || metric(address, "vantage_answers_unsent_bytes") > 8 << 20);
    for _ in 0..20 {
        assert!(metric(address, "vantage_answers_unsent_bytes") <= 64 << 20);
    }
    // One that reads is answered, or told why it is not.
    let answer = answered(|| http::sql(address, "SELECT id FROM documents"));
    assert!([200, 503, 504].contains(&answer.status), "{answer:?}");
    drop((all, sorted, lists));
}

fn clients_that_do_not_end(address: SocketAddr) {
    let begun = |text: &str, count: usize| -> Vec<TcpStream> {
        let open = |_| {
            let mut stream = TcpStream::connect(address).expect("connection");
            // Who has to give way may be gone already.
            let _ = stream.write_all(text.as_bytes());
            stream
        };
        (0..count).map(open).collect()
    };
    let bodies = begun("POST /v1/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{\"sql\": \"", 300);
    let heads = begun(&format!("POST /v1/sql HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(300_000)), 900);
    let silent = begun("", 200);
    let giant = format!("POST /v1/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{}", " ".repeat(900_000));
    let giants = begun(&giant, 100);
    assert_eq!(answered(|| http::get(address, "/v1/views/items/9", &[])).status, 200);
    // Half closed: the answer still comes.
    for stream in bodies.iter().take(50) {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    drop((bodies, heads, silent, giants));
}

fn clients_that_hang_up(address: SocketAddr) {
    for sql in statements() {
        drop(unread(address, &sql));
    }
    // A client that reads a little and then no more, and comes again.
    for _ in 0..20 {
        let mut stream = unread(address, "SELECT * FROM documents");
        let mut some = [0; 100_000];
        let _ = stream.read(&mut some);
    }
}

#[test]
fn an_attack_disturbs_nobody_else() {
    let (_site, server) = site();
    let address = server.address;
    under(&server, "statements", || endless_statements(address));
    under(&server, "a crowd", || a_crowd(address));
    under(&server, "unread answers", || clients_that_do_not_read(address));
    under(&server, "unended requests", || clients_that_do_not_end(address));
    under(&server, "hang-ups", || clients_that_hang_up(address));
    let ready = answered(|| http::get(address, "/readyz", &[]));
    assert_eq!(ready.status, 200, "{ready:?}");
    assert_eq!(server.terminate(), Some(0));
}
