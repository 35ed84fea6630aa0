//! Messages in Avro, with a double of the registry that has their schemas: the documented requests, and faults.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use tokio::runtime::Runtime;
use vantage::change::SourceHealth;

use super::stand::*;

/// What a registry does instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It says that something is wrong with it.
    Status(u16),
    /// It says nothing.
    Silent,
}

#[derive(Debug, Default)]
struct Held {
    /// Status and body by path.
    answers: BTreeMap<String, (u16, String)>,
    fault: Option<Fault>,
    /// The paths that were asked for, with who asked.
    asked: Vec<(String, Option<String>)>,
}

/// A registry in this process.
struct Registry {
    held: Arc<Mutex<Held>>,
    address: SocketAddr,
    _runtime: Runtime,
}

impl Registry {
    fn new() -> Registry {
        let held = Arc::new(Mutex::new(Held::default()));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
        let listener = TcpListener::bind("127.0.0.1:0").expect("free port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("address");
        let app = Router::new().fallback(answer).with_state(Arc::clone(&held));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, app).await
        });
        Registry { held, address, _runtime: runtime }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("lock")
    }

    fn answers(&self, path: &str, status: u16, body: &str) {
        self.held().answers.insert(path.into(), (status, body.into()));
    }

    /// As Confluent's registry answers.
    fn schema(&self, id: i32, schema: &str) {
        self.answers(&format!("/schemas/ids/{id}"), 200, &serde_json::json!({ "schema": schema }).to_string());
    }

    fn fault(&self, fault: Option<Fault>) {
        self.held().fault = fault;
    }

    fn asked(&self) -> Vec<String> {
        self.held().asked.iter().map(|it| it.0.clone()).collect()
    }

    /// Waits until it was asked more often than `before`.
    fn wait_asked(&self, engine: &vantage::engine::Engine, before: usize) {
        wait_for("a request to the registry", engine, || (self.held().asked.len() > before).then_some(()));
    }
}

