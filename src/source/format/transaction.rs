//! What Debezium says of its database's transactions: which one an event belongs to, and what one consisted of.

use super::connect::Wrapping;
use super::json::{Members, utf8, word};
use super::message::Poison;

/// The transaction that an event belongs to, as the event says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) struct Member<'a> {
    /// The transaction.
    pub(in crate::source) id: &'a str,
    /// Which of the transaction's events of its table it is.
    pub(in crate::source) order: u64,
    /// The connector that sent it, which is also what its topics begin with.
    pub(in crate::source) connector: &'a str,
    /// Database, schema and table, as far as the database has them.
    pub(in crate::source) table: [&'a str; 3],
}

impl Member<'_> {
    /// What its table may be called where an END counts events; databases differ in that.
    pub(in crate::source) fn collections(&self) -> [String; 3] {
        let [database, schema, table] = self.table;
        [format!("{schema}.{table}"), format!("{database}.{table}"), format!("{database}.{schema}.{table}")]
    }
}

/// What a record of the topic of transactions says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) enum Boundary {
    /// A transaction began, or it is a record of another kind.
    Other,
    /// A transaction is over.
    End {
        /// Which one.
        id: String,
        /// By data collection, how many events it had.
        counts: Vec<(String, u64)>,
    },
}

/// Reads both, one after the other.
#[derive(Debug)]
pub(in crate::source) struct TransactionReader {
    wrapping: Wrapping,
    envelope: Members,
    block: Members,
    source: Members,
    boundary: Members,
    count: Members,
}

impl TransactionReader {
    pub(in crate::source) fn new() -> TransactionReader {
        TransactionReader {
            wrapping: Wrapping::new(),
            envelope: Members::listed(&["transaction", "source"]),
            block: Members::listed(&["id", "data_collection_order"]),
            source: Members::listed(&["name", "db", "schema", "table"]),
            boundary: Members::listed(&["status", "id", "data_collections"]),
            count: Members::listed(&["data_collection", "event_count"]),
        }
    }

    /// The transaction of an event; none of a tombstone, a heartbeat, a row of a snapshot, or what is no event at all.
    pub(in crate::source) fn member<'a>(&mut self, value: Option<&'a [u8]>) -> Option<Member<'a>> {
        let (_, json) = self.wrapping.unwrap(std::str::from_utf8(value?).ok()?);
        let envelope = self.envelope.read(json).ok()?;
        let block = self.block.read(envelope[0].filter(|it| *it != "null")?).ok()?;
        let source = self.source.read(envelope[1]?).ok()?;
        let text = |at: usize| source[at].and_then(word).unwrap_or_default();
        Some(Member {
            id: transaction(word(block[0]?)?),
            order: block[1]?.parse().ok()?,
            connector: text(0),
            table: [text(1), text(2), text(3)],
        })
    }

    /// What a record of the topic of transactions says.
    pub(in crate::source) fn boundary(&mut self, value: Option<&[u8]>) -> Result<Boundary, Poison> {
        let Some(value) = value else { return Ok(Boundary::Other) };
        let (_, json) = self.wrapping.unwrap(utf8(value, "the record")?);
        let members = self.boundary.read(json)?;
        if members[0].and_then(word) != Some("END") {
            return Ok(Boundary::Other);
        }
        let id = members[1].and_then(word).ok_or("the END of a transaction has no \"id\"")?;
        let listed: Vec<&serde_json::value::RawValue> = match members[2] {
            None | Some("null") => Vec::new(),
            Some(list) => serde_json::from_str(list).map_err(|error| format!("\"data_collections\": {error}"))?,
        };
        let mut counts = Vec::new();
        for it in listed {
            let members = self.count.read(it.get())?;
            let name = members[0].and_then(word).ok_or("a data collection has no name")?;
            let count = members[1].and_then(|it| it.parse().ok()).ok_or("a data collection has no count of events")?;
            counts.push((name.to_owned(), count));
        }
        Ok(Boundary::End { id: transaction(id).into(), counts })
    }
}

