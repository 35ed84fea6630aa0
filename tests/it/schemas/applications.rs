//! Six applications' files: a media shop, a trading company, a browser, flash cards, references, a library of books.
//!
//! Their DDL and statements stand in `applications/*.sql`; what is below `-- later` is written while the server runs.
//! Python runs them, as it has the applications' own functions and collations. The judge is SQLite itself: its own
//! functions say what each value is, by rules that are written down here a second time.

use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use super::compare::{Reader, Row, quoted};
use crate::support::{PATIENCE, Site, text_of, vantage};

const APPLICATIONS: [(&str, &str); 6] = [
    ("chinook", include_str!("applications/chinook.sql")),
    ("northwind", include_str!("applications/northwind.sql")),
    ("places", include_str!("applications/places.sql")),
    ("anki", include_str!("applications/anki.sql")),
    ("zotero", include_str!("applications/zotero.sql")),
    ("calibre", include_str!("applications/calibre.sql")),
];

/// The columns whose declared type is not what their application writes into them.
const DECLARED: [(&str, &str); 1] = [(
    "anki_notes",
    "(id bigint, guid text, mid bigint, mod bigint, usn bigint, tags text, flds text, sfld text, csum bigint, data text)",
)];

/// Runs statements as the application does.
fn run(path: &Path, statements: &str) {
    const PROGRAM: &str = "
import sqlite3, sys, uuid
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
fold = lambda text: text.casefold()
db.create_collation('unicase', lambda a, b: (fold(a) > fold(b)) - (fold(a) < fold(b)))
db.create_function('title_sort', 1, lambda title: title and title.removeprefix('The ').removeprefix('A '))
db.create_function('uuid4', 0, lambda: str(uuid.uuid4()))
db.executescript('PRAGMA journal_mode = WAL;' + sys.argv[2])
";
    let output = Command::new("python3").args(["-c", PROGRAM]).arg(path).arg(statements).output().expect("python3");
    assert!(output.status.success(), "{}: {}", path.display(), text_of(&output));
}

/// The owner's tables and their columns with declared types.
fn tables(owner: &Connection) -> Vec<(String, Vec<(String, String)>)> {
    let list = |sql: &str, argument: &str| -> Vec<(String, String)> {
        let mut statement = owner.prepare(sql).expect("readable schema");
        let rows = statement.query_map([argument], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
        rows.collect::<rusqlite::Result<_>>().expect("rows")
    };
    let names = list(
        "SELECT name, type FROM sqlite_schema WHERE type = ?1 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         AND name NOT LIKE '\\_vantage%' ESCAPE '\\' ORDER BY name",
        "table",
    );
    let columns = |table: &str| list("SELECT name, type FROM pragma_table_info(?1) ORDER BY cid", table);
    names.into_iter().map(|(name, _)| (name.clone(), columns(&name))).collect()
}

/// An SQLite expression for the JSON text of a column's value.
fn judged(column: &str, declared: &str) -> String {
    let c = quoted(column);
    let upper = declared.to_uppercase();
    let has = |part: &str| upper.contains(part);
    let json = match () {
        () if has("BOOL") || has("BIT") => format!("CASE WHEN {c} THEN 'true' ELSE 'false' END"),
        () if has("TIME") => {
            format!("'\"' || rtrim(rtrim(strftime('%Y-%m-%dT%H:%M:%f', {c}), '0'), '.') || '\"'")
        }
        () if upper == "DATE" => format!("'\"' || date({c}) || '\"'"),
        () if has("MONEY") => format!("printf('%.4f', {c})"),
        () if has("NUMBER(3,1)") => format!("printf('%.1f', {c})"),
        () if has("(10,2)") => format!("printf('%.2f', {c})"),
        () if has("REAL") || has("NUMERIC") => format!("CAST(CAST({c} AS REAL) AS TEXT)"),
        () if has("BLOB") || has("BINARY") || has("IMAGE") => format!("'\"\\\\x' || lower(hex({c})) || '\"'"),
        () if has("CHAR") || has("TEXT") || upper.is_empty() => format!(
            "CASE typeof({c}) WHEN 'blob' THEN '\"\\\\x' || lower(hex({c})) || '\"' ELSE json_quote(CAST({c} AS TEXT)) END"
        ),
        () => format!("CAST({c} AS TEXT)"),
    };
    format!("CASE WHEN {c} IS NULL THEN 'null' ELSE {json} END")
}

/// All rows as the owner's SQLite reads them, as JSON texts.
fn owner_rows(owner: &Connection, table: &str, columns: &[(String, String)]) -> Vec<Row> {
    let cells: Vec<String> = columns.iter().map(|(name, declared)| judged(name, declared)).collect();
    let sql = format!("SELECT {} FROM {}", cells.join(", "), quoted(table));
    let mut statement = owner.prepare(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    let row = |row: &rusqlite::Row<'_>| {
        columns.iter().enumerate().map(|(at, (name, _))| Ok((name.clone(), row.get::<_, String>(at)?))).collect()
    };
    let rows = statement.query_map([], row).expect("rows");
    rows.collect::<rusqlite::Result<_>>().unwrap_or_else(|error| panic!("{error}: {sql}"))
}

/// Texts that two ways of writing JSON have in common: letters as they are, floats of one form, milliseconds.
fn plain(row: Row) -> Row {
    let plain = |text: String| match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(serde_json::Value::String(it)) => {
            let is_time = it.len() > 23 && it.as_bytes()[10] == b'T' && it.as_bytes()[19] == b'.';
            format!("{:?}", if is_time { it[..23].trim_end_matches('0') } else { &it })
        }
        _ => text,
    };
    row.into_iter().map(|(name, it)| (name, plain(it))).collect()
}

