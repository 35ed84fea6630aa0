//! The shop over servers: catalog and orders in PostgreSQL, pricing in MariaDB, reviews as CloudEvents on Kafka, inventory in
//! a SQLite file. The catalog and the prices come by Debezium and Kafka, the orders by PostgreSQL's own replication.
//!
//! The services, their tables, their traffic and the views are those of the shop in files; what differs is where a service
//! keeps its rows, and the declarations of the tables.

mod connector;

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::shop::{Service, Shop};
use super::store::events::Events;
use super::store::session::{Client, Database, Session, literal};
use super::store::{File, Store, StoreError};
use connector::Connect;
pub use connector::ConnectError;

/// The declarations of the shop's tables; names in capitals stand for addresses.
const DECLARATIONS: &str = include_str!("shop.sql");

/// So many rows are written with one statement.
const ROWS_AT_ONCE: usize = 500;

/// Where the servers are.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerOptions {
    /// Brokers of Kafka: the services keep their rows in servers, not in files; their passwords are read from
    /// POSTGRES_PASSWORD and MARIADB_PASSWORD
    #[arg(long, env = "VANTAGE_DEMO_KAFKA", value_name = "HOST:PORT", requires_all = ["connect", "postgres", "mariadb"])]
    pub kafka: Option<String>,
    /// Kafka Connect with Debezium's connectors
    #[arg(long, env = "VANTAGE_DEMO_CONNECT", value_name = "HOST:PORT", requires = "kafka", value_parser = host_and_port)]
    pub connect: Option<(String, u16)>,
    /// PostgreSQL with wal_level = logical; the user is postgres
    #[arg(long, env = "VANTAGE_DEMO_POSTGRES", value_name = "HOST:PORT", requires = "kafka", value_parser = host_and_port)]
    pub postgres: Option<(String, u16)>,
    /// MariaDB with a binary log of rows; the user is debezium
    #[arg(long, env = "VANTAGE_DEMO_MARIADB", value_name = "HOST:PORT", requires = "kafka", value_parser = host_and_port)]
    pub mariadb: Option<(String, u16)>,
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("HOST:PORT is expected")?;
    Ok((host.to_owned(), port.parse().map_err(|_| "the port is no number from 1 to 65535")?))
}

/// The servers of a shop.
#[derive(Debug, Clone)]
pub struct Servers {
    kafka: String,
    connect: Connect,
    catalog: Database,
    orders: Database,
    pricing: Database,
}

impl Servers {
    /// The servers that were named; `None` when the shop lives in files.
    pub(super) fn of(options: &ServerOptions) -> Option<Servers> {
        let password = |variable| std::env::var(variable).unwrap_or_default();
        let postgres = |name: &str| {
            let (host, port) = options.postgres.clone()?;
            let (user, password) = ("postgres".into(), password("POSTGRES_PASSWORD"));
            Some(Database { client: Client::Psql, host, port, user, password, name: name.into() })
        };
        let (host, port) = options.mariadb.clone()?;
        let (user, password) = ("debezium".into(), password("MARIADB_PASSWORD"));
        let pricing = Database { client: Client::MariaDb, host, port, user, password, name: "pricing".into() };
        let (catalog, orders) = (postgres("catalog")?, postgres("orders")?);
        let connect = Connect::at(options.connect.clone()?);
        Some(Servers { kafka: options.kafka.clone()?, connect, catalog, orders, pricing })
    }

    /// The database of a service, if it is one.
    fn database(&self, service: Service) -> Option<&Database> {
        match service {
            Service::Catalog => Some(&self.catalog),
            Service::Orders => Some(&self.orders),
            Service::Pricing => Some(&self.pricing),
            Service::Inventory | Service::Reviews => None,
        }
    }

    /// A connection as the service itself would have one.
    pub(super) fn open(&self, shop: &Shop, service: Service) -> Result<Box<dyn Store>, StoreError> {
        Ok(match (self.database(service), service) {
            (Some(database), _) => Box::new(Session::open(database)?),
            (None, Service::Reviews) => Box::new(Events::open(shop.open(service)?, &self.kafka)?),
            (None, _) => Box::new(File(shop.open(service)?)),
        })
    }

