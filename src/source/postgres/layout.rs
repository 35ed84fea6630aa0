//! What is followed at a server, as verified at one time: which tables, how their rows are read, and what keeps others
//! from being followed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fault::Fault;
use super::publication::publish;
use super::reader::Reader;
use super::schema::misfit;
use super::server::Server;
use super::session::Session;
use super::settings::Settings;
use super::shape::{STORAGE, Shape, shape};
use super::sql::{TableName, list, literal};
use crate::change::{Notation, Place, Position, TableId};
use crate::source::digest::Digest;
use crate::source::{SourceSpec, TableSpec};

/// One table of the server, and what is declared from it.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) shape: Shape,
    pub(super) readers: Vec<Reader>,
}

impl Followed {
    /// What is declared from it.
    pub(super) fn declared(&self) -> impl Iterator<Item = TableId> {
        self.readers.iter().map(|it| it.table)
    }
}

/// What is followed.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) server: Server,
    /// The identity of the log: of the server's data, and of the slot.
    pub(super) log: String,
    pub(super) tables: Vec<Followed>,
    pub(super) covers: Arc<[TableId]>,
    /// What is not followed, and why.
    pub(super) halted: BTreeMap<TableId, String>,
    /// By table, columns that are there and not followed.
    pub(super) added: BTreeMap<String, Vec<String>>,
    /// What the catalog said of all of them, in a number.
    pub(super) digest: String,
}

impl Layout {
    /// Verifies the server and every declared table that does not rest; what is wrong with one halts it alone.
    pub(super) fn verify(
        session: &mut Session<'_>,
        settings: &Settings,
        spec: &SourceSpec,
        resting: &BTreeMap<TableId, String>,
    ) -> Result<Layout, Fault> {
        let server = Server::known(session, settings)?;
        let log = format!("{}/{}", server.system, settings.slot);
        let (tables, covers) = (Vec::new(), Arc::default());
        let (halted, added) = (resting.clone(), BTreeMap::new());
        let digest = digest(session, settings, spec)?;
        let mut layout = Layout { server, log, tables, covers, halted, added, digest };
        for (name, specs) in by_name(settings, spec) {
            layout.add(session, &name, &specs)?;
        }
        layout.publish(session, settings)?;
        if self::digest(session, settings, spec)? != layout.digest {
            return Err(Fault::Again);
        }
        layout.covers = layout.tables.iter().flat_map(Followed::declared).collect();
        Ok(layout)
    }

    /// Takes one table in, from which `specs` are declared.
    fn add(&mut self, session: &mut Session<'_>, name: &TableName, specs: &[&TableSpec]) -> Result<(), Fault> {
        let shape = match shape(session, name)? {
            Some(Ok(shape)) => shape,
            Some(Err(reason)) => {
                self.halt(specs, &reason);
                return Ok(());
            }
            None => {
                self.halt(specs, &format!("there is no table {} at the source", name.shown()));
                return Ok(());
            }
        };
        let mut readers = Vec::new();
        for spec in specs {
            if self.halted.contains_key(&spec.table) {
                continue;
            }
            match misfit(&spec.schema, &spec.declaration.declared, &shape) {
                Ok(added) => {
                    readers.push(Reader::new(spec, &shape));
                    if !added.is_empty() {
                        self.added.insert(spec.declaration.name.clone(), added);
                    }
                }
                Err(reason) => {
                    self.halted.insert(spec.table, reason);
                }
            }
        }
        if !readers.is_empty() {
            self.tables.push(Followed { shape, readers });
        }
        Ok(())
    }

    fn halt(&mut self, specs: &[&TableSpec], reason: &str) {
        for spec in specs {
            self.halted.entry(spec.table).or_insert_with(|| reason.into());
        }
    }

    /// Makes sure that the server sends what is followed.
    fn publish(&mut self, session: &mut Session<'_>, settings: &Settings) -> Result<(), Fault> {
        let columns = |it: &Followed| -> BTreeSet<String> {
            let places = it.readers.iter().flat_map(Reader::names).filter_map(|name| it.shape.column(name));
            places.map(|at| it.shape.columns[at].name.clone()).collect()
        };
        let wanted: Vec<(&Shape, BTreeSet<String>)> = self.tables.iter().map(|it| (&it.shape, columns(it))).collect();
        let refused = publish(session, settings, &wanted)?;
        for table in &self.tables {
            if let Some(reason) = refused.get(&table.shape.name) {
                self.halted.extend(table.declared().map(|it| (it, reason.clone())));
            }
        }
        self.tables.retain(|it| !refused.contains_key(&it.shape.name));
        Ok(())
    }

