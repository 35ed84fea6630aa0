//! What is declared of a table that is made of messages: the format, what each column is read from, and the key.

use super::cloudevents::{CloudEvents, PREFIX};
use super::csv::Csv;
use super::debezium::Debezium;
use super::encoding::{Modes, OPTIONS};
use super::outbox::{self, Outbox};
use super::rows::{Rows, Upsert};
use super::shape::{Metadata, Origin, Shape};
use super::{Reader, Reads};
use crate::catalog::{DeclaredColumn, Format, Name, Problem, Table, did_you_mean};
use crate::change::{Collation, Column, DataType, KeyColumn, Schema};
use crate::source::options::{Form, Known, Need, Reading, Values};

const fn optional(name: &'static str, form: Form, meaning: &'static str) -> Known {
    Known { name, aliases: &[], meaning, need: Need::Optional, form }
}

const fn mode(at: usize) -> Known {
    optional(OPTIONS[at].0, Form::OneOf(OPTIONS[at].1), "how the values are written")
}

const OF_JSON: &[Known] = &[mode(0), mode(1), mode(2), mode(3)];

const OF_CLOUDEVENTS: &[Known] = &[
    mode(0),
    mode(1),
    mode(2),
    mode(3),
    optional("types", Form::Text, "the types of events the table is made of, with commas between them"),
    optional("delete.types", Form::Text, "the types of events that delete a row, with commas between them"),
];

const OF_CSV: &[Known] = &[
    Known {
        name: "delimiter",
        aliases: &[],
        meaning: "what stands between fields",
        need: Need::Default(","),
        form: Form::OneOf(&[",", ";", "|", "\t"]),
    },
    optional("without_header", Form::OneOf(&["true"]), "that a message is a line and no header"),
];

/// What the messages of a table say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Envelope {
    Debezium,
    Upsert,
    Plain,
    CloudEvents,
    Outbox,
    Csv,
}

/// Envelope and encoding as they are written, what they are, and their options.
const FORMATS: &[(&str, &str, Envelope, &[Known])] = &[
    ("debezium", "json", Envelope::Debezium, OF_JSON),
    ("upsert", "json", Envelope::Upsert, OF_JSON),
    ("plain", "json", Envelope::Plain, OF_JSON),
    ("cloudevents", "json", Envelope::CloudEvents, OF_CLOUDEVENTS),
    ("outbox", "json", Envelope::Outbox, OF_JSON),
    ("plain", "csv", Envelope::Csv, OF_CSV),
];

/// How a table is made of messages.
#[derive(Debug, Clone)]
pub(in crate::source) struct Layout {
    envelope: Envelope,
    shape: Shape,
    modes: Modes,
    delimiter: char,
    types: Vec<String>,
    deleting: Vec<String>,
}

impl Layout {
    /// What is declared of `table`; `None` when there are problems, which `reading` has then.
    pub(in crate::source) fn of(table: &Table, reading: &mut Reading<'_>) -> Option<Layout> {
        let before = reading.problems.len();
        let Some(format) = &table.format else {
            let problem =
                Problem::at(table.span, format!("table \"{}\" does not say how its messages are read", table.name));
            reading.problems.push(problem.with_hint(format!("add {}", spellings().join(", or "))));
            return None;
        };
        let found = FORMATS.iter().find(|it| it.0 == format.envelope.text && it.1 == format.encoding.text);
        let Some((_, _, envelope, known)) = found else {
            reading.problems.push(unknown_format(format));
            return None;
        };
        let values = reading.options(&format.options, known, format.encoding.span, "the format");
        reading.problems.extend(unkeyed(table, *envelope));
        let origins: Vec<Origin> =
            table.declared.iter().map(|it| origin(it, *envelope, &mut reading.problems)).collect();
        if reading.problems.len() > before {
            return None;
        }
        let values = values.expect("options without problems");
        let modes = modes(*envelope, &values, known);
        let (schema, origins) = with_key(&table.declared, origins, *envelope);
        let list = |name| match *envelope {
            Envelope::CloudEvents => words(values.text(name)),
            _ => Vec::new(),
        };
        let delimiter = values.text("delimiter").and_then(|it| it.chars().next()).unwrap_or(',');
        Some(Layout {
            envelope: *envelope,
            shape: Shape::new(schema, origins, modes),
            modes,
            delimiter,
            types: list("types"),
            deleting: list("delete.types"),
        })
    }

