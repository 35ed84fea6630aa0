//! Messages in Protobuf, described by a file as protoc writes it.

use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MessageOptions, OneofDescriptorProto,
};
use prost_reflect::{DescriptorPool, DynamicMessage, MapKey, ReflectMessage as _, Value};

use super::*;

fn field(name: &str, number: i32, kind: Type, type_name: &str) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(kind.into()),
        type_name: (!type_name.is_empty()).then(|| type_name.into()),
        ..FieldDescriptorProto::default()
    }
}

fn repeated(field: FieldDescriptorProto) -> FieldDescriptorProto {
    FieldDescriptorProto { label: Some(Label::Repeated.into()), ..field }
}

/// A file with `shop.Order` behind another message, and the files it imports.
fn file() -> FileDescriptorSet {
    let optional = FieldDescriptorProto {
        proto3_optional: Some(true),
        oneof_index: Some(0),
        ..field("note", 3, Type::String, "")
    };
    let entry = DescriptorProto {
        name: Some("CountsEntry".into()),
        field: vec![field("key", 1, Type::String, ""), field("value", 2, Type::Int32, "")],
        options: Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() }),
        ..DescriptorProto::default()
    };
    let line = DescriptorProto {
        name: Some("Line".into()),
        field: vec![field("sku", 1, Type::String, ""), field("n", 2, Type::Uint64, "")],
        ..DescriptorProto::default()
    };
    let order = DescriptorProto {
        name: Some("Order".into()),
        field: vec![
            field("id", 1, Type::Int64, ""),
            field("name", 2, Type::String, ""),
            optional,
            field("state", 4, Type::Enum, ".shop.State"),
            field("placed", 5, Type::Message, ".google.protobuf.Timestamp"),
            field("rating", 6, Type::Message, ".google.protobuf.DoubleValue"),
            field("photo", 7, Type::Bytes, ""),
            repeated(field("lines", 8, Type::Message, ".shop.Order.Line")),
            repeated(field("counts", 9, Type::Message, ".shop.Order.CountsEntry")),
            field("weight", 10, Type::Float, ""),
            field("took", 11, Type::Message, ".google.protobuf.Duration"),
            field("big", 12, Type::Uint64, ""),
            field("more", 13, Type::Message, ".google.protobuf.Struct"),
        ],
        nested_type: vec![line, entry],
        oneof_decl: vec![OneofDescriptorProto { name: Some("_note".into()), ..OneofDescriptorProto::default() }],
        ..DescriptorProto::default()
    };
    let first = DescriptorProto { name: Some("Other".into()), ..DescriptorProto::default() };
    let value = |name: &str, number| EnumValueDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        ..EnumValueDescriptorProto::default()
    };
    let state = EnumDescriptorProto {
        name: Some("State".into()),
        value: vec![value("NEW", 0), value("PAID", 1)],
        ..EnumDescriptorProto::default()
    };
    let imports = ["timestamp", "wrappers", "duration", "struct"].map(|it| format!("google/protobuf/{it}.proto"));
    let pool = DescriptorPool::global();
    let imported = |name: &String| pool.get_file_by_name(name).expect("known to all").file_descriptor_proto().clone();
    let own = FileDescriptorProto {
        name: Some("shop.proto".into()),
        package: Some("shop".into()),
        syntax: Some("proto3".into()),
        dependency: imports.to_vec(),
        message_type: vec![first, order],
        enum_type: vec![state],
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: imports.iter().map(imported).chain([own]).collect() }
}

/// A directory with the file, and a message of the type.
pub(super) fn stand() -> (tempfile::NamedTempFile, DynamicMessage) {
    let described = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(described.path(), file().encode_to_vec()).expect("writable");
    let pool = DescriptorPool::from_file_descriptor_set(file()).expect("a pool");
    (described, DynamicMessage::new(pool.get_message_by_name("shop.Order").expect("a message")))
}

pub(super) fn format(envelope: &str, described: &tempfile::NamedTempFile, more: &str) -> String {
    let path = described.path().display();
    format!("FORMAT {envelope} ENCODE PROTOBUF (schema.location = '{path}', message = 'shop.Order'{more})")
}

