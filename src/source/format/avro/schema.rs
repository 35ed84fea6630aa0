//! What a schema says: types, names that refer to types, and what values mean.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value as Json};

use crate::change::DataType;
use crate::change::text::bytes::Alphabet;
use crate::source::format::encoding::{Binary, Encoding, Modes, Unit};

/// A schema. Its types refer to each other by their places, since a record may hold itself.
#[derive(Debug, Clone)]
pub(super) struct Schema {
    nodes: Vec<Node>,
    pub(super) root: usize,
}

/// A type, and what its values mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) meaning: Meaning,
}

/// A type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<(String, usize)>),
}

/// What the values of a type mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// What the type says.
    Plain,
    /// What a name says.
    Encoded(Encoding),
    /// Sixteen bytes, or a text.
    Uuid,
    /// Months, days and milliseconds.
    Duration,
    /// A record of a scale and an unscaled integer.
    VariableScale,
}

impl Schema {
    /// Reads a schema. The `references` are schemas whose names it may use, each behind those that it uses itself.
    pub(super) fn parse(text: &str, references: &[String]) -> Result<Schema, String> {
        let mut parser = Parser { nodes: Vec::new(), named: HashMap::new() };
        for reference in references {
            parser.text(reference)?;
        }
        let root = parser.text(text)?;
        Ok(Schema { nodes: parser.nodes, root })
    }

    pub(super) fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    /// The branches of a union; a type that is none is its only one.
    pub(super) fn branches(&self, at: usize) -> Vec<usize> {
        match &self.node(at).kind {
            Kind::Union(branches) => branches.clone(),
            _ => vec![at],
        }
    }

    pub(super) fn is_union(&self, at: usize) -> bool {
        matches!(self.node(at).kind, Kind::Union(_))
    }

    /// How the values of a type are read into a column.
    pub(super) fn encoding(&self, at: usize, data_type: DataType, modes: Modes) -> Encoding {
        let node = self.node(at);
        match (node.meaning, &node.kind) {
            (Meaning::Encoded(encoding), _) => encoding,
            (_, Kind::Bytes | Kind::Fixed(_)) => Encoding::Bytes(Binary::Base64(Alphabet::Standard)),
            (Meaning::VariableScale, _) => Encoding::Unscaled(None),
            _ => Encoding::of_type(data_type, modes),
        }
    }
}

struct Parser {
    nodes: Vec<Node>,
    /// By full name.
    named: HashMap<String, usize>,
}

impl Parser {
    fn text(&mut self, text: &str) -> Result<usize, String> {
        let json: Json = serde_json::from_str(text).map_err(|error| format!("the schema is no JSON: {error}"))?;
        self.schema(&json, "")
    }

    fn schema(&mut self, json: &Json, namespace: &str) -> Result<usize, String> {
        match json {
            Json::String(name) => match primitive(name) {
                Some(kind) => Ok(self.add(kind, Meaning::Plain)),
                None => self.reference(name, namespace),
            },
            Json::Array(branches) => {
                let branches = branches.iter().map(|it| self.schema(it, namespace)).collect::<Result<Vec<_>, _>>()?;
                if branches.is_empty() || branches.iter().any(|it| matches!(self.nodes[*it].kind, Kind::Union(_))) {
                    return Err("the schema has a union of nothing, or in a union".into());
                }
                Ok(self.add(Kind::Union(branches), Meaning::Plain))
            }
            Json::Object(object) => self.object(object, namespace),
            other => Err(format!("the schema has {other} where a type is due")),
        }
    }

    fn add(&mut self, kind: Kind, meaning: Meaning) -> usize {
        self.nodes.push(Node { kind, meaning });
        self.nodes.len() - 1
    }

    fn reference(&self, name: &str, namespace: &str) -> Result<usize, String> {
        let found = self.named.get(&full_name(name, namespace)).or_else(|| self.named.get(name));
        found.copied().ok_or_else(|| format!("the schema uses the type {name:?} and does not say what it is"))
    }

