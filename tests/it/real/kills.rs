//! kill -9 of Vantage, of Connect, of the broker and of PostgreSQL while both databases are written: afterwards every view
//! is what its query says of the owners' rows, none lost and none there twice.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::super::differential::judge::{Answered, difference};
use super::super::support::postgres::Server as Postgres;
use super::super::support::{Server, Site, http};
use super::owners::{DATABASE, Owners, TOTAL, Writers};
use super::servers::{Broker, Connect, MariaDb, of_mariadb, of_postgres, root};

const DECLARED: &str = "
CREATE SOURCE shop WITH (connector = 'kafka', properties.bootstrap.servers = 'SERVERS');
CREATE TABLE products (id BIGINT PRIMARY KEY, name TEXT, body TEXT, price NUMERIC(10,2), brand BIGINT, at TIMESTAMPTZ)
  FROM shop TABLE 'pg.public.products' FORMAT DEBEZIUM ENCODE JSON;
CREATE TABLE brands (id BIGINT PRIMARY KEY, name TEXT, listed DATE, approved BOOLEAN)
  FROM shop TABLE 'pg.public.brands' FORMAT DEBEZIUM ENCODE JSON;
CREATE TABLE papers (id BIGINT PRIMARY KEY, title TEXT, body TEXT)
  FROM shop TABLE 'pg.public.papers' FORMAT DEBEZIUM ENCODE JSON;
CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT)
  FROM shop TABLE 'pg.public.accounts' FORMAT DEBEZIUM ENCODE JSON;
CREATE TABLE postgres_markers (id BIGINT PRIMARY KEY)
  FROM shop TABLE 'pg.public.postgres_markers' FORMAT DEBEZIUM ENCODE JSON;
CREATE TABLE stock (product BIGINT, place TEXT, n BIGINT, price NUMERIC(10,2), at TIMESTAMP, note TEXT,
                    PRIMARY KEY (product, place))
  FROM shop TABLE 'maria.shop.stock' FORMAT DEBEZIUM ENCODE JSON;
CREATE TABLE ratings (id BIGINT PRIMARY KEY, product BIGINT, stars BIGINT, said TEXT)
  FROM shop TABLE 'maria.shop.ratings' FORMAT DEBEZIUM ENCODE JSON;
CREATE TABLE mariadb_markers (id BIGINT PRIMARY KEY)
  FROM shop TABLE 'maria.shop.mariadb_markers' FORMAT DEBEZIUM ENCODE JSON;

CREATE SOURCE direct WITH (connector = 'postgres', host = 'SOCKET', port = PORT, user = 'postgres', database = 'shop',
                           slot.name = 'direct', publication.name = 'direct');
CREATE TABLE direct_accounts FROM direct TABLE 'accounts';
";

/// The views, and their queries.
const VIEWS: &[(&str, &str)] = &[
    (
        "card",
        "SELECT p.id, p.name, p.body, p.price, p.at, b.name AS brand, b.listed, b.approved \
         FROM products p LEFT JOIN brands b ON b.id = p.brand",
    ),
    (
        "availability",
        "SELECT p.id, p.name, count(*) AS places, sum(s.n) AS n, max(s.price) AS price \
         FROM products p JOIN stock s ON s.product = p.id GROUP BY p.id, p.name",
    ),
    (
        "opinions",
        "SELECT product, count(*) AS ratings, sum(stars) AS stars, count(said) AS said FROM ratings GROUP BY product",
    ),
    ("places", "SELECT product, place, n, price, at, note FROM stock"),
    ("ratings_given", "SELECT id, product, stars, said FROM ratings"),
    ("library", "SELECT id, title, body FROM papers"),
    ("totals", "SELECT count(*) AS accounts, sum(balance) AS total FROM accounts"),
    ("direct_totals", "SELECT count(*) AS accounts, sum(balance) AS total FROM direct_accounts"),
];

const CONNECTORS: &[&str] = &["pg", "maria"];

/// After this many kills everything is compared: two of Vantage, and one of each of the others.
const KILLS: [Victim; 5] = [Victim::Vantage, Victim::Vantage, Victim::Postgres, Victim::Broker, Victim::Connect];

/// How long it may take until what was written is seen, with all servers starting again.
const ARRIVAL_PATIENCE: Duration = Duration::from_secs(240);

/// A worker of Connect that started while the broker was away may wait for ever: one that knows no connector for so long is
/// started again, as whoever runs it does.
const CONNECT_PATIENCE: Duration = Duration::from_secs(40);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Vantage,
    Postgres,
    Broker,
    Connect,
}

/// All of the servers.
struct Stand {
    site: Site,
    vantage: Option<Server>,
    connect: Connect,
    broker: Broker,
    mariadb: MariaDb,
    postgres: Postgres,
    owners: Owners,
    /// The newest epoch that was read.
    newest: (u64, u64),
    reads: u64,
}

impl Stand {
    fn new(root: &std::path::Path) -> Stand {
        let postgres = Postgres::own(&["wal_level=logical", "log_min_messages=warning"]);
        let mariadb = MariaDb::start(root);
        let broker = Broker::start(root);
        let connect = Connect::start(root, &broker);
        let owners = Owners::new(&postgres.socket(), &mariadb);
        connect.put_connector("pg", &of_postgres(postgres.port, DATABASE));
        let mut with_schemas = of_mariadb(mariadb.port, &broker);
        with_schemas["value.converter"] = json!("org.apache.kafka.connect.json.JsonConverter");
        with_schemas["value.converter.schemas.enable"] = json!("true");
        connect.put_connector("maria", &with_schemas);
        let site = Site::new();
        let declared = DECLARED
            .replace("SERVERS", &broker.servers())
            .replace("SOCKET", &postgres.home().display().to_string())
            .replace("PORT", &postgres.port.to_string());
        let view = |(name, query): &(&str, &str)| format!("CREATE MATERIALIZED VIEW {name} AS {query};\n");
        site.write_views(&(declared + &VIEWS.iter().map(view).collect::<String>()));
        let vantage = Some(site.serve());
        Stand { site, vantage, connect, broker, mariadb, postgres, owners, newest: (0, 0), reads: 0 }
    }

