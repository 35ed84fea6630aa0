-- A reference manager: columns without a type that hold numbers and text, TIMESTAMP defaults, CHECK and foreign keys,
-- triggers that refuse, SQL dates with a spelled-out part in text.
CREATE TABLE version (schema TEXT PRIMARY KEY, version INT NOT NULL);
CREATE TABLE settings (setting TEXT, key TEXT, value, PRIMARY KEY (setting, key));
CREATE TABLE libraries (
    libraryID INTEGER PRIMARY KEY, type TEXT NOT NULL, editable INT NOT NULL, version INT NOT NULL DEFAULT 0, lastSync INT NOT NULL DEFAULT 0);
CREATE TABLE items (
    itemID INTEGER PRIMARY KEY, itemTypeID INT NOT NULL, dateAdded TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    dateModified TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, libraryID INT NOT NULL, key TEXT NOT NULL,
    version INT NOT NULL DEFAULT 0, synced INT NOT NULL DEFAULT 0, UNIQUE (libraryID, key));
CREATE TABLE itemDataValues (valueID INTEGER PRIMARY KEY, value UNIQUE);
CREATE TABLE itemData (
    itemID INT, fieldID INT, valueID, PRIMARY KEY (itemID, fieldID), FOREIGN KEY (itemID) REFERENCES items(itemID) ON DELETE CASCADE);
CREATE TABLE itemAttachments (
    itemID INTEGER PRIMARY KEY, parentItemID INT, linkMode INT, contentType TEXT, storageModTime INT, lastProcessedModificationTime INT);
CREATE TABLE tags (tagID INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE itemTags (itemID INT NOT NULL, tagID INT NOT NULL, type INT NOT NULL, PRIMARY KEY (itemID, tagID));
CREATE TABLE creators (creatorID INTEGER PRIMARY KEY, firstName TEXT, lastName TEXT, fieldMode INT, UNIQUE (lastName, firstName, fieldMode));
CREATE TABLE collections (
    collectionID INTEGER PRIMARY KEY, collectionName TEXT NOT NULL, parentCollectionID INT DEFAULT NULL,
    clientDateModified TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL, libraryID INT NOT NULL, key TEXT NOT NULL, UNIQUE (libraryID, key));
CREATE TABLE syncCache (libraryID INT NOT NULL, key TEXT NOT NULL, version INT NOT NULL, data TEXT, PRIMARY KEY (libraryID, key, version));
CREATE TABLE syncDeleteLog (libraryID INT NOT NULL, key TEXT NOT NULL, dateDeleted TEXT DEFAULT CURRENT_TIMESTAMP NOT NULL, UNIQUE (libraryID, key));
CREATE TABLE retractedItems (itemID INTEGER PRIMARY KEY, data TEXT, flag INT DEFAULT 0);
CREATE TABLE proxies (proxyID INTEGER PRIMARY KEY, multiHost INT, autoAssociate INT, scheme TEXT);
CREATE INDEX itemData_valueID ON itemData (valueID);
CREATE TRIGGER fki_itemData BEFORE INSERT ON itemData
    WHEN NEW.itemID IS NOT NULL AND (SELECT count(*) FROM items WHERE itemID = NEW.itemID) = 0
    BEGIN SELECT RAISE(ABORT, 'insert on table "itemData" violates a foreign key'); END;
INSERT INTO version VALUES ('userdata', 120), ('triggers', 18), ('delete', 1.0);
INSERT INTO settings VALUES ('account', 'userID', 475425), ('account', 'username', 'ada'), ('globalSchema', 'version', 28), ('x', NULL, 1.5), (NULL, NULL, x'00ff'), (NULL, NULL, NULL);
INSERT INTO libraries VALUES (1, 'user', 1, 0, 1700000000), (2, 'feed', 0, 7, 0);
INSERT INTO items (itemID, itemTypeID, dateAdded, dateModified, libraryID, key) VALUES
    (1, 2, '2023-11-14 22:13:20', '2023-11-14 22:13:20', 1, 'ABCD2345'), (2, 3, '2023-11-15 01:02:03', '2024-02-29 23:59:59', 1, 'WXYZ6789');
INSERT INTO itemDataValues VALUES (1, 'On Computable Numbers'), (2, 1936), (3, '1936-11-12 November 12, 1936'), (4, 42.5), (5, '0042');
INSERT INTO itemData VALUES (1, 110, 1), (1, 14, 3), (2, 5, 2), (2, 6, '4');
INSERT INTO itemAttachments VALUES (2, 1, 0, 'application/pdf', 1700000000123, NULL);
INSERT INTO tags VALUES (1, 'logic'), (2, 'Logic');
INSERT INTO itemTags VALUES (1, 1, 0), (2, 2, 1);
INSERT INTO creators VALUES (1, 'Alan', 'Turing', 0), (2, '', 'Bourbaki', 1), (3, NULL, 'Anon', NULL), (4, NULL, 'Anon', NULL);
INSERT INTO collections VALUES (1, 'Classics', NULL, '2023-11-14 22:13:20', 1, 'COLL2345');
INSERT INTO syncCache VALUES (1, 'ABCD2345', 7, '{"key":"ABCD2345"}');
INSERT INTO syncDeleteLog VALUES (1, 'GONE2345', '2023-11-14 22:13:20');
INSERT INTO retractedItems VALUES (1, NULL, 0);
INSERT INTO proxies VALUES (1, 1, 0, '%h.proxy.example.org/%p');
-- later
INSERT INTO items (itemTypeID, libraryID, key) VALUES (9, 1, 'NEWI2345');
REPLACE INTO items (itemID, itemTypeID, libraryID, key) VALUES (7, 9, 1, 'ABCD2345');
REPLACE INTO settings VALUES ('account', 'username', 'lovelace'), ('x', NULL, 2);
UPDATE settings SET key = 'named' WHERE setting IS NULL AND value IS NULL;
REPLACE INTO itemDataValues VALUES (6, 1936);
REPLACE INTO syncDeleteLog VALUES (1, 'GONE2345', '2024-01-01 00:00:00');
DELETE FROM creators WHERE creatorID = 3;