    /// The table of the server with this number.
    pub(super) fn by_oid(&self, oid: u32) -> Option<usize> {
        self.tables.iter().position(|it| it.shape.oid == oid)
    }

    /// What `table` is declared from, and what reads it.
    pub(super) fn find(&self, table: TableId) -> (&Followed, &Reader) {
        let found = self.tables.iter().find_map(|it| Some((it, it.readers.iter().find(|it| it.table == table)?)));
        found.expect("only what is followed is looked for")
    }

    /// The place `at` in the log, with what has to be as it is now for reading on from there.
    pub(super) fn position(&self, at: u64) -> Position {
        let storage = self.tables.iter().flat_map(|it| [name_number(&it.shape.name), it.shape.storage]);
        let witness = std::iter::once(i64::from(self.server.timeline)).chain(storage).collect();
        let parts = BTreeMap::from([(Position::WHOLE.to_string(), Place { at, witness })]);
        Position { log: self.log.clone(), notation: Notation::Lsn, parts }
    }

    /// What is declared from tables that were stored otherwise when `position` was reached: their rows may have changed
    /// without having been replicated.
    pub(super) fn doubtful_since(&self, position: &Position) -> BTreeSet<TableId> {
        let known = |name: i64| {
            let mut pairs = timeline_and_storage(position).1.chunks_exact(2);
            pairs.find(|it| it[0] == name).map(|it| it[1])
        };
        let is_other = |it: &&Followed| known(name_number(&it.shape.name)).is_none_or(|was| was != it.shape.storage);
        self.tables.iter().filter(is_other).flat_map(Followed::declared).collect()
    }

    /// The timeline on which `position` was reached.
    pub(super) fn timeline_of(position: &Position) -> u32 {
        u32::try_from(timeline_and_storage(position).0).expect("a position has the number of a timeline")
    }
}

/// What [`Layout::position`] put into a position: the timeline, and of each table its name's number and its storage.
fn timeline_and_storage(position: &Position) -> (i64, &[i64]) {
    let (timeline, storage) = position.only().witness.split_first().expect("a position at a server has a timeline");
    (*timeline, storage)
}

/// A number for a table's name.
fn name_number(name: &TableName) -> i64 {
    let mut digest = Digest::new();
    digest.add(name.quoted().as_bytes());
    digest.number()
}

/// What is declared, by the table it is declared from.
fn by_name<'s>(settings: &Settings, spec: &'s SourceSpec) -> BTreeMap<TableName, Vec<&'s TableSpec>> {
    let mut tables: BTreeMap<TableName, Vec<&TableSpec>> = BTreeMap::new();
    for it in &spec.tables {
        tables.entry(settings.table_name(&it.declaration.upstream)).or_default().push(it);
    }
    tables
}

/// The query for a number that changes with everything the catalog says of the declared tables.
pub(super) fn digest_sql(settings: &Settings, spec: &SourceSpec) -> String {
    let names = by_name(settings, spec);
    let names = list(names.keys(), |it| format!("({}, {})", literal(&it.schema), literal(&it.name)));
    let publication = literal(&settings.publication);
    format!(
        "SELECT md5(coalesce(string_agg(concat_ws('/', c.oid, c.relkind, c.relpersistence, c.relreplident, {STORAGE}, \
         has_table_privilege(c.oid, 'SELECT'), \
         (SELECT string_agg(concat_ws(':', attnum, attname, atttypid, atttypmod, attnotnull, attgenerated), ',' \
          ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped), \
         (SELECT string_agg(concat_ws(':', indexrelid, indisunique, indisvalid, indimmediate, indisprimary, \
          indisreplident, indkey), ',' ORDER BY indexrelid) FROM pg_index WHERE indrelid = c.oid), \
         (SELECT string_agg(p::text, ',') FROM pg_publication_tables p WHERE p.pubname = {publication} \
          AND p.schemaname = n.nspname AND p.tablename = c.relname)), ';' ORDER BY c.oid), '')) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE (n.nspname, c.relname) IN ({names}) AND c.relkind NOT IN ('i', 'I', 'c', 't')"
    )
}

/// The number.
pub(super) fn digest(session: &mut Session<'_>, settings: &Settings, spec: &SourceSpec) -> Result<String, Fault> {
    if spec.tables.is_empty() {
        return Ok(String::new());
    }
    session.ask_one(&digest_sql(settings, spec))
}