    /// The columns and key of its rows.
    pub(in crate::source) fn schema(&self) -> &Schema {
        &self.shape.schema
    }

    /// A reader of its messages.
    pub(in crate::source) fn reader(&self) -> Reader {
        let (shape, modes) = (&self.shape, self.modes);
        let reads = match self.envelope {
            Envelope::Debezium => Reads::Debezium(Debezium::new(shape, modes)),
            Envelope::Upsert => Reads::Upsert(Upsert::new(shape, modes)),
            Envelope::Plain => Reads::Plain(Rows::new(shape, modes)),
            Envelope::CloudEvents => {
                Reads::CloudEvents(CloudEvents::new(shape, modes, self.types.clone(), self.deleting.clone()))
            }
            Envelope::Outbox => Reads::Outbox(Outbox::new(shape, modes)),
            Envelope::Csv => Reads::Csv(Csv::new(shape, self.delimiter)),
        };
        Reader::new(reads, shape.clone())
    }
}

fn spellings() -> Vec<String> {
    let spelled = |it: &(&str, &str, Envelope, &[Known])| {
        format!("FORMAT {} ENCODE {}", it.0.to_uppercase(), it.1.to_uppercase())
    };
    FORMATS.iter().map(spelled).collect()
}

fn unknown_format(format: &Format) -> Problem {
    let Format { envelope, encoding, .. } = format;
    let known: Vec<&str> = FORMATS.iter().map(|it| it.0).collect();
    if !known.contains(&envelope.text.as_str()) {
        let problem = Problem::at(envelope.span, format!("there is no format {}", envelope.text.to_uppercase()));
        let near = did_you_mean(&envelope.text, known.iter().copied());
        return problem.with_hint(near.unwrap_or(format!("formats: {}", spellings().join(", "))));
    }
    let message = format!("format {} is not read from {}", envelope.text.to_uppercase(), encoding.text.to_uppercase());
    Problem::at(encoding.span, message).with_hint(format!("formats: {}", spellings().join(", ")))
}

/// What is wrong with the columns and the key as a whole.
fn unkeyed(table: &Table, envelope: Envelope) -> Option<Problem> {
    if table.declared.iter().all(|it| it.metadata.is_some()) {
        let problem = Problem::at(table.span, format!("table \"{}\" has no columns", table.name));
        return Some(problem.with_hint("messages do not say what columns there are: write them out, with their types"));
    }
    let needs_key = matches!(envelope, Envelope::Debezium | Envelope::Upsert);
    (needs_key && !table.declared.iter().any(|it| it.primary_key)).then(|| {
        let problem = Problem::at(table.span, format!("table \"{}\" has no primary key", table.name));
        problem.with_hint("its messages say what became of rows, and the key says of which: add PRIMARY KEY (…)")
    })
}

fn modes(envelope: Envelope, values: &Values, known: &[Known]) -> Modes {
    let mut modes = if envelope == Envelope::Debezium { Modes::DEBEZIUM } else { Modes::PLAIN };
    for (name, _) in OPTIONS.iter().filter(|it| known.iter().any(|known| known.name == it.0)) {
        if let Some(value) = values.text(name) {
            modes.set(name, value).expect("the list of options is where the values were checked");
        }
    }
    modes
}

fn words(list: Option<&str>) -> Vec<String> {
    let words = list.unwrap_or_default().split(',').map(str::trim).filter(|it| !it.is_empty());
    words.map(str::to_owned).collect()
}

