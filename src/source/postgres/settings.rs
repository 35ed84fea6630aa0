//! The options of a source of this kind, read once into what connections are made with.
//!
//! The spellings are those of PostgreSQL's own tools; those of RisingWave's `postgres-cdc` are taken as well.

use std::time::Duration;

use pgwire_replication::{Lsn, ReplicationConfig, TlsConfig};

use super::sql::{TableName, identifier};
use super::tls::tls;
use crate::catalog::{Problem, Source};
use crate::source::options::{Form, Known, Need, Reading, Secret, Values};

/// What the sessions are told, so that every value has one text whatever the server's, the database's or the user's
/// settings are, and a row that may not be seen is an error instead of a row that is not there.
const SESSION: &str = "-c datestyle=ISO -c intervalstyle=postgres -c timezone=UTC -c bytea_output=hex \
    -c extra_float_digits=3 -c lc_monetary=C -c row_security=off -c statement_timeout=0 \
    -c standard_conforming_strings=on -c search_path=pg_catalog";
/// How often at most the server is told how far we have it durably.
const ACKNOWLEDGE: Duration = Duration::from_secs(1);
/// Messages that are read ahead of us. Each is a row, which may be large, so they are few.
const READ_AHEAD: usize = 512;
/// PostgreSQL's limit for the name of a slot.
const NAME_BYTES: usize = 63;

const fn text(name: &'static str, aliases: &'static [&'static str], meaning: &'static str, need: Need) -> Known {
    Known { name, aliases, meaning, need, form: Form::Text }
}

const fn path(name: &'static str, aliases: &'static [&'static str], meaning: &'static str) -> Known {
    Known { name, aliases, meaning, need: Need::Optional, form: Form::Path }
}

/// The options of a source.
pub(super) const OF_SOURCE: &[Known] = &[
    text("host", &["hostname"], "where the server is, or the directory of its socket", Need::Required("localhost")),
    Known {
        name: "port",
        aliases: &[],
        meaning: "its port",
        need: Need::Default("5432"),
        form: Form::Number(1, 65_535),
    },
    text("user", &["username"], "a role with the attribute REPLICATION", Need::Required("vantage")),
    Known { name: "password", aliases: &[], meaning: "its password", need: Need::Optional, form: Form::Secret },
    text("database", &["database.name", "dbname"], "the database", Need::Required("shop")),
    Known {
        name: "sslmode",
        aliases: &["ssl.mode"],
        meaning: "whether the connection is encrypted, and what of the server's certificate is verified",
        need: Need::Default("prefer"),
        form: Form::OneOf(&["disable", "prefer", "require", "verify-ca", "verify-full"]),
    },
    path("sslrootcert", &["ssl.root.cert"], "certificates of the authorities that are trusted"),
    path("sslcert", &["ssl.cert"], "our certificate"),
    path("sslkey", &["ssl.key"], "its key"),
    text("slot.name", &[], "the replication slot, for this source alone", Need::Optional),
    text("publication.name", &[], "the publication", Need::Default("vantage")),
    Known {
        name: "publication.create.enable",
        aliases: &[],
        meaning: "whether the publication is created, and tables that it lacks are added to it",
        need: Need::Default("true"),
        form: Form::Boolean,
    },
    Known {
        name: "slot.warn.mb",
        aliases: &[],
        meaning: "how many MiB of its log the server may keep for the slot before it is told, where it has no limit of its own",
        need: Need::Default("1024"),
        form: Form::Number(1, 1 << 40),
    },
    Known {
        name: "transaction.max.mb",
        aliases: &[],
        meaning: "how many MiB the changes of one transaction may have, which are applied at once and in memory",
        need: Need::Default("512"),
        form: Form::Number(1, 1 << 30),
    },
    text("schema.name", &[], "the schema of tables that are named without one", Need::Default("public")),
];

/// The options of a table; which one it is stands elsewhere.
pub(super) const OF_TABLE: &[Known] = &[];

/// How a server is reached, and what of it is read.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    password: Option<Secret>,
    pub(super) database: String,
    pub(super) tls: TlsConfig,
    pub(super) slot: String,
    /// How many bytes of its log the server may keep for the slot before that is told.
    pub(super) slot_bytes: u64,
    /// How many bytes the changes of one transaction may have.
    pub(super) transaction_bytes: usize,
    pub(super) publication: String,
    pub(super) may_publish: bool,
    schema: String,
    /// The name of the source.
    source: String,
}

impl Settings {
    /// From options that were read.
    pub(super) fn new(source: &Source, values: &Values, reading: &mut Reading<'_>) -> Option<Settings> {
        let given = |name| values.text(name).expect("an option with a value").to_string();
        let host = given("host");
        let tls = tls(source, values, &host, reading)?;
        let slot = values.text("slot.name").map_or_else(|| default_slot(&source.name), str::to_string);
        if !is_slot_name(&slot) {
            let at = source.options.iter().find(|it| it.0.text == "slot.name").map_or(source.span, |it| it.1.span);
            let problem = Problem::at(at, format!("{slot:?} cannot be the name of a replication slot"));
            reading.problems.push(problem.with_hint("up to 63 lower case letters, digits and underscores"));
            return None;
        }
        let mebibytes = |name| values.number(name).expect("an option with a value") << 20;
        Some(Settings {
            host,
            port: values.number("port").and_then(|it| u16::try_from(it).ok()).expect("a port in its range"),
            user: given("user"),
            password: values.secret("password").cloned(),
            database: given("database"),
            tls,
            slot,
            slot_bytes: mebibytes("slot.warn.mb"),
            transaction_bytes: usize::try_from(mebibytes("transaction.max.mb")).unwrap_or(usize::MAX),
            publication: given("publication.name"),
            may_publish: values.boolean("publication.create.enable").expect("an option with a value"),
            schema: given("schema.name"),
            source: source.name.clone(),
        })
    }

    /// Where it is, in words.
    pub(super) fn place(&self) -> String {
        format!("PostgreSQL at {}:{}", self.host, self.port)
    }

    /// The table of the source that a declaration names.
    pub(super) fn table_name(&self, upstream: &str) -> TableName {
        TableName::parse(upstream, &self.schema)
    }

    /// What a session is opened with that may stream from behind `start` on, of which `durable` is safe with us.
    pub(super) fn session(&self, start: u64, durable: u64) -> ReplicationConfig {
        let password = self.password.as_ref().map_or("", Secret::reveal);
        // The server reads the names of publications as identifiers.
        let publication = identifier(&self.publication);
        ReplicationConfig::new(&self.host, &self.user, password, &self.database, &self.slot, publication)
            .with_port(self.port)
            .with_tls(self.tls.clone())
            .with_start_lsn(Lsn(start))
            .with_ack_lsn(Lsn(durable))
            .with_status_interval(ACKNOWLEDGE)
            .with_buffer_size(READ_AHEAD)
            .with_options(SESSION)
            .with_application_name(format!("vantage {}", self.source))
    }
}

/// The slot of a source that names none.
fn default_slot(source: &str) -> String {
    let name = source.to_lowercase();
    let letters = name.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '_' });
    "vantage_".chars().chain(letters).take(NAME_BYTES).collect()
}

fn is_slot_name(name: &str) -> bool {
    let is_letter = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_';
    (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_named_after_its_source() {
        assert_eq!(default_slot("shop"), "vantage_shop");
        assert!(is_slot_name(&default_slot("Größe 1 of \"a very long name\" that goes on and on and on and on")));
        assert!(
            !is_slot_name("") && !is_slot_name("Shop") && !is_slot_name("a; DROP") && !is_slot_name(&"x".repeat(64))
        );
    }
}
