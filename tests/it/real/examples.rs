//! The programs of `examples/`: each writes into its store and reads its own write from one Vantage.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::support::postgres::Server as Postgres;
use super::super::support::{Site, text_of};
use super::servers::{Broker, jars, root};

fn in_examples(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// The folder that `deploy/real/node.sh` has filled.
fn node() -> PathBuf {
    std::env::var_os("NODE_EXAMPLES").map(PathBuf::from).expect("NODE_EXAMPLES is set by `make test-real`")
}

#[test]
#[ignore = "needs real servers: make test-real"]
fn programs_read_their_own_writes() {
    let root = root();
    let broker = Broker::start(root.path());
    let postgres = Postgres::own(&["wal_level=logical"]);
    let mut session = postgres.session("postgres");
    session.execute("ALTER ROLE postgres PASSWORD 'secret'");
    session.execute("CREATE DATABASE catalog");
    postgres.session("catalog").execute(
        "CREATE TABLE products (id bigint PRIMARY KEY, name text NOT NULL);
         INSERT INTO products SELECT n, 'product ' || n FROM generate_series(1, 10) n",
    );
    let site = Site::new();
    let pricing = site.service("pricing.db");
    pricing
        .execute_batch(
            "CREATE TABLE prices (product_id INTEGER PRIMARY KEY, price_cents INTEGER NOT NULL);
             INSERT INTO prices VALUES (1, 100), (2, 200), (3, 300)",
        )
        .expect("pricing");
    site.install_capture("pricing.db");
    let views = std::fs::read_to_string(in_examples("views.sql")).expect("views.sql");
    let views = views
        .replace("'KAFKA'", &format!("'{}'", broker.servers()))
        .replace("'POSTGRES_HOST'", "'127.0.0.1'")
        .replace("= POSTGRES_PORT", &format!("= {}", postgres.port));
    site.write_views(&views);
    broker.create_topic("reviews");
    let mut command = site.serve_command();
    command.env("POSTGRES_PASSWORD", "secret");
    let mut vantage = site.start(command);
    vantage.wait_ready();

    let url = format!("http://{}", vantage.address);
    let database = format!("postgres://postgres:secret@127.0.0.1:{}/catalog", postgres.port);
    let classes = format!("{}/libs/*", jars().display());
    let rust = Path::new(env!("CARGO_BIN_EXE_vantage")).with_file_name("examples").join("read_your_write");
    let mut programs = [Command::new("python3"), Command::new("node"), Command::new("java"), Command::new(rust)];
    programs[0].arg(in_examples("read_your_write.py")).arg(site.path("pricing.db")).arg(&url);
    programs[1].arg(node().join("read_your_write.js")).args([&database, &url]);
    programs[2]
        .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", &classes])
        .arg(in_examples("ReadYourWrite.java"))
        .args([&broker.servers(), &url]);
    programs[3].args([&broker.servers(), &url]);
    // More than once: what is read is what was written this time.
    for program in &mut programs {
        for _ in 0..2 {
            let output = program.output().unwrap_or_else(|error| panic!("{program:?}: {error}"));
            assert!(output.status.success(), "{program:?}: {}\n{}", text_of(&output), vantage.log());
            println!("{}", text_of(&output).trim());
        }
    }
}