    fn object(&mut self, object: &Map<String, Json>, namespace: &str) -> Result<usize, String> {
        let kind = match object.get("type") {
            Some(Json::String(kind)) => kind.as_str(),
            Some(inner) => return self.schema(inner, namespace),
            None => return Err("the schema has a type without \"type\"".into()),
        };
        if let Some(kind) = primitive(kind) {
            let meaning = meaning(object, &kind);
            return Ok(self.add(kind, meaning));
        }
        match kind {
            "array" => {
                let items = self.schema(member(object, "items")?, namespace)?;
                Ok(self.add(Kind::Array(items), Meaning::Plain))
            }
            "map" => {
                let values = self.schema(member(object, "values")?, namespace)?;
                Ok(self.add(Kind::Map(values), Meaning::Plain))
            }
            "record" | "error" => self.record(object, namespace),
            "enum" => {
                let symbols = member(object, "symbols")?.as_array().into_iter().flatten();
                let symbols = symbols.map(|it| it.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
                let kind = Kind::Enum(symbols.ok_or("the schema has an enum whose symbols are no texts")?);
                self.named(object, namespace, kind).map(|it| it.0)
            }
            "fixed" => {
                let size = member(object, "size")?.as_u64().and_then(|it| usize::try_from(it).ok());
                let kind = Kind::Fixed(size.ok_or("the schema has a fixed without a size")?);
                self.named(object, namespace, kind).map(|it| it.0)
            }
            name => self.reference(name, namespace),
        }
    }

    /// A type that has a name, and the namespace that names in it belong to.
    fn named(&mut self, object: &Map<String, Json>, around: &str, kind: Kind) -> Result<(usize, String), String> {
        let name = member(object, "name")?.as_str().ok_or("the schema has a type whose name is no text")?;
        let own = object.get("namespace").and_then(Json::as_str).unwrap_or(around);
        let name = full_name(name, own);
        let namespace = name.rsplit_once('.').map_or("", |it| it.0).to_owned();
        let meaning = meaning(object, &kind);
        let at = self.add(kind, meaning);
        if self.named.insert(name.clone(), at).is_some() {
            return Err(format!("the schema says twice what the type {name:?} is"));
        }
        Ok((at, namespace))
    }

    fn record(&mut self, object: &Map<String, Json>, around: &str) -> Result<usize, String> {
        // Its own fields may name it.
        let (at, namespace) = self.named(object, around, Kind::Record(Vec::new()))?;
        let fields = member(object, "fields")?.as_array().ok_or("the schema has a record whose fields are no list")?;
        let field = |field: &Json| {
            let field = field.as_object().ok_or("the schema has a field that is no object")?;
            let name = member(field, "name")?.as_str().ok_or("the schema has a field whose name is no text")?;
            Ok((name.to_owned(), self.schema(member(field, "type")?, &namespace)?))
        };
        let fields: Vec<(String, usize)> = fields.iter().map(field).collect::<Result<_, String>>()?;
        let is_scaled = object.get("connect.name").and_then(Json::as_str) == Some(VARIABLE_SCALE)
            && fields
                .iter()
                .map(|it| (it.0.as_str(), &self.nodes[it.1].kind))
                .eq([("scale", &Kind::Int), ("value", &Kind::Bytes)]);
        let meaning = if is_scaled { Meaning::VariableScale } else { Meaning::Plain };
        self.nodes[at] = Node { kind: Kind::Record(fields), meaning };
        Ok(at)
    }
}

const VARIABLE_SCALE: &str = "io.debezium.data.VariableScaleDecimal";

fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        _ => return None,
    })
}

fn member<'j>(object: &'j Map<String, Json>, name: &str) -> Result<&'j Json, String> {
    object.get(name).ok_or_else(|| format!("the schema has a type or field without {name:?}"))
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