/// What tells transactions apart in an id. PostgreSQL's is a number and a place in the log, and the place in the one on the
/// END is another one than in the one on the events. MySQL's has a colon too, behind what is no number.
fn transaction(id: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    match id.split_once(':') {
        Some((number, place)) if is_number(number) && is_number(place) => number,
        _ => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#""source":{"version":"3.5.0.Final","connector":"postgresql","name":"shop","db":"shop","schema":"public","table":"stock","txId":727}"#;

    fn member(json: &str) -> Option<(String, u64, String, [String; 3])> {
        let mut reader = TransactionReader::new();
        let it = reader.member(Some(json.as_bytes()))?;
        Some((it.id.into(), it.order, it.connector.into(), it.collections()))
    }

    #[test]
    fn an_event_says_which_transaction_it_belongs_to() {
        let block = r#""transaction":{"id":"727:22536408","total_order":2,"data_collection_order":1}"#;
        let plain = format!(r#"{{"before":null,"after":{{"id":1}},{SOURCE},"op":"c",{block}}}"#);
        let wrapped = format!(r#"{{"schema":{{"type":"struct"}},"payload":{plain}}}"#);
        for json in [plain, wrapped] {
            let (id, order, connector, collections) = member(&json).expect("a member");
            assert_eq!((id.as_str(), order, connector.as_str()), ("727", 1, "shop"));
            assert_eq!(collections, ["public.stock", "shop.stock", "shop.public.stock"]);
        }
        let maria = r#"{"after":{"id":1},"source":{"name":"m","db":"inventory","table":"t"},"op":"c","transaction":{"id":"0-7-6","total_order":1,"data_collection_order":1}}"#;
        let (id, _, _, collections) = member(maria).expect("a member");
        assert_eq!((id.as_str(), collections[1].as_str()), ("0-7-6", "inventory.t"));
        for json in [
            format!(r#"{{"after":{{"id":1}},{SOURCE},"op":"r","transaction":null}}"#),
            format!(r#"{{"after":{{"id":1}},{SOURCE},"op":"r"}}"#),
            r#"{"ts_ms":1}"#.into(),
            "null".into(),
            "no JSON".into(),
        ] {
            assert_eq!(member(&json), None, "{json}");
        }
        assert_eq!(TransactionReader::new().member(None), None);
    }

    #[test]
    fn an_end_counts_events_and_a_beginning_does_not() {
        let boundary = |json: &str| TransactionReader::new().boundary(Some(json.as_bytes()));
        let end = r#"{"status":"END","id":"727:22536736","event_count":2,"data_collections":[{"data_collection":"public.stock","event_count":1},{"data_collection":"public.products","event_count":1}],"ts_ms":1}"#;
        let counts = vec![("public.stock".into(), 1), ("public.products".into(), 1)];
        assert_eq!(boundary(end), Ok(Boundary::End { id: "727".into(), counts }));
        let begin = r#"{"status":"BEGIN","id":"727:22536408","event_count":null,"data_collections":null,"ts_ms":1}"#;
        assert_eq!(boundary(begin), Ok(Boundary::Other));
        let empty = r#"{"status":"END","id":"0-7-6","event_count":0,"data_collections":null}"#;
        assert_eq!(boundary(empty), Ok(Boundary::End { id: "0-7-6".into(), counts: Vec::new() }));
        assert_eq!(TransactionReader::new().boundary(None), Ok(Boundary::Other));
        for broken in [r#"{"status":"END"}"#, r#"{"status":"END","id":"1","data_collections":[{}]}"#, "{", "7"] {
            assert!(boundary(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn only_postgres_has_a_place_in_its_ids() {
        for (id, expected) in [
            ("727:22536408", "727"),
            ("0-7-6", "0-7-6"),
            ("3e11fa47-71ca-11e1-9e33-c80aa9429562:23", "3e11fa47-71ca-11e1-9e33-c80aa9429562:23"),
            ("file=b.000003,pos=1234", "file=b.000003,pos=1234"),
            ("727:", "727:"),
            ("", ""),
        ] {
            assert_eq!(transaction(id), expected);
        }
    }
}
