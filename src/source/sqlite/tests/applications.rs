//! Files in the manner of well-known applications: every table of theirs is captured, read and followed, with what
//! only the application has — collations, functions in triggers, views and indexes — missing here.

use super::harness::{File, Model, Python, Running};
use crate::catalog::DeclaredColumn;
use crate::source::SourceSpec;
use crate::source::sqlite::capture::{self, TableState};
use crate::source::sqlite::schema::describe;

struct Application {
    name: &'static str,
    /// Its tables, and what else its file holds.
    schema: &'static [&'static str],
    /// Statements as it runs them.
    writes: &'static [&'static str],
}

const APPLICATIONS: &[Application] = &[
    Application {
        name: "a music shop",
        schema: &[
            "CREATE TABLE [Artist] ([ArtistId] INTEGER NOT NULL, [Name] NVARCHAR(120),
             CONSTRAINT [PK_Artist] PRIMARY KEY ([ArtistId]))",
            "CREATE TABLE [Track] ([TrackId] INTEGER NOT NULL, [Name] NVARCHAR(200) NOT NULL,
             [Milliseconds] INTEGER NOT NULL, [Bytes] INTEGER,
             CONSTRAINT [PK_Track] PRIMARY KEY ([TrackId]))",
            "CREATE TABLE [PlaylistTrack] ([PlaylistId] INTEGER NOT NULL, [TrackId] INTEGER NOT NULL,
             CONSTRAINT [PK_PlaylistTrack] PRIMARY KEY ([PlaylistId], [TrackId]),
             FOREIGN KEY ([TrackId]) REFERENCES [Track] ([TrackId]) ON DELETE NO ACTION ON UPDATE NO ACTION)",
            "CREATE UNIQUE INDEX [IPK_PlaylistTrack] ON [PlaylistTrack]([PlaylistId], [TrackId])",
            "CREATE INDEX [IFK_PlaylistTrackTrackId] ON [PlaylistTrack] ([TrackId])",
        ],
        writes: &[
            "INSERT INTO [Artist] VALUES (1, 'A'), (2, 'B')",
            "INSERT INTO [Track] VALUES (1, 'T', 1000, NULL), (2, 'U', 2000, 5)",
            "INSERT INTO [PlaylistTrack] VALUES (1, 1), (1, 2)",
            "INSERT OR REPLACE INTO [PlaylistTrack] VALUES (1, 2)",
            "DELETE FROM [PlaylistTrack] WHERE [TrackId] = 1",
        ],
    },
    Application {
        name: "an order desk",
        schema: &[
            "CREATE TABLE \"Customers\" (\"CustomerID\" TEXT, \"CompanyName\" TEXT, \"City\" TEXT,
             PRIMARY KEY (\"CustomerID\"))",
            "CREATE TABLE \"Order Details\" (\"OrderID\" INTEGER NOT NULL, \"ProductID\" INTEGER NOT NULL,
             \"Quantity\" INTEGER NOT NULL DEFAULT (1),
             \"Discount\" REAL NOT NULL DEFAULT (0), PRIMARY KEY (\"OrderID\", \"ProductID\"),
             CHECK (\"Discount\" >= (0) AND \"Discount\" <= (1)))",
            "CREATE TABLE \"EmployeeTerritories\" (\"EmployeeID\" INTEGER NOT NULL, \"TerritoryID\" TEXT NOT NULL,
             PRIMARY KEY (\"EmployeeID\", \"TerritoryID\"))",
            "CREATE VIEW [Totals] AS SELECT \"OrderID\", sum(\"Quantity\")
             FROM \"Order Details\" GROUP BY \"OrderID\"",
        ],
        writes: &[
            "INSERT INTO \"Customers\" VALUES ('ALFKI', 'Alfreds', 'Berlin'), (NULL, 'Nobody', NULL), (NULL,
             'Nobody', NULL)",
            "INSERT INTO \"Order Details\" VALUES (1, 11, 12, 0), (1, 42, 10, 0.15)",
            "REPLACE INTO \"Order Details\" VALUES (1, 42, NULL, NULL)",
            "UPDATE \"Customers\" SET \"CustomerID\" = 'ALFKI' WHERE \"City\" IS NULL",
            "INSERT OR REPLACE INTO \"Customers\" VALUES ('ALFKI', 'Again', 'Bonn')",
        ],
    },
    Application {
        name: "a browser",
        schema: &[
            "CREATE TABLE moz_origins (id INTEGER PRIMARY KEY, prefix TEXT NOT NULL, host TEXT NOT NULL,
             frecency INTEGER NOT NULL, UNIQUE (prefix, host))",
            "CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url LONGVARCHAR, title LONGVARCHAR,
             visit_count INTEGER DEFAULT 0, hidden INTEGER DEFAULT 0 NOT NULL,
             guid TEXT, url_hash INTEGER DEFAULT 0 NOT NULL, origin_id INTEGER REFERENCES moz_origins(id))",
            "CREATE INDEX moz_places_url_hashindex ON moz_places (url_hash)",
            "CREATE UNIQUE INDEX moz_places_guid_uniqueindex ON moz_places (guid)",
            "CREATE TABLE moz_inputhistory (place_id INTEGER NOT NULL, input LONGVARCHAR NOT NULL,
             use_count INTEGER, PRIMARY KEY (place_id, input))",
            "CREATE TABLE moz_meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
            "CREATE TABLE moz_icons_to_pages (page_id INTEGER NOT NULL, icon_id INTEGER NOT NULL,
             expire_ms INTEGER NOT NULL DEFAULT 0,
             PRIMARY KEY (page_id, icon_id)) WITHOUT ROWID",
            "CREATE TRIGGER moz_places_afterdelete AFTER DELETE ON moz_places BEGIN DELETE
             FROM moz_inputhistory WHERE place_id = OLD.id; END",
        ],
        writes: &[
            "INSERT INTO moz_origins (prefix, host, frecency) VALUES ('https://', 'a.org', 1), ('https://', 'b.org',
             -1)",
            "INSERT OR REPLACE INTO moz_origins (prefix, host, frecency) VALUES ('https://', 'a.org', 5)",
            "INSERT INTO moz_places (url, guid, url_hash, origin_id) VALUES ('https://a.org/', 'g1', 47356370932282,
             1), ('https://b.org/', 'g2', 5, 2)",
            "INSERT INTO moz_inputhistory VALUES (1, 'a', 1) ON CONFLICT (place_id,
             input) DO UPDATE SET use_count = use_count + 1",
            "INSERT INTO moz_inputhistory VALUES (1, 'a', 1) ON CONFLICT (place_id,
             input) DO UPDATE SET use_count = use_count + 1",
            "INSERT OR REPLACE INTO moz_meta VALUES ('sync/lastSync', '1.5')",
            "INSERT INTO moz_icons_to_pages VALUES (1, 1, 5) ON CONFLICT DO UPDATE SET expire_ms = 9",
            "UPDATE OR REPLACE moz_places SET guid = 'g2' WHERE id = 1",
            "DELETE FROM moz_places",
        ],
    },
    Application {
        name: "a card trainer",
        schema: &[
            "CREATE TABLE fields (ntid integer NOT NULL, ord integer NOT NULL, name text NOT NULL COLLATE own,
             config blob NOT NULL, PRIMARY KEY (ntid, ord)) without rowid",
            "CREATE UNIQUE INDEX idx_fields_name_ntid ON fields (name, ntid)",
            "CREATE TABLE decks (id integer PRIMARY KEY NOT NULL, name text NOT NULL COLLATE own,
             usn integer NOT NULL, common blob NOT NULL)",
            "CREATE UNIQUE INDEX idx_decks_name ON decks (name)",
            "CREATE TABLE tags (tag text NOT NULL PRIMARY KEY COLLATE own, usn integer NOT NULL,
             collapsed boolean NOT NULL, config blob NULL) without rowid",
            "CREATE TABLE config (KEY text NOT NULL PRIMARY KEY, usn integer NOT NULL,
             val blob NOT NULL) without rowid",
            "CREATE TABLE graves (oid integer NOT NULL, type integer NOT NULL, usn integer NOT NULL,
             PRIMARY KEY (oid, type)) WITHOUT ROWID",
            "CREATE TABLE notes (id integer PRIMARY KEY, guid text NOT NULL, tags text NOT NULL, flds text NOT NULL,
             sfld integer NOT NULL, csum integer NOT NULL)",
            "CREATE INDEX ix_notes_csum ON notes (csum)",
        ],
        writes: &[
            "INSERT INTO fields VALUES (1, 0, 'Front', x''), (1, 1, 'Back', x'0a')",
            "INSERT OR REPLACE INTO fields VALUES (1, 2, 'FRONT', x'')",
            "INSERT INTO decks VALUES (1, 'Default', 0, x''), (2, 'Other', 0, x'')",
            "UPDATE OR REPLACE decks SET name = 'default' WHERE id = 2",
            "INSERT INTO tags VALUES ('leech', 1, 0, NULL), ('Verb', 1, 1, x'00')",
            "INSERT OR REPLACE INTO tags VALUES ('LEECH', 2, 1, NULL), ('noun', 2, 0, NULL)",
            "UPDATE tags SET tag = 'verb ' WHERE usn = 1",
            "UPDATE tags SET collapsed = 1",
            "DELETE FROM tags WHERE tag = 'Leech'",
            "INSERT OR REPLACE INTO config VALUES ('curDeck', 0, '1')",
            "INSERT INTO notes VALUES (1, 'g', '', 'a' || char(31) || 'b', 'a', 5), (2, 'h', '', '1', 1, 6)",
            "INSERT OR IGNORE INTO graves VALUES (1, 2, 3)",
        ],
    },
    Application {
        name: "a reference manager",
        schema: &[
            "CREATE TABLE items (itemID INTEGER PRIMARY KEY, itemTypeID INT NOT NULL,
             dateAdded TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, libraryID INT NOT NULL,
             key TEXT NOT NULL, version INT NOT NULL DEFAULT 0, UNIQUE (libraryID, key))",
            "CREATE TABLE itemData (itemID INT, fieldID INT, valueID INT, PRIMARY KEY (itemID, fieldID),
             FOREIGN KEY (itemID) REFERENCES items(itemID) ON DELETE CASCADE)",
            "CREATE TABLE settings (setting TEXT, key TEXT, value, PRIMARY KEY (setting, key))",
            "CREATE TABLE version (schema TEXT PRIMARY KEY, version INT NOT NULL)",
            "CREATE TABLE tags (tagID INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
            "CREATE TABLE savedSearchConditions (savedSearchID INT NOT NULL, searchConditionID INT NOT NULL,
             condition TEXT NOT NULL, value TEXT, required NONE,
             PRIMARY KEY (savedSearchID, searchConditionID))",
            "CREATE TRIGGER fki_tags BEFORE INSERT ON tags FOR EACH ROW WHEN trim(NEW.name) = ''
             BEGIN SELECT RAISE(ABORT, 'empty'); END",
        ],
        writes: &[
            "INSERT INTO items (itemTypeID, libraryID, key) VALUES (2, 1, 'ABCD2345'), (2, 1, 'EFGH2345')",
            "INSERT INTO itemData VALUES (1, 1, 1), (1, NULL, 2), (1, NULL, 2), (2, 1, 1)",
            "REPLACE INTO items (itemTypeID, libraryID, key) VALUES (3, 1, 'ABCD2345')",
            "REPLACE INTO settings VALUES ('account', 'userID', 5), ('account', 'userID', '6')",
            "INSERT INTO tags (name) VALUES (' ')",
            "INSERT INTO tags (name) VALUES ('to read'), ('read')",
            "UPDATE OR REPLACE tags SET name = 'read' WHERE tagID = 1",
            "DELETE FROM items",
        ],
    },
    Application {
        name: "a book shelf",
        schema: &[
            "CREATE TABLE books (id INTEGER PRIMARY KEY AUTOINCREMENT,
             title TEXT NOT NULL DEFAULT 'Unknown' COLLATE NOCASE, sort TEXT COLLATE NOCASE,
             timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP, series_index REAL NOT NULL DEFAULT 1.0,
             isbn TEXT DEFAULT \"\" COLLATE NOCASE, has_cover BOOL DEFAULT 0)",
            "CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, sort TEXT COLLATE own,
             link TEXT NOT NULL DEFAULT \"\", UNIQUE(name))",
            "CREATE TABLE books_authors_link (id INTEGER PRIMARY KEY, book INTEGER NOT NULL,
             author INTEGER NOT NULL, UNIQUE(book, author))",
            "CREATE TABLE comments (id INTEGER PRIMARY KEY, book INTEGER NOT NULL,
             text TEXT NOT NULL COLLATE NOCASE, UNIQUE(book))",
            "CREATE TABLE custom_columns (id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL,
             name TEXT NOT NULL, datatype TEXT NOT NULL,
             mark_for_delete BOOL DEFAULT 0 NOT NULL, UNIQUE(label))",
            "CREATE INDEX authors_idx ON books (sort COLLATE own)",
            "CREATE TRIGGER books_insert_trg AFTER INSERT ON books
             BEGIN UPDATE books SET sort = norm(NEW.title) WHERE id = NEW.id; END",
            "CREATE TRIGGER fkc_comments_insert BEFORE INSERT ON comments BEGIN SELECT CASE WHEN (SELECT id
             FROM books WHERE id = NEW.book) IS NULL
             THEN RAISE(ABORT, 'Foreign key violation: book not in books') END; END",
            "CREATE VIEW meta AS SELECT id, title, (SELECT concatenated(name) FROM authors) authors, norm(sort)
             FROM books ORDER BY sort COLLATE own",
        ],
        writes: &[
            "INSERT INTO books (title) VALUES ('The A'), ('B')",
            "INSERT INTO authors (name) VALUES ('Ann'), ('Bob')",
            "INSERT OR REPLACE INTO authors (name, sort) VALUES ('ANN', 'a')",
            "INSERT INTO books_authors_link (book, author) VALUES (1, 3), (2, 2)",
            "INSERT INTO comments (book, text) VALUES (9, 'none')",
            "INSERT INTO comments (book, text) VALUES (1, 'fine')",
            "INSERT OR REPLACE INTO comments (book, text) VALUES (1, 'good')",
            "UPDATE books SET title = NULL",
            "UPDATE OR REPLACE books SET title = NULL",
            "REPLACE INTO custom_columns (label, name, datatype) VALUES ('read', 'Read', 'bool'), ('read',
             'Read it', 'bool')",
            "DELETE FROM books WHERE id = 2",
        ],
    },
    Application {
        name: "a web service",
        schema: &[
            "CREATE TABLE users (id TEXT PRIMARY KEY NOT NULL, email TEXT NOT NULL, phone TEXT, deleted_at DATETIME,
             role TEXT NOT NULL DEFAULT 'user')",
            "CREATE UNIQUE INDEX users_email ON users (lower(email)) WHERE deleted_at IS NULL",
            "CREATE UNIQUE INDEX users_phone ON users (phone) WHERE phone IS NOT NULL AND users.deleted_at IS NULL",
            "CREATE TABLE addresses (id INTEGER PRIMARY KEY AUTOINCREMENT,
             user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE, is_default INTEGER NOT NULL DEFAULT 0)",
            "CREATE UNIQUE INDEX one_default ON addresses (user_id) WHERE is_default = 1",
            "CREATE UNIQUE INDEX one_default_too ON addresses (user_id, (CASE WHEN is_default = 1 THEN 1 END))",
            "CREATE TABLE jobs (id INTEGER PRIMARY KEY, queue TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'queued',
             payload JSON)",
            "CREATE UNIQUE INDEX one_running ON jobs (queue) WHERE state = 'running'",
            "CREATE UNIQUE INDEX by_request ON jobs (json_extract(payload, \"$.request\"))",
            "CREATE TABLE site (only INTEGER NOT NULL DEFAULT 1 CHECK (only = 1), title TEXT)",
            "CREATE UNIQUE INDEX one_site ON site ((1))",
        ],
        writes: &[
            "INSERT INTO users (id, email, phone) VALUES ('u1', 'A@x', '1'), ('u2', 'b@x', NULL), ('u3', 'c@x', '3')",
            "UPDATE users SET deleted_at = '2026-01-01' WHERE id = 'u1'",
            "INSERT INTO users (id, email, phone) VALUES ('u4', 'a@X', '1')",
            "UPDATE OR REPLACE users SET deleted_at = NULL WHERE id = 'u1'",
            "INSERT OR REPLACE INTO users (id, email, phone, role) VALUES ('u5', 'B@X', '3', NULL)",
            "INSERT INTO addresses (user_id, is_default) VALUES ('u1', 1), ('u1', 0), ('u5', 0)",
            "INSERT OR REPLACE INTO addresses (user_id, is_default) VALUES ('u1', '1')",
            "UPDATE OR REPLACE addresses SET is_default = 1.0",
            "INSERT INTO jobs (queue, state, payload) VALUES ('q', 'running', '{\"request\": 1}'), ('q', 'queued',
             '{\"request\": 2}'), ('r', 'running', NULL)",
            "UPDATE OR REPLACE jobs SET state = 'running' WHERE id = 2",
            "INSERT OR REPLACE INTO jobs (queue, payload) VALUES ('s', '{ \"request\" : 2 }')",
            "INSERT INTO site (title) VALUES ('one')",
            "REPLACE INTO site (title) VALUES ('two')",
            "DELETE FROM users",
        ],
    },
];

