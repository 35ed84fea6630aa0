//! The command line as a user meets it: what it prints, what it refuses, its exit codes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::support::{PATIENCE, Site, http, text_of, vantage};

const VIEWS: &str = "CREATE SOURCE shop WITH (connector = 'sqlite', path = 'shop.db');
CREATE TABLE items FROM shop TABLE 'items';
-- Items by colour.
CREATE MATERIALIZED VIEW colours AS SELECT colour, count(*) AS items FROM items GROUP BY colour;
";

fn site_with_shop() -> Site {
    let site = Site::new();
    site.write_views(VIEWS);
    let shop = site.service("shop.db");
    shop.execute_batch(
        "CREATE TABLE items (id INTEGER PRIMARY KEY, colour TEXT); INSERT INTO items VALUES (1, 'red'), (2, 'red')",
    )
    .expect("shop");
    site
}

#[test]
fn a_mistake_in_a_view_file_stops_serve_before_anything_is_touched() {
    let site = site_with_shop();
    site.write_views(&VIEWS.replace("count(*) AS items", "sum(prise) AS items"));
    let output = site.serve_command().output().expect("serve");
    let text = text_of(&output);
    assert!(!output.status.success());
    assert!(text.contains("views/site.sql:4:") && text.contains("prise") && text.contains('^'), "{text}");
    assert!(!site.path("data").exists(), "state was touched");
}

#[test]
fn check_and_explain_say_what_a_view_is() {
    let site = site_with_shop();
    let check = vantage().current_dir(site.root()).args(["check", "--views", "views"]).output().expect("check");
    assert!(check.status.success(), "{}", text_of(&check));
    assert!(text_of(&check).contains("colours [key (colour)]: colour text, items bigint"), "{}", text_of(&check));
    let waits =
        "note: source shop cannot be followed yet: table \"items\": not captured; run `vantage capture install`";
    assert!(text_of(&check).contains(waits), "{}", text_of(&check));
    site.install_capture("shop.db");
    let check = vantage().current_dir(site.root()).args(["check", "--views", "views"]).output().expect("check");
    assert!(check.status.success() && !text_of(&check).contains("note:"), "{}", text_of(&check));
    let explain =
        vantage().current_dir(site.root()).args(["explain", "--views", "views", "colours"]).output().expect("explain");
    assert!(explain.status.success() && text_of(&explain).contains("Aggregate"), "{}", text_of(&explain));
    let unknown =
        vantage().current_dir(site.root()).args(["explain", "--views", "views", "nope"]).output().expect("explain");
    assert!(!unknown.status.success() && text_of(&unknown).contains("colours"), "{}", text_of(&unknown));
}

#[test]
fn unknown_flags_and_variables_are_errors() {
    let flag = vantage().args(["serve", "--veiws", "x"]).output().expect("serve");
    assert_eq!(flag.status.code(), Some(2), "{}", text_of(&flag));
    let variable = vantage().env("VANTAGE_VEIWS", "x").args(["check"]).output().expect("check");
    assert_eq!(variable.status.code(), Some(2));
    assert!(text_of(&variable).contains("VANTAGE_VEIWS"), "{}", text_of(&variable));
    let log = vantage().args(["--log", "info,vantage=loud", "check", "--views", "."]).output().expect("check");
    assert_eq!(log.status.code(), Some(2), "{}", text_of(&log));
    assert!(text_of(&log).contains("vantage=loud"), "{}", text_of(&log));
}

#[test]
fn listening_beyond_loopback_needs_a_token() {
    let site = site_with_shop();
    let refused = vantage()
        .current_dir(site.root())
        .args(["serve", "--views", "views", "--data", "data", "--listen", "0.0.0.0:0"])
        .output()
        .expect("serve");
    assert!(!refused.status.success());
    assert!(text_of(&refused).contains("VANTAGE_TOKEN"), "{}", text_of(&refused));
}