/// What the attributes beside a type say of its values: Kafka Connect's name goes before the logical type, since it tells
/// more. One that does not go with the type says nothing, as Avro's specification has it.
fn meaning(object: &Map<String, Json>, kind: &Kind) -> Meaning {
    let parameters: BTreeMap<String, String> = object
        .get("connect.parameters")
        .and_then(Json::as_object)
        .map(|it| it.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect())
        .unwrap_or_default();
    let named = object.get("connect.name").and_then(Json::as_str).and_then(|it| Encoding::of_name(it, &parameters));
    if let Some(Ok(encoding)) = named {
        return Meaning::Encoded(encoding);
    }
    let scale = || object.get("scale").and_then(Json::as_i64).and_then(|it| i32::try_from(it).ok()).unwrap_or(0);
    let encoding = match (object.get("logicalType").and_then(Json::as_str).unwrap_or(""), kind) {
        ("decimal", Kind::Bytes | Kind::Fixed(_)) => Encoding::Unscaled(Some(scale())),
        ("date", Kind::Int) => Encoding::Days,
        ("time-millis", Kind::Int) => Encoding::Clock(Unit::Milliseconds),
        ("time-micros", Kind::Long) => Encoding::Clock(Unit::Microseconds),
        ("timestamp-millis" | "local-timestamp-millis", Kind::Long) => Encoding::Instant(Unit::Milliseconds),
        ("timestamp-micros" | "local-timestamp-micros", Kind::Long) => Encoding::Instant(Unit::Microseconds),
        ("timestamp-nanos" | "local-timestamp-nanos", Kind::Long) => Encoding::Instant(Unit::Nanoseconds),
        ("uuid", Kind::Bytes | Kind::Fixed(16)) => return Meaning::Uuid,
        ("duration", Kind::Fixed(12)) => return Meaning::Duration,
        _ => return Meaning::Plain,
    };
    Meaning::Encoded(encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Result<Node, String> {
        Schema::parse(text, &[]).map(|it| it.node(it.root).clone())
    }

    #[test]
    fn what_values_mean_stands_beside_their_types() {
        let encoded = |encoding| Ok(Meaning::Encoded(encoding));
        for (text, expected) in [
            (r#""long""#, Ok(Meaning::Plain)),
            (r#"{"type":"int","logicalType":"date"}"#, encoded(Encoding::Days)),
            (r#"{"type":"long","logicalType":"date"}"#, Ok(Meaning::Plain)),
            (
                r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":3}"#,
                encoded(Encoding::Unscaled(Some(3))),
            ),
            (
                r#"{"type":"fixed","name":"n","size":5,"logicalType":"decimal","precision":9}"#,
                encoded(Encoding::Unscaled(Some(0))),
            ),
            (r#"{"type":"long","logicalType":"timestamp-nanos"}"#, encoded(Encoding::Instant(Unit::Nanoseconds))),
            (
                r#"{"type":"long","logicalType":"local-timestamp-micros"}"#,
                encoded(Encoding::Instant(Unit::Microseconds)),
            ),
            (r#"{"type":"int","logicalType":"time-millis"}"#, encoded(Encoding::Clock(Unit::Milliseconds))),
            (r#"{"type":"string","logicalType":"uuid"}"#, Ok(Meaning::Plain)),
            (r#"{"type":"fixed","name":"n","size":16,"logicalType":"uuid"}"#, Ok(Meaning::Uuid)),
            (
                r#"{"type":"long","connect.version":1,"connect.name":"io.debezium.time.MicroTimestamp"}"#,
                encoded(Encoding::Instant(Unit::Microseconds)),
            ),
            (
                r#"{"type":"bytes","scale":2,"precision":64,"connect.version":1,"connect.parameters":{"scale":"2","connect.decimal.precision":"10"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}"#,
                encoded(Encoding::Unscaled(Some(2))),
            ),
            // A text says itself what it is.
            (
                r#"{"type":"string","connect.version":1,"connect.name":"io.debezium.time.ZonedTimestamp"}"#,
                Ok(Meaning::Plain),
            ),
        ] {
            assert_eq!(root(text).map(|it| it.meaning), expected, "{text}");
        }
    }

    #[test]
    fn names_refer_to_types_in_their_namespace() {
        let money = r#"{"type":"record","name":"Money","namespace":"shop","fields":[{"name":"cents","type":"long"}]}"#;
        let text = r#"{"type":"record","name":"shop.Order","fields":[
            {"name":"total","type":"Money"},{"name":"again","type":"shop.Money"},{"name":"next","type":["null","Order"]}]}"#;
        let schema = Schema::parse(text, &[money.to_owned()]).expect("a schema");
        let Kind::Record(fields) = &schema.node(schema.root).kind else { panic!("no record") };
        assert_eq!(fields[0].1, fields[1].1);
        assert_eq!(schema.branches(fields[2].1)[1], schema.root);
        for (text, expected) in [
            (text, "the type \"Money\" and does not say"),
            ("{", "no JSON"),
            ("1", "1 where a type is due"),
            ("[]", "a union of nothing"),
            (r#"[["null"]]"#, "in a union"),
            (r#"{"type":"record","name":"a"}"#, "without \"fields\""),
            (r#"{"type":"fixed","name":"a","size":-1}"#, "without a size"),
            (r#"{"name":"a"}"#, "without \"type\""),
            (r#"["null",{"type":"enum","name":"a","symbols":[]},{"type":"enum","name":"a","symbols":[]}]"#, "twice"),
        ] {
            let error = Schema::parse(text, &[]).expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
    }
}
