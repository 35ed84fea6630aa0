//! Writes a review into a topic of Kafka, and reads it from Vantage: `read_your_write BROKERS URL`

use std::error::Error;
use std::sync::Mutex;
use std::time::Duration;

use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

/// The place of what was written last: partition and offset.
#[derive(Default)]
struct Delivered(Mutex<Option<(i32, i64)>>);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let place = result.as_ref().ok().map(|message| (message.partition(), message.offset()));
        *self.0.lock().expect("nobody panics with it") = place;
    }
}

/// Publishes a review; returns its place.
fn write_review(brokers: &str, id: &str, product: i64, stars: i64) -> Result<String, Box<dyn Error>> {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", brokers).set("acks", "all");
    let producer: BaseProducer<Delivered> = settings.create_with_context(Delivered::default())?;
    let review = serde_json::json!({ "id": id, "product_id": product, "stars": stars }).to_string();
    producer.send(BaseRecord::to("reviews").key(id).payload(&review)).map_err(|(error, _)| error)?;
    producer.flush(Duration::from_secs(10))?;
    let place = *producer.context().0.lock().expect("nobody panics with it");
    let (partition, offset) = place.ok_or("the review was not delivered")?;
    Ok(format!("reviews@{partition}:{offset}"))
}

/// Reads the product's card as of that place or a later one; 503 when that takes longer than five seconds.
async fn read_card(url: &str, product: i64, after: &str) -> Result<serde_json::Value, Box<dyn Error>> {
    let request = reqwest::Client::new().get(format!("{url}/v1/views/card/{product}"));
    let answer = request.header("Vantage-After", after).header("Vantage-Timeout-Ms", "5000").send().await?;
    let answer = answer.error_for_status()?.bytes().await?;
    Ok(serde_json::from_slice(&answer)?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, url] = arguments.as_slice() else { return Err("read_your_write BROKERS URL".into()) };
    let stars = i64::from(std::process::id());
    // A product of its own has one review: this one, whose id is always the same.
    let product = 3;
    let after = write_review(brokers, "from Rust", product, stars)?;
    let card = read_card(url, product, &after).await?;
    println!("wrote {stars} stars at {after}, read {card}");
    if card["stars"] != stars {
        return Err("the card does not have the review that was written".into());
    }
    Ok(())
}