/// What a column is read from.
fn origin(column: &DeclaredColumn, envelope: Envelope, problems: &mut Vec<Problem>) -> Origin {
    let Some(name) = &column.metadata else { return Origin::Field };
    let Some(metadata) = metadata(name, envelope) else {
        let beside = "topic, partition, offset, timestamp, key, headers.NAME";
        let own = if envelope == Envelope::CloudEvents { ", ce_NAME" } else { "" };
        let problem = Problem::at(name.span, format!("a message has no metadata \"{}\"", name.text));
        problems.push(problem.with_hint(format!("it has {beside}{own}")));
        return Origin::Field;
    };
    let fitting: &[DataType] = match metadata {
        Metadata::Topic => &[DataType::Text],
        Metadata::Partition => &[DataType::Int32, DataType::Int64],
        Metadata::Offset => &[DataType::Int64],
        Metadata::Timestamp => &[DataType::TimestampTz, DataType::Timestamp, DataType::Int64],
        Metadata::Key | Metadata::Header(_) | Metadata::Attribute(_) => return Origin::Metadata(metadata),
    };
    if !fitting.contains(&column.data_type) {
        let names: Vec<String> = fitting.iter().map(|it| it.sql_name()).collect();
        let message = format!("the message's {} is not of type {}", name.text, column.data_type);
        problems.push(Problem::at(name.span, message).with_hint(format!("declare it {}", names.join(" or "))));
    }
    Origin::Metadata(metadata)
}

fn metadata(name: &Name, envelope: Envelope) -> Option<Metadata> {
    Some(match name.text.as_str() {
        "topic" => Metadata::Topic,
        "partition" => Metadata::Partition,
        "offset" => Metadata::Offset,
        "timestamp" => Metadata::Timestamp,
        "key" => Metadata::Key,
        text => {
            let header = text.strip_prefix("headers.").filter(|it| !it.is_empty());
            let attribute = text.strip_prefix(PREFIX).filter(|_| envelope == Envelope::CloudEvents);
            match (header, attribute) {
                (Some(name), _) => Metadata::Header(name.into()),
                (None, Some(name)) => Metadata::Attribute(name.into()),
                (None, None) => return None,
            }
        }
    })
}

/// The schema of the declared columns. Where no key is declared, hidden columns are one: what tells events apart where the
/// format says so, else their place in the log.
fn with_key(declared: &[DeclaredColumn], mut origins: Vec<Origin>, envelope: Envelope) -> (Schema, Vec<Origin>) {
    let column = |name: &str, data_type, nullable| Column {
        name: name.into(),
        data_type,
        nullable,
        collation: Collation::Binary,
    };
    let mut columns: Vec<Column> = declared.iter().map(|it| column(&it.name, it.data_type, !it.not_null)).collect();
    let visible = columns.len();
    let mut key: Vec<usize> = (0..visible).filter(|it| declared[*it].primary_key).collect();
    if key.is_empty() {
        let attribute = |name: &str| Metadata::Attribute(name.into());
        let hidden = match envelope {
            Envelope::CloudEvents => {
                vec![("_source", DataType::Text, attribute("source")), ("_id", DataType::Text, attribute("id"))]
            }
            Envelope::Outbox => vec![("_id", DataType::Text, Metadata::Header(outbox::ID.into()))],
            _ => vec![
                ("_partition", DataType::Int32, Metadata::Partition),
                ("_offset", DataType::Int64, Metadata::Offset),
            ],
        };
        for (name, data_type, metadata) in hidden {
            key.push(columns.len());
            columns.push(column(name, data_type, false));
            origins.push(Origin::Metadata(metadata));
        }
    }
    let key = key.into_iter().map(KeyColumn::ascending).collect();
    (Schema { columns: columns.into(), visible, key }, origins)
}
