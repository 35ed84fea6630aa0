-- A media shop, as generators of sample databases write it: typed columns, names in brackets and capitals, DATETIME
-- and NUMERIC columns, a table whose key is two columns.
CREATE TABLE [Artist] ([ArtistId] INTEGER PRIMARY KEY NOT NULL, [Name] NVARCHAR(120));
CREATE TABLE [Album] (
    [AlbumId] INTEGER NOT NULL, [Title] NVARCHAR(160) NOT NULL, [ArtistId] INTEGER NOT NULL,
    CONSTRAINT [PK_Album] PRIMARY KEY ([AlbumId]),
    FOREIGN KEY ([ArtistId]) REFERENCES [Artist] ([ArtistId]) ON DELETE NO ACTION ON UPDATE NO ACTION);
CREATE TABLE [MediaType] ([MediaTypeId] INTEGER NOT NULL PRIMARY KEY, [Name] NVARCHAR(120));
CREATE TABLE [Track] (
    [TrackId] INTEGER NOT NULL, [Name] NVARCHAR(200) NOT NULL, [AlbumId] INTEGER, [MediaTypeId] INTEGER NOT NULL,
    [Composer] NVARCHAR(220), [Milliseconds] INTEGER NOT NULL, [Bytes] INTEGER, [UnitPrice] NUMERIC(10,2) NOT NULL,
    CONSTRAINT [PK_Track] PRIMARY KEY ([TrackId]));
CREATE TABLE [Playlist] ([PlaylistId] INTEGER NOT NULL PRIMARY KEY, [Name] NVARCHAR(120));
CREATE TABLE [PlaylistTrack] (
    [PlaylistId] INTEGER NOT NULL, [TrackId] INTEGER NOT NULL,
    CONSTRAINT [PK_PlaylistTrack] PRIMARY KEY ([PlaylistId], [TrackId]));
CREATE TABLE [Employee] (
    [EmployeeId] INTEGER NOT NULL PRIMARY KEY, [LastName] NVARCHAR(20) NOT NULL, [ReportsTo] INTEGER,
    [BirthDate] DATETIME, [HireDate] DATETIME, [Phone] NVARCHAR(24));
CREATE TABLE [Customer] (
    [CustomerId] INTEGER NOT NULL PRIMARY KEY, [FirstName] NVARCHAR(40) NOT NULL, [Company] NVARCHAR(80),
    [PostalCode] NVARCHAR(10), [Email] NVARCHAR(60) NOT NULL, [SupportRepId] INTEGER);
CREATE TABLE [Invoice] (
    [InvoiceId] INTEGER NOT NULL PRIMARY KEY, [CustomerId] INTEGER NOT NULL, [InvoiceDate] DATETIME NOT NULL,
    [BillingCity] NVARCHAR(40), [Total] NUMERIC(10,2) NOT NULL);
CREATE TABLE [InvoiceLine] (
    [InvoiceLineId] INTEGER NOT NULL PRIMARY KEY, [InvoiceId] INTEGER NOT NULL, [TrackId] INTEGER NOT NULL,
    [UnitPrice] NUMERIC(10,2) NOT NULL, [Quantity] INTEGER NOT NULL);
CREATE INDEX [IFK_AlbumArtistId] ON [Album] ([ArtistId]);
CREATE INDEX [IFK_TrackAlbumId] ON [Track] ([AlbumId]);
INSERT INTO [Artist] VALUES (1, 'Lärm & Stille'), (2, 'The O''Haras'), (3, NULL);
INSERT INTO [Album] VALUES (1, 'For Those Who Wait', 1), (2, 'Balls to the Floor', 2), (3, 'Restless', 2);
INSERT INTO [MediaType] VALUES (1, 'MPEG audio file'), (2, 'Protected AAC audio file');
INSERT INTO [Track] VALUES
    (1, 'For Those', 1, 1, 'Young, Old', 343719, 11170334, 0.99), (2, 'Balls', 2, 2, NULL, 342562, 5510424, 0.99),
    (3, 'Pilot', NULL, 2, 'D. Lindelof', 2612250, 2147483648, 1.99);
INSERT INTO [Playlist] VALUES (1, 'Music'), (2, 'TV Shows'), (3, 'Music');
INSERT INTO [PlaylistTrack] VALUES (1, 1), (1, 2), (2, 3), (3, 1);
INSERT INTO [Employee] VALUES
    (1, 'Adams', NULL, '1962-02-18 00:00:00', '2002-08-14 00:00:00', '+1 (780) 428-9482'),
    (2, 'Edwards', 1, '1958-12-08 00:00:00', '2002-05-01 00:00:00', NULL);
INSERT INTO [Customer] VALUES
    (1, 'Luís', 'Embraer', '12227-000', 'luis@example.org', 2), (2, 'Leonie', NULL, '70174', 'leonie@example.org', 2);
INSERT INTO [Invoice] VALUES
    (1, 2, '2009-01-01 00:00:00', 'Stuttgart', 1.98), (2, 1, '2013-12-22 00:00:00', NULL, 13.86), (3, 1, '2011-02-06 00:00:00', 'Rio', 4);
INSERT INTO [InvoiceLine] VALUES (1, 1, 1, 0.99, 1), (2, 1, 2, 0.99, 1), (3, 2, 3, 1.99, 6);
-- later
UPDATE [Track] SET [UnitPrice] = [UnitPrice] * 1.1 WHERE [TrackId] = 3;
INSERT OR REPLACE INTO [PlaylistTrack] VALUES (1, 3), (1, 1);
DELETE FROM [PlaylistTrack] WHERE [PlaylistId] = 3;
UPDATE [Invoice] SET [InvoiceDate] = '2014-01-01 12:30:00', [Total] = [Total] + 0.1 + 0.2 WHERE [InvoiceId] = 1;
