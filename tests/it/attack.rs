//! An attack on a real process under a memory limit: statements that would compute for hours or ask for more memory than
//! there is, clients that do not read, that do not end what they say, that hang up. Whatever they do, others are answered,
//! the process lives, its memory stays within bounds, and what was begun for them ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::stalls::Stalls;
use crate::support::{PATIENCE, Server, Site, http};

/// Resident memory the process may reach at any time.
const MAX_RESIDENT_BYTES: u64 = 1 << 30;
/// Address space it may have: what is only reserved counts here, too.
const MAX_ADDRESS_KIB: u64 = 6 << 20;
/// So long a light request may take beyond what it takes when nobody disturbs, whatever else runs on the machine: a queue
/// that is full, a place that is lost or a socket that nobody looks at keep it waiting for longer. On a machine that does
/// nothing else it is below 100 ms in every phase, as the printed figures tell.
const LATE: Duration = Duration::from_secs(1);
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
    limited
        .args(["-c", &format!("ulimit -v {MAX_ADDRESS_KIB}; ulimit -Sn 1024; exec \"$0\" \"$@\"")])
        .arg(serve.get_program());
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

/// A question of a bystander.
struct Asked {
    began: Instant,
    took: Duration,
}

/// Asks for `select 1` again and again, as somebody does who has nothing to do with it all: mostly by a new connection,
/// and by one that is kept. It is answered each time, whatever others do.
fn bystander(address: SocketAddr, over: &AtomicBool) -> Vec<Asked> {
    let mut asked = Vec::new();
    let mut kept = http::Connection::open(address).expect("a connection");
    let mut note = |began: Instant| asked.push(Asked { began, took: began.elapsed() });
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let answer = http::sql(address, "SELECT 1").expect("an answer to SELECT 1");
        note(began);
        assert_eq!(answer.status, 200, "{answer:?}");
        let began = Instant::now();
        let (status, body) = kept.post("/v1/sql", "{\"sql\": \"SELECT 1\"}").expect("an answer by the same connection");
        note(began);
        assert_eq!(status, 200, "{body}");
        let began = Instant::now();
        let row = http::get(address, "/v1/views/items/7", &[]).expect("a row");
        note(began);
        assert_eq!(row.status, 200, "{row:?}");
        let began = Instant::now();
        let rows = http::get(address, "/v1/views/items?limit=20", &[]).expect("some rows");
        note(began);
        assert_eq!(rows.status, 200, "{rows:?}");
    }
    asked
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
    let body = http::get(address, "/metrics", &[]).expect("an answer").body;
    let line = body.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(' ').map(str::to_string));
    line.unwrap_or_else(|| panic!("no {name} in {body}")).parse().expect("a number")
}

/// A figure of the process: `VmRSS` the memory it has, `VmHWM` the most it had.
fn memory_bytes(server: &Server, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).expect("the process lives");
    let line = status.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(':')).expect("a figure");
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

/// Runs `attack` while a bystander is answered; then everything that was begun for it has to end. Gives the longest that
/// the bystander waited. What it waited more than `usual`, and more than the machine lets any thread wait, is [`LATE`] at
/// most.
fn under(server: &Server, name: &str, usual: Duration, attack: impl FnOnce()) -> Duration {
    let (over, stalls) = (AtomicBool::new(false), Stalls::watch());
    let asked = std::thread::scope(|scope| {
        let bystander = scope.spawn(|| bystander(server.address, &over));
        let ends = Over(&over);
        attack();
        drop(ends);
        bystander.join().expect("the bystander is answered")
    });
    let mut took: Vec<Duration> = asked.iter().map(|it| it.took).collect();
    took.sort();
    let (p99, slowest) = (took[took.len() * 99 / 100], took[took.len() - 1]);
    let (peak, now) = (memory_bytes(server, "VmHWM") >> 20, memory_bytes(server, "VmRSS") >> 20);
    let (first, last) = (&asked[0], &asked[asked.len() - 1]);
    let stall = stalls.longest(first.began, last.began + last.took);
    println!(
        "{name}: {} answers, p99 {p99:?}, the slowest {slowest:?}, of the machine {stall:?}; memory {now} MB, at most {peak} MB",
        took.len()
    );
    // A request passes several threads, each of which the machine may stall.
    let excused = |it: &Asked| usual + 4 * stalls.longest(it.began, it.began + it.took);
    let late: Vec<Duration> = asked.iter().filter(|it| it.took > LATE + excused(it)).map(|it| it.took).collect();
    assert!(late.is_empty(), "{name}: late by more than {LATE:?}: {late:?}");
    until("statements end", || metric(server.address, "vantage_sql_statements") == 0);
    until("answers are given up", || metric(server.address, "vantage_answers_unsent_bytes") == 0);
    assert_eq!(metric(server.address, "vantage_sql_memory_bytes"), 0);
    let peak = memory_bytes(server, "VmHWM");
    assert!(peak <= MAX_RESIDENT_BYTES, "{name}: {peak} bytes");
    slowest
}

fn endless_statements(address: SocketAddr) {
    let (statements, next) = (statements(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(sql) = statements.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = http::sql(address, sql).expect("an answer");
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
    let ready = http::get(address, "/readyz", &[]).expect("an answer");
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
    // One that reads is answered, although they still do not: what they keep is taken from them. It computes beside all of
    // them, so it may run out of the short time there is before that.
    until("one that reads is answered", || {
        http::sql(address, "SELECT id FROM documents").expect("an answer").status == 200
    });
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
    assert_eq!(http::get(address, "/v1/views/items/9", &[]).expect("an answer").status, 200);
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

/// More connections than there may be, again and again, on which nothing is said; and none of them ends by itself.
fn clients_that_say_nothing(address: SocketAddr) {
    let mut silent = Vec::new();
    for _ in 0..3000 {
        silent.push(TcpStream::connect(address).expect("connection"));
    }
    let answer = http::get(address, "/v1/views/items/9", &[]).expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn nobody_else(address: SocketAddr) {
    for id in 0..200 {
        assert_eq!(http::get(address, &format!("/v1/views/items/{id}"), &[]).expect("an answer").status, 200);
    }
}

#[test]
fn an_attack_disturbs_nobody_else() {
    rlimit::increase_nofile_limit(10_000).expect("files for all connections");
    let (_site, server) = site();
    let address = server.address;
    let usual = under(&server, "nobody else", Duration::ZERO, || nobody_else(address));
    let attacks: [(&str, fn(SocketAddr)); 6] = [
        ("statements", endless_statements),
        ("a crowd", a_crowd),
        ("unread answers", clients_that_do_not_read),
        ("unended requests", clients_that_do_not_end),
        ("silent connections", clients_that_say_nothing),
        ("hang-ups", clients_that_hang_up),
    ];
    for (name, attack) in attacks {
        under(&server, name, usual, || attack(address));
    }
    let ready = http::get(address, "/readyz", &[]).expect("an answer");
    assert_eq!(ready.status, 200, "{ready:?}");
    assert_eq!(server.terminate(), Some(0));
}