fn sorted(rows: Vec<Row>) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.into_iter().map(plain).collect();
    rows.sort();
    rows
}

#[test]
fn every_table_of_six_applications_is_captured_and_read_without_an_error_cell() {
    let site = Site::new();
    let mut views = String::new();
    let mut applications = Vec::new();
    for (name, script) in APPLICATIONS {
        let (before, later) = script.split_once("-- later\n").expect("statements for later");
        let path = site.path(&format!("{name}.db"));
        run(&path, before);
        let install = vantage().args(["capture", "install"]).arg(&path).output().expect("capture");
        assert!(install.status.success(), "{}", text_of(&install));
        let captured = |line: &str| line.contains(" captured by ") || line.ends_with("refused: it is a view");
        let said = text_of(&install);
        let mut lines = said.lines().skip(1).filter(|it| !it.contains("note: "));
        assert!(lines.all(captured), "{}", text_of(&install));
        let owner = Connection::open(&path).expect("the application's file");
        owner.busy_timeout(PATIENCE).expect("busy timeout");
        // SQLite opens no table with an index under a collation it does not know; nothing here compares by it.
        owner.create_collation("unicase", |left, right| left.cmp(right)).expect("a collation");
        views += &format!("CREATE SOURCE {name} WITH (connector = 'sqlite', path = '{name}.db');\n");
        let tables = tables(&owner);
        for (table, _) in &tables {
            let relation = relation(name, table);
            let columns = DECLARED.iter().find(|it| it.0 == relation).map_or("", |it| it.1);
            views += &format!("CREATE TABLE {} {columns} FROM {name} TABLE '{table}';\n", quoted(&relation));
        }
        applications.push((name, path, owner, tables, later));
    }
    site.write_views(&views);
    let check = vantage().current_dir(site.root()).args(["check", "--views", "views"]).output().expect("check");
    assert!(check.status.success() && !text_of(&check).contains("error cell"), "{}", text_of(&check));
    let mut server = site.serve();
    server.wait_ready();
    let sources = || applications.iter().map(|it| (it.0.to_string(), &it.2)).collect();
    let mut seen = 0;
    for round in 0..2 {
        let reader = Reader { server: &server, sources: sources() };
        for (name, _, owner, tables, _) in &applications {
            for (table, columns) in tables {
                let relation = relation(name, table);
                let columns: Vec<(String, String)> = columns
                    .iter()
                    .map(|(column, declared)| match (relation.as_str(), column.as_str()) {
                        ("anki_notes", "sfld") => (column.clone(), "TEXT".into()),
                        _ => (column.clone(), declared.clone()),
                    })
                    .collect();
                let rows = reader.rows(&relation);
                let expected = sorted(owner_rows(owner, table, &columns));
                assert_eq!(sorted(rows.clone()), expected, "{relation} in round {round}");
                seen += rows.len();
                let key = reader.key(&relation).unwrap_or_else(|| panic!("{relation} has no key"));
                for row in &rows {
                    let values: Vec<&str> = key.iter().map(|it| row[it].as_str()).collect();
                    if let Some(found) = reader.by_key(&relation, &values) {
                        assert_eq!(&found, row, "{relation} by {values:?}");
                    }
                }
            }
        }
        if round == 0 {
            applications.iter().for_each(|(_, path, _, _, later)| run(path, later));
        }
    }
    assert!(seen > 200, "only {seen} rows");
}

/// How a table of an application is called in the views.
fn relation(application: &str, table: &str) -> String {
    format!("{application}_{}", table.to_lowercase().replace(' ', "_"))
}

#[test]
fn check_names_what_a_declared_type_does_not_take_and_the_declaration_that_does() {
    let site = Site::new();
    let (_, script) = APPLICATIONS[3];
    run(&site.path("anki.db"), script.split_once("-- later\n").expect("statements for later").0);
    let source = "CREATE SOURCE anki WITH (connector = 'sqlite', path = 'anki.db');\n";
    site.write_views(&format!("{source}CREATE TABLE notes FROM anki TABLE 'notes';\n"));
    let check = || {
        let output = vantage().current_dir(site.root()).args(["check", "--views", "views"]).output().expect("check");
        assert!(output.status.success(), "{}", text_of(&output));
        text_of(&output)
    };
    let said = check();
    assert!(said.contains("notes.sfld: 1 of 2 sampled rows would have an error cell"), "{said}");
    assert!(said.contains("\"gehen\" is no bigint"), "{said}");
    let declaration = said.split_once("CREATE TABLE notes").expect("a declaration").1;
    let declaration = declaration.split_once(';').expect("its end").0;
    site.write_views(&format!("{source}CREATE TABLE notes{declaration};\n"));
    let said = check();
    assert!(!said.contains("error cell"), "{said}");
}