    fn vantage(&self) -> &Server {
        self.vantage.as_ref().expect("it runs")
    }

    fn kill(&mut self, victim: Victim) {
        match victim {
            Victim::Vantage => {
                self.vantage.take().expect("it runs").kill();
                self.vantage = Some(self.site.serve());
            }
            Victim::Postgres => {
                self.postgres.kill();
                self.postgres.restart();
            }
            Victim::Broker => self.broker.kill(),
            Victim::Connect => self.connect.kill(),
        }
    }

    /// Reads what no transaction changes, and may be read at any time once it is there.
    fn look(&mut self) {
        let Ok(answer) = http::sql(self.vantage().address, "SELECT accounts, total FROM direct_totals") else { return };
        if answer.status != 200 {
            return;
        }
        assert_eq!(answer.json()["rows"], json!([[20, TOTAL]]), "a transaction was split: {}", answer.body);
        let epoch = answer.epoch().expect("an epoch");
        assert!(epoch >= self.newest, "the epoch went back from {:?} to {epoch:?}", self.newest);
        (self.newest, self.reads) = (epoch, self.reads + 1);
    }

    /// Waits for a row behind all others in both databases, and compares every view with its query there.
    fn compare(&mut self, marker: u64) {
        self.owners.mark(marker);
        let both = format!(
            "SELECT (SELECT count(*) FROM postgres_markers WHERE id = {marker}) + (SELECT count(*) FROM mariadb_markers WHERE id = {marker})"
        );
        self.poll("the newest rows", |stand| {
            let answer = http::sql(stand.vantage().address, &both).map_err(|it| it.to_string())?;
            let arrived = answer.status == 200 && answer.json()["rows"] == json!([[2]]);
            arrived.then_some(()).ok_or(answer.body)
        });
        // Other topics may be a little behind those of the markers.
        let queries: Vec<&str> = VIEWS.iter().map(|it| it.1).collect();
        let expected = self.owners.answers(&queries);
        for ((view, _), expected) in VIEWS.iter().zip(&expected) {
            self.poll(view, |stand| {
                let answer = http::sql(stand.vantage().address, &format!("SELECT * FROM {view}"));
                let answer = answer.map_err(|it| it.to_string())?;
                let answered: Answered = serde_json::from_str(&answer.body).map_err(|_| answer.body.clone())?;
                difference(expected, &answered, false).map_or(Ok(()), Err)
            });
        }
    }

    fn poll(&mut self, what: &str, check: impl Fn(&Stand) -> Result<(), String>) {
        let deadline = Instant::now() + ARRIVAL_PATIENCE;
        let mut working_at = Instant::now();
        while let Err(why) = check(self) {
            if Instant::now() > deadline {
                let sources = http::get(self.vantage().address, "/v1/sources", &[]).map(|it| it.body);
                panic!(
                    "{what}: {why}\n{sources:?}\n{}\nvantage:\n{}",
                    self.connect.story(CONNECTORS),
                    self.vantage().log()
                );
            }
            if self.connect.restart_failed(CONNECTORS) {
                working_at = Instant::now();
            } else if working_at.elapsed() > CONNECT_PATIENCE {
                self.connect.kill();
                working_at = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
#[ignore = "needs real servers: make test-real"]
fn nothing_is_lost_or_repeated_whoever_is_killed() {
    let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let (seed, rounds) = (number("SEED").unwrap_or(9), number("CASES").unwrap_or(4));
    println!("replay: SEED={seed} CASES={rounds} make test-real");
    let mut random = SmallRng::seed_from_u64(seed);
    let root = root();
    let mut stand = Stand::new(root.path());
    stand.compare(0);
    let mut transactions = 0;
    for round in 1..=rounds {
        let begun = Instant::now();
        let writers = Writers::start(&stand.postgres.socket(), &stand.mariadb, seed.wrapping_mul(1000) + round);
        let mut victims = KILLS;
        victims.shuffle(&mut random);
        for victim in victims {
            let until = Instant::now() + Duration::from_millis(random.random_range(0..1500));
            while Instant::now() < until {
                stand.look();
                std::thread::sleep(Duration::from_millis(20));
            }
            stand.kill(victim);
            // Some are killed while others start, others while everything flows.
            if random.random_bool(0.3) {
                stand.vantage.as_mut().expect("it runs").wait_ready();
            }
            stand.connect.restart_failed(CONNECTORS);
        }
        transactions += writers.stop().iter().sum::<u64>();
        stand.compare(round);
        stand.look();
        println!("round {round}: {victims:?}, {} ms", begun.elapsed().as_millis());
    }
    let kills = rounds * KILLS.len() as u64;
    println!("{kills} kills, {transactions} transactions, {} reads, 0 differences", stand.reads);
    assert!(stand.reads > rounds, "hardly anything was read");
    assert_eq!(stand.vantage.take().expect("it runs").terminate(), Some(0));
}
