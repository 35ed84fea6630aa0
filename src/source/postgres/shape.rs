//! A table as pg_catalog describes it: its columns, how it tells its rows apart, and where its rows lie.

use super::fault::Fault;
use super::session::{Answer, Session, text};
use super::sql::{TableName, list, literal};
use super::types::PgType;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) oid: u32,
    pub(super) name: TableName,
    pub(super) columns: Vec<ShapeColumn>,
    /// Which columns tell its rows apart in what is replicated, or why there are none, with what to do.
    pub(super) key: Result<Vec<usize>, String>,
    /// Whether its rows are those of its partitions.
    pub(super) is_partitioned: bool,
    /// About how many rows it has, and how many bytes they take.
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// A number that changes when rows may have changed without having been replicated: when the table is another one,
    /// is written anew as a whole, or gets and loses partitions.
    pub(super) storage: i64,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShapeColumn {
    pub(super) name: String,
    /// Its type as PostgreSQL shows it.
    pub(super) shown: String,
    /// The number of its type, as the stream names it.
    pub(super) type_oid: u32,
    /// The type under it, when it is a domain; else its own.
    pub(super) base: PgType,
    pub(super) not_null: bool,
    /// Whether it is computed from others, and therefore not replicated.
    pub(super) is_generated: bool,
    /// The collation under which its owner takes different texts for one.
    pub(super) lenient: Option<String>,
}

impl Shape {
    /// The column called `name`. Names are compared as they are; where there is only one that differs in case, it is meant.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|it| it.name == name);
        exact.or_else(|| {
            let mut like = (0..self.columns.len()).filter(|it| self.columns[*it].name.eq_ignore_ascii_case(name));
            like.next().filter(|_| like.next().is_none())
        })
    }

    /// The names of these columns, in words.
    pub(super) fn words(&self, columns: &[usize]) -> String {
        format!("({})", list(columns, |it| self.columns[*it].name.clone()))
    }
}

/// The shape of the table called `name`: the inner error says why it cannot be followed; `None` when there is none.
pub(super) fn shape(session: &mut Session<'_>, name: &TableName) -> Result<Option<Result<Shape, String>>, Fault> {
    let sql = format!(
        "SELECT c.oid, c.relkind, c.relpersistence, c.relreplident, has_table_privilege(c.oid, 'SELECT'), \
         has_schema_privilege(n.oid, 'USAGE'), {STORAGE} \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relname = {} AND c.relkind NOT IN ('i', 'I', 'c', 't')",
        literal(&name.schema),
        literal(&name.name)
    );
    let answer = session.ask(&sql)?;
    let Some(class) = answer.first() else { return Ok(None) };
    let at = |column: usize| text(class, column).unwrap_or_default();
    let is_partitioned = at(1) == "p";
    if let Some(reason) = refusal(at(1), at(2), at(4) == "t" && at(5) == "t", name) {
        return Ok(Some(Err(reason)));
    }
    let oid = number(class, 0);
    let columns = columns(session, oid)?;
    let (rows, bytes) = size(session, oid)?;
    let identity = match at(3) {
        "d" if is_partitioned => partitions_identity(session, oid)?,
        other => other.to_string(),
    };
    let key = key(session, oid, &identity, name, &columns)?;
    let storage = text(class, 6).and_then(|it| it.parse().ok()).unwrap_or_default();
    let shape = Shape { oid: oid as u32, name: name.clone(), columns, key, is_partitioned, rows, bytes, storage };
    Ok(Some(Ok(shape)))
}

/// What of `pg_class c` says where the rows of a table and of its partitions lie.
pub(super) const STORAGE: &str = "hashtextextended(concat(c.oid, ':', pg_relation_filenode(c.oid), \
    (SELECT string_agg(concat(',', t.relid::oid, ':', pg_relation_filenode(t.relid)), '' ORDER BY t.relid::oid) \
     FROM pg_partition_tree(c.oid) t)), 0)";

/// Why nothing of this kind can be followed.
fn refusal(kind: &str, persistence: &str, is_readable: bool, name: &TableName) -> Option<String> {
    let shown = name.shown();
    let what = match kind {
        "r" | "p" => None,
        "v" => Some("a view"),
        "m" => Some("a materialized view"),
        "f" => Some("a foreign table"),
        "S" => Some("a sequence"),
        _ => Some("no table"),
    };
    if let Some(what) = what {
        return Some(format!("{shown} is {what}, and PostgreSQL replicates tables only: declare the tables it reads"));
    }
    if persistence != "p" {
        let kind = if persistence == "u" { "unlogged" } else { "temporary" };
        return Some(format!(
            "{shown} is {kind}, and its changes are not logged: ALTER TABLE {} SET LOGGED",
            name.quoted()
        ));
    }
    (!is_readable).then(|| {
        let schema = super::sql::identifier(&name.schema);
        format!(
            "{shown} may not be read by our user: GRANT USAGE ON SCHEMA {schema} TO …; GRANT SELECT ON {} TO …",
            name.quoted()
        )
    })
}