#[test]
fn a_second_process_on_one_data_directory_is_refused_by_name() {
    let site = site_with_shop();
    site.install_capture("shop.db");
    let mut server = site.serve();
    server.wait_ready();
    let second = vantage()
        .current_dir(site.root())
        .args(["serve", "--views", "views", "--data", "data", "--listen", "127.0.0.1:0"])
        .output()
        .expect("serve");
    let text = text_of(&second);
    assert!(!second.status.success());
    assert!(text.contains("data") && text.contains(&server.child.id().to_string()), "{text}");
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_missing_service_file_is_waited_for_and_named() {
    let site = Site::new();
    site.write_views(VIEWS);
    let mut server = site.serve();
    let answer = server.wait_for("/readyz", |answer| answer.status == 503 && answer.body.contains("shop"));
    assert!(answer.body.contains("there is no file shop.db"), "{}", answer.body);
    // Services create their file first and their tables later.
    let shop = site.service("shop.db");
    server.wait_for("/readyz", |answer| answer.body.contains("has no table"));
    shop.execute_batch("CREATE TABLE items (id INTEGER PRIMARY KEY, colour TEXT); INSERT INTO items VALUES (1, 'red')")
        .expect("shop");
    site.install_capture("shop.db");
    server.wait_ready();
    let row = http::get(server.address, "/v1/views/colours/red", &[]).expect("row");
    assert_eq!(row.status, 200, "{}", row.body);
    assert_eq!(row.json()["items"], 1, "{}", row.body);
}

#[test]
fn a_file_that_cannot_be_read_at_the_start_is_named_and_its_views_stay_served() {
    let site = site_with_shop();
    site.install_capture("shop.db");
    let mut server = site.serve();
    server.wait_ready();
    assert_eq!(server.terminate(), Some(0));
    for (content, words) in [("", "not installed"), ("not what its name says", "damaged")] {
        std::fs::write(site.path("shop.db"), content).expect("file");
        let mut server = site.serve();
        let answer = server.wait_for("/readyz", |answer| answer.body.contains(words));
        assert!(answer.body.contains("source shop is halted"), "{}", answer.body);
        let row = http::get(server.address, "/v1/views/colours/red", &[]).expect("row");
        assert_eq!((row.status, row.json()["items"].as_i64()), (200, Some(2)), "{}", row.body);
        assert_eq!(server.terminate(), Some(0));
    }
}

#[test]
fn a_demo_that_is_interrupted_while_it_is_set_up_leaves_nothing_behind() {
    let site = Site::new();
    let mut demo = vantage();
    demo.args(["demo", "--products", "5000000", "--listen", "127.0.0.1:0"]).env("TMPDIR", site.root());
    let mut demo = demo.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("vantage demo");
    let shops = || {
        let entries = std::fs::read_dir(site.root()).expect("directory").map(|it| it.expect("entry").path());
        entries.filter(|it| it.to_string_lossy().contains("vantage-demo-")).collect::<Vec<_>>()
    };
    let deadline = Instant::now() + PATIENCE;
    while !shops().iter().any(|it| it.join("services/orders.db").exists()) {
        assert!(Instant::now() < deadline && demo.try_wait().expect("child").is_none(), "nothing is seeded");
        std::thread::sleep(Duration::from_millis(2));
    }
    let kill = Command::new("kill").args(["-TERM", &demo.id().to_string()]).status().expect("kill");
    assert!(kill.success());
    assert_eq!(demo.wait().expect("wait").code(), Some(130));
    assert_eq!(shops(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn who_shows_the_token_learns_why_a_server_is_not_ready() {
    let site = Site::new();
    site.write_views(VIEWS);
    let mut command = site.serve_command();
    command.env("VANTAGE_TOKEN", "s3cret");
    let mut server = site.start(command);
    server.wait_for("/livez", |answer| answer.status == 200);
    let health = |token: Option<&str>| {
        let mut command = vantage();
        command.arg("health").arg("--listen").arg(site.address.to_string());
        token.into_iter().for_each(|it| _ = command.env("VANTAGE_TOKEN", it));
        command.output().expect("health")
    };
    let output = health(None);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text_of(&output).trim(), r#"{"status":"not ready"}"#);
    let output = health(Some("guess"));
    assert_eq!(output.status.code(), Some(1));
    assert!(text_of(&output).contains("does not accept this token"), "{}", text_of(&output));
    let output = health(Some("s3cret"));
    assert_eq!(output.status.code(), Some(1));
    assert!(text_of(&output).contains("\"reasons\":["), "{}", text_of(&output));
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn capture_reports_installs_and_leaves_no_trace() {
    let site = site_with_shop();
    let path = site.path("shop.db");
    // SQLite cannot drop its table of AUTOINCREMENT counters.
    let schema = || -> Vec<String> {
        let connection = site.service("shop.db");
        let mut statement = connection
            .prepare("SELECT name FROM sqlite_schema WHERE name <> 'sqlite_sequence' ORDER BY name")
            .expect("schema");
        let names = statement.query_map([], |row| row.get(0)).expect("names");
        names.collect::<rusqlite::Result<_>>().expect("names")
    };
    let before = schema();
    let status = vantage().args(["capture", "status"]).arg(&path).output().expect("status");
    assert!(!status.status.success(), "{}", text_of(&status));
    for _ in 0..2 {
        let install = vantage().args(["capture", "install"]).arg(&path).output().expect("install");
        assert!(install.status.success(), "{}", text_of(&install));
    }
    assert!(schema().iter().any(|it| it == "_vantage_changes"));
    let remove = vantage().args(["capture", "remove"]).arg(&path).output().expect("remove");
    assert!(remove.status.success(), "{}", text_of(&remove));
    assert_eq!(schema(), before);
}

#[test]
fn only_new_and_changed_views_are_built_on_restart() {
    let site = site_with_shop();
    site.install_capture("shop.db");
    let mut server = site.serve();
    server.wait_ready();
    assert_eq!(server.terminate(), Some(0));
    std::fs::remove_file(site.path("log")).expect("log");
    site.write_views(&format!("{VIEWS}CREATE MATERIALIZED VIEW reds AS SELECT id FROM items WHERE colour = 'red';"));
    let mut server = site.serve();
    server.wait_ready();
    let log = server.log();
    assert!(log.contains("reds") && !log.contains("colours"), "{log}");
    let rows = http::sql(server.address, "SELECT count(*) FROM reds").expect("answer");
    assert_eq!(rows.json()["rows"], serde_json::json!([[2]]), "{}", rows.body);
    assert_eq!(server.terminate(), Some(0));
}