async fn answer(State(held): State<Arc<Mutex<Held>>>, uri: Uri, headers: HeaderMap) -> (StatusCode, String) {
    let (answer, fault) = {
        let mut held = held.lock().expect("lock");
        let user = headers.get("authorization").map(|it| it.to_str().expect("a text").to_owned());
        held.asked.push((uri.path().to_owned(), user));
        (held.answers.get(uri.path()).cloned(), held.fault)
    };
    match fault {
        Some(Fault::Silent) => std::future::pending().await,
        Some(Fault::Status(status)) => (StatusCode::from_u16(status).expect("a status"), "sorry".into()),
        None => {
            let missing = || (404, r#"{"error_code":40403,"message":"Schema not found"}"#.to_owned());
            let (status, body) = answer.unwrap_or_else(missing);
            (StatusCode::from_u16(status).expect("a status"), body)
        }
    }
}

const FIRST: &str = r#"{"type":"record","name":"Stock","namespace":"shop","fields":[{"name":"n","type":"long"}]}"#;
const SECOND: &str = r#"{"type":"record","name":"Stock","namespace":"shop","fields":[{"name":"where","type":"string"},{"name":"n","type":["null","long"],"default":null}]}"#;

const VIEWS: &str = "CREATE SOURCE shop WITH (connector = 'kafka', properties.bootstrap.server = 'SERVERS', REGISTRY);\n\
    CREATE TABLE stock (id BIGINT PRIMARY KEY, n BIGINT) FROM shop TABLE 'stock' FORMAT UPSERT ENCODE AVRO;\n\
    CREATE TABLE plain (id BIGINT PRIMARY KEY, n BIGINT) FROM shop TABLE 'plain' FORMAT UPSERT ENCODE JSON;\n\
    CREATE MATERIALIZED VIEW s AS SELECT id, n FROM stock;\n\
    CREATE MATERIALIZED VIEW p AS SELECT id, n FROM plain;\n";

fn views(registry: &Registry, more: &str) -> String {
    VIEWS.replace("REGISTRY", &format!("schema.registry.url = 'http://{}'{more}", registry.address))
}

fn stand(registry: &Registry, more: &str) -> Stand {
    Stand::new(Cluster::new(1, &[("stock", 1), ("plain", 1)]), &views(registry, more))
}

fn framed(id: i32, schema: &str, value: Value) -> Vec<u8> {
    let schema = Schema::parse_str(schema).expect("a schema");
    let writer = GenericDatumWriter::builder(&schema).build().expect("a writer");
    [&[0][..], &id.to_be_bytes(), &writer.write_value_to_vec(value).expect("a value")].concat()
}

fn first(n: i64) -> Vec<u8> {
    framed(1, FIRST, Value::Record(vec![("n".into(), Value::Long(n))]))
}

fn second(n: i64) -> Vec<u8> {
    let n = Value::Union(1, Box::new(Value::Long(n)));
    framed(2, SECOND, Value::Record(vec![("where".into(), Value::String("here".into())), ("n".into(), n)]))
}

fn send(stand: &Stand, id: i64, value: &[u8]) {
    stand.cluster.send_bytes("stock", 0, id.to_string().as_bytes(), value);
    stand.cluster.flush();
}

#[test]
fn each_schema_is_asked_for_once() {
    let registry = Registry::new();
    registry.schema(1, FIRST);
    registry.schema(2, SECOND);
    let stand = stand(&registry, "");
    for id in 0..20 {
        send(&stand, id, &first(id));
    }
    let engine = stand.ready();
    assert_eq!(rows(&engine, "s").len(), 20);
    for id in 0..20 {
        send(&stand, id, &if id % 2 == 0 { first(id + 1) } else { second(id + 1) });
    }
    catch_up(&stand, &engine, "shop");
    let expected: Vec<String> = (0..20).map(|id| format!("{id} | {}", id + 1)).collect();
    assert_eq!(rows(&engine, "s"), expected);
    assert_eq!(registry.asked(), ["/schemas/ids/1", "/schemas/ids/2"]);
    engine.stop().expect("stop");
}

#[test]
fn a_schema_may_refer_to_others_and_the_registry_may_want_a_password() {
    let registry = Registry::new();
    let money = r#"{"type":"record","name":"Money","namespace":"shop","fields":[{"name":"cents","type":"Cents"}]}"#;
    let cents = r#"{"type":"fixed","name":"Cents","namespace":"shop","size":2,"logicalType":"decimal","precision":4}"#;
    let text = r#"{"type":"record","name":"Stock","namespace":"shop","fields":[{"name":"n","type":"Cents"},{"name":"more","type":"Money"}]}"#;
    let reference = |subject: &str| serde_json::json!({ "name": "x", "subject": subject, "version": 3 });
    let body = serde_json::json!({ "schema": text, "schemaType": "AVRO",
        "references": [reference("a money"), reference("cents")] });
    registry.answers("/schemas/ids/1", 200, &body.to_string());
    let body = serde_json::json!({ "subject": "a money", "version": 3, "id": 7, "schema": money,
        "references": [reference("cents")] });
    registry.answers("/subjects/a%20money/versions/3", 200, &body.to_string());
    registry.answers("/subjects/cents/versions/3", 200, &serde_json::json!({ "schema": cents }).to_string());
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "hunter2\n").expect("writable");
    let more =
        format!(", schema.registry.username = 'reader', schema.registry.password_file = '{}'", secret.path().display());
    let stand = stand(&registry, &more);
    send(&stand, 1, &[0, 0, 0, 0, 1, 0x00, 0x2a, 0x00, 0x01]);
    let engine = stand.ready();
    assert_eq!(rows(&engine, "s"), ["1 | 42"]);
    let held = registry.held();
    assert!(held.asked.iter().all(|it| it.1.as_deref() == Some("Basic cmVhZGVyOmh1bnRlcjI=")), "{:?}", held.asked);
    drop(held);
    engine.stop().expect("stop");
}

