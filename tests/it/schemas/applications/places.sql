-- A browser's history: LONGVARCHAR, microseconds in INTEGER columns, columns without a type, tables WITHOUT ROWID,
-- triggers that keep counters.
CREATE TABLE moz_origins (
    id INTEGER PRIMARY KEY, prefix TEXT NOT NULL, host TEXT NOT NULL, frecency INTEGER NOT NULL, UNIQUE (prefix, host));
CREATE TABLE moz_places (
    id INTEGER PRIMARY KEY, url LONGVARCHAR, title LONGVARCHAR, rev_host LONGVARCHAR, visit_count INTEGER DEFAULT 0,
    hidden INTEGER DEFAULT 0 NOT NULL, frecency INTEGER DEFAULT -1 NOT NULL, last_visit_date INTEGER, guid TEXT,
    foreign_count INTEGER DEFAULT 0 NOT NULL, url_hash INTEGER DEFAULT 0 NOT NULL, description TEXT,
    origin_id INTEGER REFERENCES moz_origins(id));
CREATE TABLE moz_historyvisits (
    id INTEGER PRIMARY KEY, from_visit INTEGER, place_id INTEGER, visit_date INTEGER, visit_type INTEGER, session INTEGER);
CREATE TABLE moz_inputhistory (place_id INTEGER NOT NULL, input LONGVARCHAR NOT NULL, use_count INTEGER, PRIMARY KEY (place_id, input));
CREATE TABLE moz_bookmarks (
    id INTEGER PRIMARY KEY, type INTEGER, fk INTEGER DEFAULT NULL, parent INTEGER, position INTEGER, title LONGVARCHAR,
    dateAdded INTEGER, lastModified INTEGER, guid TEXT);
CREATE TABLE moz_keywords (id INTEGER PRIMARY KEY AUTOINCREMENT, keyword TEXT UNIQUE, place_id INTEGER, post_data TEXT);
CREATE TABLE moz_meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE moz_anno_attributes (id INTEGER PRIMARY KEY, name VARCHAR(32) UNIQUE NOT NULL);
CREATE TABLE moz_annos (
    id INTEGER PRIMARY KEY, place_id INTEGER NOT NULL, anno_attribute_id INTEGER, content LONGVARCHAR, flags INTEGER DEFAULT 0);
CREATE TABLE moz_previews_tombstones (hash TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE UNIQUE INDEX moz_places_guid_uniqueindex ON moz_places (guid);
CREATE INDEX moz_places_url_hashindex ON moz_places (url_hash);
CREATE UNIQUE INDEX moz_bookmarks_guid_uniqueindex ON moz_bookmarks (guid);
CREATE UNIQUE INDEX moz_keywords_placepostdata_uniqueindex ON moz_keywords (place_id, post_data);
CREATE TRIGGER moz_historyvisits_afterinsert AFTER INSERT ON moz_historyvisits BEGIN
    UPDATE moz_places SET visit_count = visit_count + 1, last_visit_date = max(ifnull(last_visit_date, 0), NEW.visit_date)
    WHERE id = NEW.place_id;
END;
CREATE TRIGGER moz_places_afterdelete AFTER DELETE ON moz_places BEGIN
    DELETE FROM moz_historyvisits WHERE place_id = OLD.id;
END;
INSERT INTO moz_origins VALUES (1, 'https://', 'example.org', 2000), (2, 'https://', 'example.net', -1);
INSERT INTO moz_places (id, url, title, rev_host, guid, url_hash, origin_id) VALUES
    (1, 'https://example.org/', 'Example', 'gro.elpmaxe.', 'Aa1bB2cC3dD4', 47357795150914, 1),
    (2, 'https://example.net/ü', NULL, 'ten.elpmaxe.', 'eE5fF6gG7hH8', -47357795150914, 2),
    (3, 'place:sort=8', NULL, NULL, NULL, 0, NULL);
INSERT INTO moz_historyvisits (from_visit, place_id, visit_date, visit_type, session) VALUES
    (0, 1, 1700000000123456, 1, 0), (1, 2, 1700000001000000, 1, 0), (0, 1, 1700000002000000, 2, 0);
INSERT INTO moz_inputhistory VALUES (1, 'exa', 1), (2, 'net', 3);
INSERT INTO moz_bookmarks VALUES
    (1, 2, NULL, 0, 0, NULL, 1700000000000000, 1700000000000000, 'root________'), (2, 1, 1, 1, 0, 'Example', 1700000000000000, 1700000003000000, 'zZ9yY8xX7wW6');
INSERT INTO moz_keywords (keyword, place_id, post_data) VALUES ('ex', 1, NULL), ('ne', 2, 'q=%s');
INSERT INTO moz_meta VALUES ('sync/bookmarks/syncId', 'abc'), ('origin_frecency_count', 2), ('origin_frecency_sum', 3999.5), ('blob', x'00ff');
INSERT INTO moz_anno_attributes VALUES (1, 'downloads/destination'), (2, 'downloads/meta');
INSERT INTO moz_annos VALUES (1, 1, 1, 'file:///tmp/a', 0), (2, 1, 2, '{"state":1}', 0);
INSERT INTO moz_previews_tombstones VALUES ('d41d8cd98f00b204'), ('e9800998ecf8427e');
-- later
INSERT INTO moz_historyvisits (from_visit, place_id, visit_date, visit_type, session) VALUES (3, 2, 1700000009000001, 1, 0);
INSERT OR REPLACE INTO moz_meta VALUES ('origin_frecency_count', 3), ('origin_frecency_sum', 4000);
INSERT OR REPLACE INTO moz_places (id, url, guid) VALUES (4, 'https://example.com/', 'Aa1bB2cC3dD4');
DELETE FROM moz_places WHERE id = 2;
UPDATE moz_keywords SET keyword = upper(keyword);
