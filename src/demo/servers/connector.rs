//! Debezium's connectors over the databases of the shop.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};

use super::Database;
use crate::demo::client::{Client, ClientError};

/// A worker that has just started balances before it takes connectors.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a connector was not made.
#[derive(Debug, thiserror::Error)]
#[error("Kafka Connect at {host}:{port} did not take the connector {name}: {error}")]
pub struct ConnectError {
    host: String,
    port: u16,
    name: &'static str,
    error: ClientError,
}

/// A worker of Kafka Connect.
#[derive(Debug, Clone)]
pub(super) struct Connect {
    host: String,
    port: u16,
}

impl Connect {
    pub(super) fn at((host, port): (String, u16)) -> Connect {
        Connect { host, port }
    }

    /// Makes a connector, or gives it this configuration.
    pub(super) async fn put(&self, name: &'static str, config: &Value) -> Result<(), ConnectError> {
        let path = format!("/connectors/{name}/config");
        let start = Instant::now();
        loop {
            let Err(error) = self.try_put(&path, Bytes::from(config.to_string())).await else { return Ok(()) };
            if start.elapsed() > PATIENCE {
                return Err(ConnectError { host: self.host.clone(), port: self.port, name, error });
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn try_put(&self, path: &str, body: Bytes) -> Result<(), ClientError> {
        let mut addresses = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
        let address = addresses.next().ok_or_else(|| std::io::Error::other("the host has no address"))?;
        Client::connect(address, None).await?.put(path, body).await?;
        Ok(())
    }
}

/// What both connectors have in common: messages are JSON without schemas.
fn common(database: &Database) -> Value {
    json!({
        "tasks.max": "1",
        "topic.prefix": database.name,
        "database.hostname": database.host,
        "database.port": database.port.to_string(),
        "database.user": database.user,
        "database.password": database.password,
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "false",
        "provide.transaction.metadata": "true",
        // How long a change may lie at the connector before it is handed on.
        "poll.interval.ms": "5",
    })
}

pub(super) fn of_postgres(database: &Database) -> Value {
    let mut config = common(database);
    config["connector.class"] = json!("io.debezium.connector.postgresql.PostgresConnector");
    config["database.dbname"] = json!(database.name);
    config["plugin.name"] = json!("pgoutput");
    config["slot.name"] = json!("debezium_catalog");
    config
}

pub(super) fn of_mariadb(database: &Database, kafka: &str) -> Value {
    let mut config = common(database);
    config["connector.class"] = json!("io.debezium.connector.mariadb.MariaDbConnector");
    config["database.ssl.mode"] = json!("disable");
    config["database.server.id"] = json!("8");
    config["database.include.list"] = json!(database.name);
    config["schema.history.internal.kafka.bootstrap.servers"] = json!(kafka);
    config["schema.history.internal.kafka.topic"] = json!("pricing.history");
    config
}
