-- A library of books: TIMESTAMP text with an offset, BOOL, REAL, NOCASE keys, triggers that call functions which only
-- the application has, blobs, a column declared with an expression's default.
CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, sort TEXT COLLATE NOCASE, link TEXT NOT NULL DEFAULT "", UNIQUE (name));
CREATE TABLE books (
    id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL DEFAULT 'Unknown' COLLATE NOCASE, sort TEXT COLLATE NOCASE,
    timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP, pubdate TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    series_index REAL NOT NULL DEFAULT 1.0, author_sort TEXT COLLATE NOCASE, path TEXT NOT NULL DEFAULT "",
    uuid TEXT, has_cover BOOL DEFAULT 0, last_modified TIMESTAMP NOT NULL DEFAULT "2000-01-01 00:00:00+00:00");
CREATE TABLE books_authors_link (id INTEGER PRIMARY KEY, book INTEGER NOT NULL, author INTEGER NOT NULL, UNIQUE (book, author));
CREATE TABLE comments (id INTEGER PRIMARY KEY, book INTEGER NOT NULL, text TEXT NOT NULL COLLATE NOCASE, UNIQUE (book));
CREATE TABLE conversion_options (id INTEGER PRIMARY KEY, format TEXT NOT NULL COLLATE NOCASE, book INTEGER, data BLOB NOT NULL, UNIQUE (format, book));
CREATE TABLE custom_column_1 (id INTEGER PRIMARY KEY AUTOINCREMENT, book INTEGER, value BOOL NOT NULL, UNIQUE (book));
CREATE TABLE custom_column_2 (id INTEGER PRIMARY KEY AUTOINCREMENT, book INTEGER, value timestamp NOT NULL, UNIQUE (book));
CREATE TABLE custom_columns (
    id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL, name TEXT NOT NULL, datatype TEXT NOT NULL,
    mark_for_delete BOOL DEFAULT 0 NOT NULL, editable BOOL DEFAULT 1 NOT NULL, display TEXT DEFAULT "{}" NOT NULL, normalized BOOL NOT NULL, UNIQUE (label));
CREATE TABLE data (
    id INTEGER PRIMARY KEY, book INTEGER NOT NULL, format TEXT NOT NULL COLLATE NOCASE, uncompressed_size INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (book, format));
CREATE TABLE identifiers (
    id INTEGER PRIMARY KEY, book INTEGER NOT NULL, type TEXT NOT NULL DEFAULT "isbn" COLLATE NOCASE, val TEXT NOT NULL COLLATE NOCASE, UNIQUE (book, type));
CREATE TABLE last_read_positions (
    id INTEGER PRIMARY KEY, book INTEGER NOT NULL, format TEXT NOT NULL COLLATE NOCASE, user TEXT NOT NULL, device TEXT NOT NULL,
    cfi TEXT NOT NULL, epoch REAL NOT NULL, pos_frac REAL NOT NULL DEFAULT 0, UNIQUE (user, device, book, format));
CREATE TABLE library_id (id INTEGER PRIMARY KEY, uuid TEXT NOT NULL, UNIQUE (uuid));
CREATE TABLE metadata_dirtied (id INTEGER PRIMARY KEY, book INTEGER NOT NULL, UNIQUE (book));
CREATE TABLE preferences (id INTEGER PRIMARY KEY, key TEXT NOT NULL, val TEXT NOT NULL, UNIQUE (key));
CREATE TABLE ratings (id INTEGER PRIMARY KEY, rating INTEGER CHECK (rating > -1 AND rating < 11), UNIQUE (rating));
CREATE INDEX books_idx ON books (sort COLLATE NOCASE);
CREATE VIEW tag_browser_authors AS SELECT id, name, (SELECT count(id) FROM books_authors_link WHERE author = authors.id) count FROM authors;
CREATE TRIGGER books_insert_trg AFTER INSERT ON books BEGIN
    UPDATE books SET sort = title_sort(NEW.title), uuid = uuid4() WHERE id = NEW.id;