    /// Puts what was seeded into files where it belongs.
    pub(super) fn move_in(&self, shop: &Shop, stop: &dyn Fn() -> bool) -> Result<(), StoreError> {
        for service in Service::ALL {
            let file = shop.open(service)?;
            match self.database(service) {
                Some(database) => {
                    fill(database, service, &file, stop)?;
                    drop(file);
                    _ = std::fs::remove_file(shop.path(service));
                }
                None if service == Service::Reviews => Events::open(file, &self.kafka)?.publish_all(stop)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Has Debezium follow the databases that come by Kafka.
    pub(super) async fn connect(&self) -> Result<(), ConnectError> {
        self.connect.put("catalog", &connector::of_postgres(&self.catalog)).await?;
        self.connect.put("pricing", &connector::of_mariadb(&self.pricing, &self.kafka)).await
    }

    /// The declarations of the tables.
    pub(super) fn declarations(&self) -> String {
        DECLARATIONS
            .replace("KAFKA", &self.kafka)
            .replace("POSTGRES_HOST", &self.orders.host)
            .replace("POSTGRES_PORT", &self.orders.port.to_string())
    }

    /// Copies what is not in files that Vantage follows into one SQLite file, for the check.
    pub(super) fn copy(&self, shop: &Shop, path: &Path) -> Result<(), StoreError> {
        _ = std::fs::remove_file(path);
        let copy = Connection::open(path)?;
        copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
        for service in Service::ALL {
            let before = tables(&copy)?;
            copy.execute_batch(service.tables())?;
            let mut tables = tables(&copy)?;
            tables.retain(|it| !before.contains(it));
            if let Some(database) = self.database(service) {
                copy_tables(&copy, &mut Session::open(database)?, &tables)?;
                continue;
            }
            copy.execute("ATTACH ?1 AS file", [shop.path(service).to_string_lossy()])?;
            for table in tables {
                copy.execute_batch(&format!("INSERT INTO main.{table} SELECT * FROM file.{table}"))?;
            }
            copy.execute_batch("DETACH file")?;
        }
        Ok(())
    }

    /// What writes to the prices as their owner does, for whoever tries the demo.
    pub(super) fn pricing_client(&self) -> String {
        let Database { host, port, user, name, .. } = &self.pricing;
        format!("MYSQL_PWD=$MARIADB_PASSWORD mariadb --skip-ssl -h {host} -P {port} -u {user} {name} -e")
    }
}

/// Makes a database with the service's tables and the rows of its file.
fn fill(database: &Database, service: Service, file: &Connection, stop: &dyn Fn() -> bool) -> Result<(), StoreError> {
    let anywhere = match database.client {
        Client::Psql => "postgres",
        Client::MariaDb => "information_schema",
    };
    let name = &database.name;
    Session::open(&Database { name: anywhere.into(), ..database.clone() })?.ask(&format!("CREATE DATABASE {name}"))?;
    let mut session = Session::open(database)?;
    session.ask(&service.tables().replace(" INTEGER", " BIGINT").replace(" WITHOUT ROWID", ""))?;
    for table in tables(file)? {
        let mut select = file.prepare(&format!("SELECT * FROM {table}"))?;
        let width = select.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let cells: Result<Vec<String>, _> = (0..width).map(|at| Ok(literal(&row.get::<_, Value>(at)?))).collect();
            cells.map(|cells| format!("({})", cells.join(", ")))
        };
        let rows: Vec<String> = select.query_map([], row)?.collect::<Result<_, rusqlite::Error>>()?;
        for rows in rows.chunks(ROWS_AT_ONCE) {
            if stop() {
                return Ok(());
            }
            session.ask(&format!("INSERT INTO {table} VALUES {}", rows.join(", ")))?;
        }
    }
    session.ask(service.indexes())?;
    Ok(())
}

/// Copies all rows of these tables of the session's database.
fn copy_tables(copy: &Connection, session: &mut Session, tables: &[String]) -> Result<(), StoreError> {
    copy.execute_batch("BEGIN")?;
    for table in tables {
        for row in session.rows(&format!("SELECT * FROM {table}"))? {
            let places: Vec<String> = (1..=row.len()).map(|at| format!("?{at}")).collect();
            let insert = format!("INSERT INTO {table} VALUES ({})", places.join(", "));
            copy.prepare_cached(&insert)?.execute(rusqlite::params_from_iter(row))?;
        }
    }
    Ok(copy.execute_batch("COMMIT")?)
}

/// The tables of a service's file, those that others refer to first.
fn tables(file: &Connection) -> Result<Vec<String>, StoreError> {
    // What begins with an underscore is the log of capture.
    let mut select = file.prepare(
        "SELECT name FROM sqlite_master
         WHERE type = 'table' AND name NOT GLOB '[_]*' AND name NOT GLOB 'sqlite*' ORDER BY rowid",
    )?;
    let names = select.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