#[test]
fn a_registry_that_does_not_answer_is_waited_for_and_nothing_is_lost() {
    let registry = Registry::new();
    registry.schema(1, FIRST);
    registry.schema(2, SECOND);
    let stand = stand(&registry, ", schema.registry.timeout = '200ms'");
    stand.cluster.send("plain", 0, &Sent::new("1", "{\"n\":1}"));
    send(&stand, 1, &first(1));
    // While everything is copied.
    registry.fault(Some(Fault::Status(503)));
    let engine = stand.start();
    let told = health(&engine, |it| matches!(it, SourceHealth::Retrying { .. })).to_string();
    assert!(told.contains("the schema registry at http://127.0.0.1") && told.contains("503"), "{told}");
    registry.fault(None);
    wait_rows(&engine, "s", &["1 | 1"]);
    wait_rows(&engine, "p", &["1 | 1"]);
    // And later, when a new schema comes.
    for (fault, id) in [(Fault::Silent, 2), (Fault::Status(500), 3), (Fault::Status(429), 4)] {
        let before = registry.held().asked.len();
        registry.fault(Some(fault));
        registry.schema(id, SECOND);
        let mut value = second(i64::from(id));
        value[4] = u8::try_from(id).expect("small");
        send(&stand, i64::from(id), &value);
        registry.wait_asked(&engine, before);
        let told = health(&engine, |it| matches!(it, SourceHealth::Retrying { .. })).to_string();
        assert!(told.contains("the schema registry at"), "{told}");
        // What was read stays readable.
        assert_eq!(rows(&engine, "s").len(), id as usize - 1);
        registry.fault(None);
        catch_up(&stand, &engine, "shop");
        health(&engine, |it| *it == SourceHealth::Streaming);
    }
    assert_eq!(rows(&engine, "s"), ["1 | 1", "2 | 2", "3 | 3", "4 | 4"]);
    engine.stop().expect("stop");
}

#[test]
fn a_stop_does_not_wait_for_a_registry() {
    let registry = Registry::new();
    registry.fault(Some(Fault::Silent));
    // Longer than the test waits for anything.
    let stand = stand(&registry, ", schema.registry.timeout = '10 minutes'");
    send(&stand, 1, &first(1));
    let engine = stand.start();
    registry.wait_asked(&engine, 0);
    engine.stop().expect("stop");
}

#[test]
fn who_is_not_let_in_is_told() {
    for (status, body) in [(401, "who are you"), (403, "not you"), (404, "<html>nothing here</html>")] {
        let registry = Registry::new();
        registry.answers("/schemas/ids/1", status, body);
        let stand = stand(&registry, "");
        send(&stand, 1, &first(1));
        let engine = stand.start();
        let told = health(&engine, |it| matches!(it, SourceHealth::Halted { .. })).to_string();
        assert!(told.contains(&status.to_string()) && told.contains(body), "{told}");
        engine.stop().expect("stop");
    }
}