/// Follows the columns of the types that are not a matter of interpretation.
fn spec(file: &File, tables: &[&str]) -> SourceSpec {
    let mut spec = file.spec(tables);
    for table in &mut spec.tables {
        use crate::change::DataType::{Bytes, Float64, Int64, Text};
        let plain =
            table.schema.visible_columns().iter().filter(|it| matches!(it.data_type, Bytes | Float64 | Int64 | Text));
        let declared = plain.map(|it| DeclaredColumn::new(it.name.clone(), it.data_type));
        table.schema = describe(&file.path, &table.declaration.upstream, &declared.collect::<Vec<_>>()).unwrap();
    }
    spec
}

#[test]
fn every_table_of_an_application_is_captured_and_followed() {
    for application in APPLICATIONS {
        let file = File::new("");
        let mut python = Python::open(&file.path);
        application.schema.iter().for_each(|it| python.execute(it));
        let report = capture::install(&file.path, &[]).unwrap();
        let is_view = |it: &TableState| matches!(it, TableState::Refused { reason } if reason == "it is a view");
        let states = || report.tables.iter().filter(|it| !is_view(&it.state));
        for it in states() {
            assert!(matches!(it.state, TableState::Captured { .. }), "{}: {report}", application.name);
        }
        assert!(capture::status(&file.path, &[]).unwrap().is_complete(), "{}", application.name);
        let tables: Vec<&str> = states().map(|it| it.table.as_str()).collect();
        let mut source = Running::start(spec(&file, &tables), Model::default());
        source.check(application.name);
        for recursive in ["OFF", "ON"] {
            python.execute(&format!("PRAGMA recursive_triggers = {recursive}"));
            for sql in application.writes {
                let answer = python.run(sql);
                source.check(&format!("{}: {sql} → {answer}", application.name));
            }
        }
    }
}