pub(super) const COLUMNS: &str = "id BIGINT PRIMARY KEY, name TEXT, note TEXT, state TEXT, placed TIMESTAMPTZ, rating DOUBLE PRECISION, \
                       photo BYTEA, lines TEXT, counts TEXT, weight DOUBLE PRECISION, took TEXT, big NUMERIC(20,0), more TEXT";

fn inner(message: &DynamicMessage, name: &str, fields: &[(&str, Value)]) -> Value {
    let kind = message.descriptor().get_field_by_name(name).expect("a field").kind();
    let mut inner = DynamicMessage::new(kind.as_message().expect("a message").clone());
    fields.iter().for_each(|(name, value)| inner.set_field_by_name(name, value.clone()));
    Value::Message(inner)
}

pub(super) fn message(mut order: DynamicMessage) -> Vec<u8> {
    let line = inner(&order, "lines", &[("sku", Value::String("a\"1".into())), ("n", Value::U64(u64::MAX))]);
    let placed = inner(&order, "placed", &[("seconds", Value::I64(1_763_805_600)), ("nanos", Value::I32(123_456_000))]);
    let took = inner(&order, "took", &[("seconds", Value::I64(90)), ("nanos", Value::I32(500_000_000))]);
    let rating = inner(&order, "rating", &[("value", Value::F64(4.5))]);
    for (name, value) in [
        ("id", Value::I64(7)),
        ("name", Value::String("pen".into())),
        ("note", Value::String(String::new())),
        ("state", Value::EnumNumber(1)),
        ("placed", placed),
        ("rating", rating),
        ("photo", Value::Bytes(vec![0, 255].into())),
        ("lines", Value::List(vec![line])),
        (
            "counts",
            Value::Map(
                [(MapKey::String("b".into()), Value::I32(2)), (MapKey::String("a".into()), Value::I32(1))].into(),
            ),
        ),
        ("weight", Value::F32(0.1)),
        ("took", took),
        ("big", Value::U64(u64::MAX)),
    ] {
        order.set_field_by_name(name, value);
    }
    order.encode_to_vec()
}

const LINE: &str = r#"7 | pen |  | PAID | 1763805600123456 | 4.5 | [00, ff] | [{"sku":"a\"1","n":18446744073709551615}] | {"a":1,"b":2} | 0.1 | 00:01:30.5 | 18446744073709551615u | ∅"#;

#[test]
fn the_fields_of_a_message_are_columns() {
    let (described, order) = stand();
    let mut table = Fixture::new(COLUMNS, &format("PLAIN", &described, ""));
    let bytes = message(order.clone());
    assert_eq!(table.after(&Sent { value: Some(&bytes), ..Sent::default() }), LINE);
    // What is not set is the default, or NULL where the type can tell.
    let empty = table.after(&Sent { value: Some(&[]), ..Sent::default() });
    let expected = "0 |  | ∅ | NEW | ∅ | ∅ | [] | [] | {} | 0 | ∅ | 0u | ∅";
    assert!(empty.starts_with(expected), "{empty}");
    // Numbers that have no name, and in a column of numbers those that have one.
    let mut unnamed = order.clone();
    unnamed.set_field_by_name("state", Value::EnumNumber(9));
    let bytes = unnamed.encode_to_vec();
    for (column, expected) in [("state TEXT", "9"), ("state INT", "9")] {
        let mut table = Fixture::new(&format!("id BIGINT PRIMARY KEY, {column}"), &format("PLAIN", &described, ""));
        assert_eq!(table.after(&Sent { value: Some(&bytes), ..Sent::default() }), format!("0 | {expected}"));
    }
    // Years that nanoseconds do not reach.
    let mut early = order;
    let placed =
        inner(&early, "placed", &[("seconds", Value::I64(-62_135_596_800)), ("nanos", Value::I32(500_000_000))]);
    early.set_field_by_name("placed", placed);
    let mut table = Fixture::new("id BIGINT PRIMARY KEY, placed TIMESTAMPTZ", &format("PLAIN", &described, ""));
    let bytes = early.encode_to_vec();
    assert_eq!(table.after(&Sent { value: Some(&bytes), ..Sent::default() }), "0 | -62135596799500000");
}