#[test]
fn a_schema_that_nobody_knows_halts_its_table_and_no_other() {
    let registry = Registry::new();
    registry.schema(1, FIRST);
    registry.answers("/schemas/ids/8", 200, r#"{"schema":"syntax = \"proto3\";","schemaType":"PROTOBUF"}"#);
    let stand = stand(&registry, "");
    send(&stand, 1, &first(1));
    let engine = stand.ready();
    let mut value = first(2);
    value[4] = 9;
    send(&stand, 2, &value);
    let reason = trouble(&engine, "stock");
    for part in ["topic \"stock\"", "partition 0", "offset 1", "the id 9", "does not know"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    stand.cluster.send("plain", 0, &Sent::new("1", "{\"n\":1}"));
    wait_rows(&engine, "p", &["1 | 1"]);
    assert_eq!(rows(&engine, "s"), ["1 | 1"]);
    engine.stop().expect("stop");
    // Once it is registered a start reads on.
    registry.schema(9, FIRST);
    let engine = stand.ready();
    wait_rows(&engine, "s", &["1 | 1", "2 | 2"]);
    value[4] = 8;
    send(&stand, 3, &value);
    let reason = trouble(&engine, "stock");
    assert!(reason.contains("of type PROTOBUF"), "{reason}");
    engine.stop().expect("stop");
}

#[test]
fn apicurio_has_its_own_interface() {
    let cents = r#"{"type":"fixed","name":"Cents","namespace":"shop","size":2,"logicalType":"decimal","precision":4}"#;
    let text = r#"{"type":"record","name":"Stock","namespace":"shop","fields":[{"name":"n","type":"Cents"}]}"#;
    for (base, schema, content, id) in [
        ("/apis/registry/v2", "/ids/globalIds/5", "", &[0, 0, 0, 0, 0, 0, 0, 0, 5][..]),
        ("/apis/registry/v3", "/ids/contentIds/5", "/content", &[0, 0, 0, 0, 5]),
    ] {
        let registry = Registry::new();
        registry.answers(&format!("{base}{schema}"), 200, text);
        let reference = r#"[{"groupId":"shop","artifactId":"cents","version":"1.0","name":"shop.Cents"}]"#;
        registry.answers(&format!("{base}{schema}/references"), 200, reference);
        let version = "/groups/shop/artifacts/cents/versions/1.0";
        registry.answers(&format!("{base}{version}{content}"), 200, cents);
        registry.answers(&format!("{base}{version}/references"), 200, "[]");
        let mut stand = stand(&registry, "");
        let address = registry.address.to_string();
        stand = stand.rewritten(&views(&registry, "").replace(&address, &format!("{address}{base}")));
        send(&stand, 1, &[id, &[0x00, 0x2a]].concat());
        let engine = stand.ready();
        assert_eq!(rows(&engine, "s"), ["1 | 42"]);
        engine.stop().expect("stop");
    }
}

#[test]
fn a_mistake_in_what_is_said_of_a_registry_stops_the_start() {
    let registry = Registry::new();
    let stand = stand(&registry, "");
    let url = format!("schema.registry.url = 'http://{}'", registry.address);
    for (instead, expected) in [
        ("on_gap = 'halt'", "the source does not say which registry has them"),
        ("schema.registry.url = 'localhost:8081'", "\"localhost:8081\" is no address of a registry"),
        ("schema.registry.url = 'http://me:hunter2@localhost:8081'", "the registry's address has a password in it"),
        ("schema.registry.url = 'http://r', schema.registry.password = 'hunter2'", "is a secret and may not stand"),
        ("schema.registry.url = 'http://r', schema.registry.use.id = 'contentId'", "is for Apicurio's own interface"),
        ("schema.registry.url = 'http://r', schema.registry.id.bytes = '5'", "is not one of 4, 8"),
    ] {
        let error = stand.refused(&views(&registry, "").replace(&url, instead));
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn certificates_that_cannot_be_read_are_named() {
    let registry = Registry::new();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "no certificate").expect("writable");
    let stand = stand(&registry, &format!(", schema.registry.ca.location = '{}'", file.path().display()));
    send(&stand, 1, &first(1));
    let engine = stand.start();
    let told = health(&engine, |it| matches!(it, SourceHealth::Halted { .. })).to_string();
    assert!(told.contains(&file.path().display().to_string()) && told.contains("certificate"), "{told}");
    engine.stop().expect("stop");
    // A registry that does not speak TLS is one that does not answer.
    let stand = stand.rewritten(&views(&registry, "").replace("http://", "https://"));
    let engine = stand.start();
    let told = health(&engine, |it| matches!(it, SourceHealth::Retrying { .. })).to_string();
    assert!(told.contains("does not answer"), "{told}");
    engine.stop().expect("stop");
}