fn columns(session: &mut Session<'_>, oid: u64) -> Result<Vec<ShapeColumn>, Fault> {
    // Domains may be made of domains.
    let sql = format!(
        "WITH RECURSIVE base (attnum, oid, modifier, kind) AS ( \
           SELECT a.attnum, a.atttypid, a.atttypmod, t.typtype FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
           WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped \
           UNION ALL \
           SELECT b.attnum, t.typbasetype, CASE WHEN t.typtypmod = -1 THEN b.modifier ELSE t.typtypmod END, u.typtype \
           FROM base b JOIN pg_type t ON t.oid = b.oid JOIN pg_type u ON u.oid = t.typbasetype WHERE b.kind = 'd') \
         SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid, b.oid, b.modifier, a.attnotnull, \
           a.attgenerated <> '', CASE WHEN u.typname = 'citext' THEN 'citext' \
           WHEN NOT c.collisdeterministic THEN c.collname END \
         FROM pg_attribute a JOIN base b ON b.attnum = a.attnum AND b.kind <> 'd' JOIN pg_type u ON u.oid = b.oid \
         LEFT JOIN pg_collation c ON c.oid = a.attcollation WHERE a.attrelid = {oid} ORDER BY a.attnum"
    );
    let column = |row: &Answer| ShapeColumn {
        name: text(row, 0).unwrap_or_default().into(),
        shown: text(row, 1).unwrap_or_default().into(),
        type_oid: number(row, 2) as u32,
        base: PgType {
            oid: number(row, 3) as u32,
            modifier: text(row, 4).and_then(|it| it.parse().ok()).unwrap_or(-1),
        },
        not_null: text(row, 5) == Some("t"),
        is_generated: text(row, 6) == Some("t"),
        lenient: text(row, 7).map(str::to_string),
    };
    Ok(session.ask(&sql)?.iter().map(column).collect())
}

/// About how many rows there are, and how many bytes they take.
fn size(session: &mut Session<'_>, oid: u64) -> Result<(u64, u64), Fault> {
    let answer = session.ask(&format!(
        "SELECT sum(greatest(c.reltuples, 0))::bigint, sum(pg_table_size(c.oid))::bigint FROM pg_class c \
         WHERE c.relkind = 'r' AND (c.oid = {oid} OR c.oid IN (SELECT relid FROM pg_partition_tree({oid})))"
    ))?;
    Ok(answer.first().map_or((0, 0), |row| (number(row, 0), number(row, 1))))
}

/// The replica identity of a partitioned table: what is replicated of a row is what its partition's identity says.
fn partitions_identity(session: &mut Session<'_>, oid: u64) -> Result<String, Fault> {
    let sql = format!(
        "SELECT DISTINCT c.relreplident FROM pg_partition_tree({oid}) t JOIN pg_class c ON c.oid = t.relid \
         WHERE t.isleaf AND c.relreplident NOT IN ('d', 'f')"
    );
    let odd = session.ask(&sql)?;
    Ok(odd.first().and_then(|row| text(row, 0)).map_or("d", |it| if it == "n" { "n" } else { "p" }).into())
}

/// The columns by which rows are told apart under this replica identity.
fn key(
    session: &mut Session<'_>,
    oid: u64,
    identity: &str,
    name: &TableName,
    columns: &[ShapeColumn],
) -> Result<Result<Vec<usize>, String>, Fault> {
    let names = session.ask(&format!(
        "SELECT i.indisprimary, i.indisreplident, (SELECT string_agg(a.attname, E'\\x01' ORDER BY k.at) \
         FROM unnest(i.indkey) WITH ORDINALITY k(attnum, at) JOIN pg_attribute a \
         ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.at <= i.indnkeyatts) \
         FROM pg_index i WHERE i.indrelid = {oid} AND i.indisunique AND i.indisvalid AND i.indimmediate \
         AND i.indpred IS NULL AND i.indexprs IS NULL ORDER BY i.indisprimary DESC, i.indexrelid"
    ))?;
    let places = |row: &Answer| -> Option<Vec<usize>> {
        text(row, 2)?.split('\x01').map(|name| columns.iter().position(|it| it.name == name)).collect()
    };
    let has_no_null = |key: &Vec<usize>| key.iter().all(|it| columns[*it].not_null);
    let is = |row: &Answer, column| text(row, column) == Some("t");
    let mut keys = names.iter();
    let found = match identity {
        "d" => keys.find(|row| is(row, 0)).and_then(places),
        "i" => keys.find(|row| is(row, 1)).and_then(places),
        "f" => keys.filter_map(places).find(has_no_null),
        _ => None,
    };
    let (shown, quoted) = (name.shown(), name.quoted());
    Ok(found.ok_or_else(|| match identity {
        "n" => format!(
            "{shown} has REPLICA IDENTITY NOTHING, so its updates and deletes are not replicated: \
             ALTER TABLE {quoted} REPLICA IDENTITY DEFAULT"
        ),
        "p" => format!(
            "partitions of {shown} have a replica identity of their own: ALTER TABLE (of each) REPLICA IDENTITY DEFAULT"
        ),
        _ => format!(
            "{shown} has nothing by which rows that are updated or deleted are told apart: \
             ALTER TABLE {quoted} ADD PRIMARY KEY (…), or, over a unique index of NOT NULL columns, \
             ALTER TABLE {quoted} REPLICA IDENTITY USING INDEX …; where no columns are unique, number the rows: \
             ALTER TABLE {quoted} ADD COLUMN row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        ),
    }))
}

/// A number of an answer.
pub(super) fn number(row: &Answer, column: usize) -> u64 {
    text(row, column).and_then(|it| it.parse().ok()).unwrap_or_default()
}
