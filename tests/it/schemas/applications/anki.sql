-- Flash cards: a collation that only the application has, in keys and unique indexes; protocol buffers in blobs; an
-- INTEGER column that holds text, which has to be declared; booleans; times in seconds and milliseconds.
CREATE TABLE col (
    id integer PRIMARY KEY, crt integer NOT NULL, mod integer NOT NULL, ver integer NOT NULL, conf text NOT NULL, models text NOT NULL);
CREATE TABLE notes (
    id integer PRIMARY KEY, guid text NOT NULL, mid integer NOT NULL, mod integer NOT NULL, usn integer NOT NULL,
    tags text NOT NULL, flds text NOT NULL, sfld integer NOT NULL, csum integer NOT NULL, data text NOT NULL);
CREATE TABLE cards (
    id integer PRIMARY KEY, nid integer NOT NULL, did integer NOT NULL, ord integer NOT NULL, mod integer NOT NULL,
    type integer NOT NULL, due integer NOT NULL, ivl integer NOT NULL, factor integer NOT NULL, data text NOT NULL);
CREATE TABLE revlog (
    id integer PRIMARY KEY, cid integer NOT NULL, usn integer NOT NULL, ease integer NOT NULL, ivl integer NOT NULL, time integer NOT NULL);
CREATE TABLE deck_config (
    id integer PRIMARY KEY NOT NULL, name text NOT NULL COLLATE unicase, mtime_secs integer NOT NULL, config blob NOT NULL);
CREATE TABLE config (KEY text NOT NULL PRIMARY KEY, usn integer NOT NULL, mtime_secs integer NOT NULL, val blob NOT NULL) WITHOUT ROWID;
CREATE TABLE fields (
    ntid integer NOT NULL, ord integer NOT NULL, name text NOT NULL COLLATE unicase, config blob NOT NULL, PRIMARY KEY (ntid, ord)) WITHOUT ROWID;
CREATE TABLE tags (tag text NOT NULL PRIMARY KEY COLLATE unicase, usn integer NOT NULL, collapsed boolean NOT NULL, config blob NULL) WITHOUT ROWID;
CREATE TABLE decks (id integer PRIMARY KEY NOT NULL, name text NOT NULL COLLATE unicase, common blob NOT NULL, kind blob NOT NULL);
CREATE TABLE graves (oid integer NOT NULL, type integer NOT NULL, usn integer NOT NULL, PRIMARY KEY (oid, type)) WITHOUT ROWID;
CREATE UNIQUE INDEX idx_fields_name_ntid ON fields (name, ntid);
CREATE UNIQUE INDEX idx_decks_name ON decks (name);
CREATE UNIQUE INDEX idx_deck_config_name ON deck_config (name);
CREATE INDEX ix_notes_csum ON notes (csum);
INSERT INTO col VALUES (1, 1700000000, 1700000000123, 18, '{}', '');
INSERT INTO notes VALUES
    (1700000000123, 'a@b#C', 1, 1700000000, -1, ' verb ', 'gehen' || char(31) || 'to go', 'gehen', 2840236005, ''),
    (1700000000456, 'Ux|!', 1, 1700000001, 3, '', '42' || char(31) || 'x', '42', 1, '');
INSERT INTO cards VALUES (1700000000200, 1700000000123, 1, 0, 1700000000, 0, 1, 0, 2500, '{}');
INSERT INTO revlog VALUES (1700000009123, 1700000000200, -1, 3, -600, 4711);
INSERT INTO deck_config VALUES (1, 'Default', 0, x'0a04000080bf'), (2, 'Ölige', 1, x'');
INSERT INTO config VALUES ('schedVer', -1, 0, '2'), ('sortType', 0, 1700000000, x'226e6f74654372'), ('sortBackwards', 0, 0, x'66616c7365');
INSERT INTO fields VALUES (1, 0, 'Front', x'1201'), (1, 1, 'Back', x'');
INSERT INTO tags VALUES ('verb', 1, 0, NULL), ('Noun', -1, 1, x'00');
INSERT INTO decks VALUES (1, 'Default', x'0801', x'0a02'), (2, 'Größe' || char(31) || 'A', x'', x'');
INSERT INTO graves VALUES (1700000000001, 0, -1);
-- later
UPDATE notes SET sfld = 'ging', mod = mod + 1 WHERE id = 1700000000123;
REPLACE INTO tags VALUES ('VERB', 2, 1, NULL);
REPLACE INTO decks VALUES (3, 'default', x'01', x'02');
UPDATE fields SET name = 'front side' WHERE ord = 0;
DELETE FROM graves;