END;
CREATE TRIGGER books_update_trg AFTER UPDATE ON books BEGIN
    UPDATE books SET sort = title_sort(NEW.title) WHERE id = NEW.id AND OLD.title <> NEW.title;
END;
CREATE TRIGGER books_delete_trg AFTER DELETE ON books BEGIN
    DELETE FROM books_authors_link WHERE book = OLD.id;
    DELETE FROM data WHERE book = OLD.id;
    DELETE FROM comments WHERE book = OLD.id;
END;
CREATE TRIGGER fkc_comments_insert BEFORE INSERT ON comments BEGIN
    SELECT CASE WHEN (SELECT id FROM books WHERE id = NEW.book) IS NULL THEN RAISE(ABORT, 'foreign key violation: book not in books') END;
END;
INSERT INTO authors (name, sort) VALUES ('Ursula K. Le Guin', 'Guin, Ursula K. Le'), ('Stanisław Lem', 'Lem, Stanisław');
INSERT INTO books (title, timestamp, pubdate, series_index, has_cover, last_modified) VALUES
    ('The Dispossessed', '2011-03-04 05:06:07+00:00', '1974-05-01 04:00:00+00:00', 1.0, 1, '2024-02-29 12:00:00.123456+00:00'),
    ('Solaris', '2020-01-01 01:00:00+01:00', '0101-01-01 00:00:00+00:00', 2.5, 0, '2023-10-29 02:30:00+02:00');
INSERT INTO books (title) VALUES ('A Thing');
INSERT INTO books_authors_link (book, author) VALUES (1, 1), (2, 2);
INSERT INTO comments (book, text) VALUES (1, '<p>An ambiguous utopia</p>');
INSERT INTO conversion_options (format, book, data) VALUES ('PIPE', 1, x'7b7d'), ('EPUB', NULL, 'json:{}'), ('EPUB', NULL, '');
INSERT INTO custom_column_1 (book, value) VALUES (1, 1), (2, 0);
INSERT INTO custom_column_2 (book, value) VALUES (1, '2024-05-01 12:00:00+00:00');
INSERT INTO custom_columns (label, name, datatype, normalized) VALUES ('read', 'Read', 'bool', 0), ('finished', 'Finished', 'datetime', 0);
INSERT INTO data (book, format, uncompressed_size, name) VALUES (1, 'EPUB', 345678, 'The Dispossessed - Ursula K. Le Guin');
INSERT INTO identifiers (book, type, val) VALUES (1, 'isbn', '9780060512750'), (2, 'goodreads', '95558');
INSERT INTO last_read_positions (book, format, user, device, cfi, epoch, pos_frac) VALUES (1, 'EPUB', '_', 'd1', 'epubcfi(/6)', 1700000000.123, 0.25);
INSERT INTO library_id (uuid) VALUES ('0b5f4a1e-6f0e-4c55-9d6a-1f0f6d2f6a11');
INSERT INTO metadata_dirtied (book) VALUES (2);
INSERT INTO preferences (key, val) VALUES ('bools_are_tristate', 'true'), ('user_categories', '{}');
INSERT INTO ratings (rating) VALUES (0), (8), (10);
-- later
UPDATE books SET title = 'Solaris, a novel', last_modified = '2024-06-01 10:00:00.5+00:00' WHERE id = 2;
INSERT OR REPLACE INTO authors (id, name) VALUES (9, 'STANISŁAW LEM'), (10, 'ursula k. le guin');
INSERT INTO data (book, format, uncompressed_size, name) VALUES (1, 'epub', 1, 'x') ON CONFLICT (book, format) DO UPDATE SET uncompressed_size = 9;
DELETE FROM books WHERE id = 1;
INSERT OR REPLACE INTO preferences (key, val) VALUES ('user_categories', '{"a":[]}');