#[test]
fn structures_of_google_are_json() {
    let (described, mut order) = stand();
    let fields = order.descriptor().get_field_by_name("more").expect("a field").kind();
    let kind = fields.as_message().expect("a message").clone();
    let entries = kind.get_field_by_name("fields").expect("a field").kind();
    let value = entries.as_message().expect("an entry").map_entry_value_field().kind();
    let value = |name: &str, it: Value| {
        let mut message = DynamicMessage::new(value.as_message().expect("a message").clone());
        message.set_field_by_name(name, it);
        Value::Message(message)
    };
    let mut more = DynamicMessage::new(kind);
    let entries = [
        (MapKey::String("a".into()), value("number_value", Value::F64(1.5))),
        (MapKey::String("b".into()), value("null_value", Value::EnumNumber(0))),
        (MapKey::String("c".into()), value("bool_value", Value::Bool(true))),
    ];
    more.set_field_by_name("fields", Value::Map(entries.into()));
    order.set_field_by_name("more", Value::Message(more));
    let mut table = Fixture::new("id BIGINT PRIMARY KEY, more TEXT", &format("PLAIN", &described, ""));
    let bytes = order.encode_to_vec();
    let rows = table.after(&Sent { value: Some(&bytes), ..Sent::default() });
    assert_eq!(rows, r#"0 | {"a":1.5,"b":null,"c":true}"#);
}

#[test]
fn the_newest_message_of_a_key_holds_and_the_type_may_be_told_in_front() {
    let (described, order) = stand();
    let bytes = message(order);
    let framed = |indexes: &[u8]| [&[0, 0, 0, 0, 1][..], indexes, &bytes].concat();
    let mut table = Fixture::new(COLUMNS, &format("UPSERT", &described, ", framing = 'confluent'"));
    // The second message of the file.
    let value = framed(&[2, 2]);
    assert_eq!(table.after(&Sent { key: Some(b"7"), value: Some(&value), headers: &[] }), LINE);
    assert_eq!(table.after(&tombstone("7")), "");
    for (value, expected) in [
        (framed(&[0]), "the message is a shop.Other, and the table's are shop.Order"),
        (framed(&[4, 2, 0]), "the message is a shop.Order.Line"),
        (framed(&[2, 20]), "of a type that shop.proto does not have"),
        (framed(&[1]), "does not say of which type it is"),
        (bytes.clone(), "does not begin with the number of its schema"),
        ([&[0, 0, 0, 0, 1, 2, 2][..], &[0x0a, 0xff]].concat(), "it is no shop.Order"),
    ] {
        let reason = table.poison(&Sent { key: Some(b"7"), value: Some(&value), headers: &[] });
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn what_is_wrong_with_the_declaration_is_told_where_it_stands() {
    let (described, _) = stand();
    let columns = "id BIGINT PRIMARY KEY";
    let good = format("PLAIN", &described, "");
    let path = described.path().display().to_string();
    let text = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(text.path(), "syntax = \"proto3\";").expect("writable");
    let text_path = text.path().display().to_string();
    for (columns, format, expected) in [
        (columns, good.replace("shop.Order", "shop.Ordr"), "['shop.Ordr'] "),
        (columns, good.replace("shop.Order", "shop.Ordr"), "shop.Order"),
        (columns, good.replace(&path, "/nowhere.desc"), "['/nowhere.desc'] /nowhere.desc cannot be read"),
        (columns, good.replace(&path, &text_path), "holds no descriptors"),
        (columns, "FORMAT PLAIN ENCODE PROTOBUF (message = 'a')".into(), "needs the option \"schema.location\""),
        ("id BIGINT PRIMARY KEY, nme TEXT", good.clone(), "['shop.Order'] shop.Order has no field \"nme\""),
        (columns, good.replace("PLAIN", "DEBEZIUM"), "format DEBEZIUM is not read from PROTOBUF"),
    ] {
        let problems = layout(columns, &format).map(|_| ()).expect_err(&format);
        assert!(problems.contains(expected), "{problems}");
    }
}
