//! The publication: which tables the server sends. One that is there is adopted; what it lacks is added, where we may.
//!
//! A table without a replica identity is never added: its owner could no longer update or delete its rows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fault::{Fault, has_state, words};
use super::session::{PATIENCE, Session, text};
use super::settings::Settings;
use super::shape::Shape;
use super::sql::{TableName, identifier, list, literal};

/// How often it is looked whether the transactions that were open have ended.
const WAIT: Duration = Duration::from_millis(20);

/// What the publication says of one table.
struct Published {
    columns: BTreeSet<String>,
    is_filtered: bool,
}

/// Makes sure that all changes of these tables' columns are sent. The tables that are not, with the reason.
pub(super) fn publish(
    session: &mut Session<'_>,
    settings: &Settings,
    tables: &[(&Shape, BTreeSet<String>)],
) -> Result<BTreeMap<TableName, String>, Fault> {
    let mut refused = BTreeMap::new();
    let partitioned = tables.iter().any(|it| it.0.is_partitioned);
    let shapes: Vec<&Shape> = tables.iter().map(|it| it.0).collect();
    if !exists(session, settings, partitioned)? {
        create(session, settings, &shapes)?;
        return Err(Fault::Again);
    }
    let published = published(session, settings)?;
    let missing: Vec<&Shape> = shapes.iter().copied().filter(|it| !published.contains_key(&it.name)).collect();
    for shape in &missing {
        if let Err(reason) = add(session, settings, shape)? {
            refused.insert(shape.name.clone(), reason);
        }
    }
    if !missing.is_empty() {
        // Whoever wrote to such a table before it was added, and commits later, is not sent.
        wait_for_open_transactions(session)?;
        if refused.len() < missing.len() {
            return Err(Fault::Again);
        }
    }
    for (shape, columns) in tables {
        let name = &shape.name;
        let (publication, shown) = (&settings.publication, name.shown());
        let reason = match published.get(name) {
            None => format!(
                "{shown} is not in the publication {publication:?}, or is there as part of another table: {}",
                add_statement(settings, shape)
            ),
            Some(it) if it.is_filtered => format!(
                "the publication {publication:?} has a row filter for {shown}, and rows beyond it would be missed: \
                 give the source a publication.name of its own"
            ),
            Some(it) if !columns.is_subset(&it.columns) => format!(
                "the publication {publication:?} does not have the columns {} of {shown}",
                list(columns.difference(&it.columns), String::clone)
            ),
            Some(_) => continue,
        };
        refused.entry(name.clone()).or_insert(reason);
    }
    Ok(refused)
}

/// Whether there is such a publication, which must then publish all kinds of changes.
fn exists(session: &mut Session<'_>, settings: &Settings, partitioned: bool) -> Result<bool, Fault> {
    let name = &settings.publication;
    let answer = session.ask(&format!(
        "SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot FROM pg_publication WHERE pubname = {}",
        literal(name)
    ))?;
    let Some(row) = answer.first() else { return Ok(false) };
    let halt = |what: &str, set: &str| {
        Err(Fault::Halt(format!("the publication {name:?} {what}: ALTER PUBLICATION {} SET ({set})", identifier(name))))
    };
    if text(row, 0) != Some("t") {
        return halt("does not publish all changes", "publish = 'insert, update, delete, truncate'");
    }
    if partitioned && text(row, 1) != Some("t") {
        return halt("publishes partitions instead of their tables", "publish_via_partition_root = true");
    }
    Ok(true)
}

fn create(session: &mut Session<'_>, settings: &Settings, shapes: &[&Shape]) -> Result<(), Fault> {
    let name = &settings.publication;
    let tables = list(shapes, |it| only(it));
    let tables = if tables.is_empty() { tables } else { format!(" FOR TABLE {tables}") };
    let sql = format!("CREATE PUBLICATION {}{tables} WITH (publish_via_partition_root = true)", identifier(name));
    if !settings.may_publish {
        return Err(Fault::Halt(format!("there is no publication {name:?}: {sql}")));
    }
    match session.try_ask(&sql, PATIENCE)? {
        Ok(_) => {
            tracing::info!(publication = name, "created the publication");
            Ok(())
        }
        // Somebody else has created it meanwhile.
        Err(error) if has_state(&error, "42710") => Ok(()),
        Err(error) => Err(Fault::Halt(format!(
            "the publication {name:?} cannot be created ({}): run as the owner of the tables: {sql}",
            words(&error)
        ))),
    }
}

/// By name, the tables of the publication.
fn published(session: &mut Session<'_>, settings: &Settings) -> Result<BTreeMap<TableName, Published>, Fault> {
    let since_15 = session.ask_one("SELECT current_setting('server_version_num')::int >= 150000")? == "t";
    let details = match since_15 {
        true => "array_to_string(attnames, E'\\x01'), rowfilter IS NOT NULL",
        false => {
            "(SELECT string_agg(a.attname, E'\\x01') FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
              JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = schemaname AND c.relname = tablename \
              AND a.attnum > 0 AND NOT a.attisdropped), false"
        }
    };
    let sql = format!(
        "SELECT schemaname, tablename, {details} FROM pg_publication_tables WHERE pubname = {}",
        literal(&settings.publication)
    );
    let table = |row: &super::session::Answer| {
        let of = |column| text(row, column).unwrap_or_default();
        let name = TableName { schema: of(0).into(), name: of(1).into() };
        let columns = of(2).split('\x01').map(str::to_string).collect();
        (name, Published { columns, is_filtered: of(3) == "t" })
    };
    Ok(session.ask(&sql)?.iter().map(table).collect())
}

/// Adds a table; the inner error says what to do where we may not.
fn add(session: &mut Session<'_>, settings: &Settings, shape: &Shape) -> Result<Result<(), String>, Fault> {
    let sql = add_statement(settings, shape);
    let name = &settings.publication;
    if !settings.may_publish {
        return Ok(Err(format!("{} is not in the publication {name:?}: {sql}", shape.name.shown())));
    }
    Ok(match session.try_ask(&sql, PATIENCE)? {
        Ok(_) => {
            tracing::info!(publication = name, table = shape.name.shown(), "added the table to the publication");
            Ok(())
        }
        Err(error) if has_state(&error, "42710") => Ok(()),
        Err(error) => Err(format!(
            "{} cannot be added to the publication {name:?} ({}): run as its owner: {sql}",
            shape.name.shown(),
            words(&error)
        )),
    })
}

fn add_statement(settings: &Settings, shape: &Shape) -> String {
    format!("ALTER PUBLICATION {} ADD TABLE {}", identifier(&settings.publication), only(shape))
}

/// The table without others that inherit from it, which are tables of their own; partitions are none.
fn only(shape: &Shape) -> String {
    let quoted = shape.name.quoted();
    if shape.is_partitioned { quoted } else { format!("ONLY {quoted}") }
}

/// Waits until every transaction has ended that is open now.
fn wait_for_open_transactions(session: &mut Session<'_>) -> Result<(), Fault> {
    let end = session.ask_number("SELECT pg_snapshot_xmax(pg_current_snapshot())")?;
    let mut told = false;
    while session.ask_number("SELECT pg_snapshot_xmin(pg_current_snapshot())")? < end {
        if !std::mem::replace(&mut told, true) {
            tracing::info!("waiting for the transactions that were open when a table was added to the publication");
        }
        session.rest(WAIT)?;
    }
    Ok(())
}
