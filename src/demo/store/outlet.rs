//! Publishes CloudEvents in Kafka's binary mode: the attributes are headers, the data is the message.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value as Json, json};

use super::StoreError;

/// The topic of the reviews.
const TOPIC: &str = "shop.reviews";

/// The type of the event of a review that is as its data says.
const WRITTEN: &str = "shop.review.written";

/// The type of the event of a review that is gone.
const DELETED: &str = "shop.review.deleted";

/// How long the brokers may take for what was sent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Events this process has sent: no two have the same id.
static SENT: AtomicU64 = AtomicU64::new(0);

/// What publishes the events.
pub(super) struct Outlet(BaseProducer);

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outlet")
    }
}

impl Outlet {
    pub(super) fn open(servers: &str) -> Result<Outlet, StoreError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("linger.ms", "1").set("enable.idempotence", "true");
        Ok(Outlet(config.create().map_err(failed)?))
    }

    /// A review is as `data` says, or gone.
    pub(super) fn send(&mut self, id: i64, data: Option<Json>) -> Result<(), StoreError> {
        let number = SENT.fetch_add(1, Ordering::Relaxed);
        let kind = if data.is_some() { WRITTEN } else { DELETED };
        let attributes = [
            ("ce_specversion", "1.0"),
            ("ce_type", kind),
            ("ce_source", "/shop/reviews"),
            ("ce_id", &number.to_string()),
            ("ce_subject", &id.to_string()),
            ("content-type", "application/json"),
        ];
        let headers = attributes.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value.as_bytes()) })
        });
        let (key, body) = (id.to_string(), data.unwrap_or_else(|| json!({ "id": id })).to_string());
        let mut record = BaseRecord::to(TOPIC).key(&key).payload(&body).headers(headers);
        // A full queue empties while it is looked after.
        while let Err((error, again)) = self.0.send(record) {
            if error.rdkafka_error_code() != Some(rdkafka::types::RDKafkaErrorCode::QueueFull) {
                return Err(failed(error));
            }
            self.0.poll(Duration::from_millis(10));
            record = again;
        }
        Ok(())
    }

    /// Waits until the brokers have all of it.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        self.0.flush(PATIENCE).map_err(failed)
    }
}

fn failed(error: rdkafka::error::KafkaError) -> StoreError {
    StoreError::Event(error.to_string())
}
