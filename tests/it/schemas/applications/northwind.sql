-- A trading company, moved over from other databases: names with spaces, views, MONEY, BIT, IMAGE and DATETIME columns
-- with dates alone, text keys, keys of two columns.
CREATE TABLE [Categories] ([CategoryID] INTEGER PRIMARY KEY AUTOINCREMENT, [CategoryName] TEXT, [Picture] IMAGE);
CREATE TABLE [Customers] ([CustomerID] NCHAR(5), [CompanyName] TEXT, [City] TEXT, PRIMARY KEY ([CustomerID]));
CREATE TABLE [Regions] ([RegionID] INTEGER NOT NULL PRIMARY KEY, [RegionDescription] NCHAR(50) NOT NULL);
CREATE TABLE [EmployeeTerritories] (
    [EmployeeID] INTEGER NOT NULL, [TerritoryID] NVARCHAR(20) NOT NULL, PRIMARY KEY ([EmployeeID], [TerritoryID]));
CREATE TABLE [Employees] (
    [EmployeeID] INTEGER PRIMARY KEY AUTOINCREMENT, [LastName] TEXT, [BirthDate] DATE, [HireDate] DATE, [Photo] BLOB,
    [Salary] MONEY, [IsManager] BIT NOT NULL DEFAULT 0);
CREATE TABLE [Orders] (
    [OrderID] INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, [CustomerID] TEXT, [OrderDate] DATETIME,
    [RequiredDate] DATETIME, [ShippedDate] DATETIME, [Freight] NUMERIC DEFAULT 0, [ShipRegion] TEXT);
CREATE TABLE [Order Details] (
    [OrderID] INTEGER NOT NULL, [ProductID] INTEGER NOT NULL, [UnitPrice] NUMERIC NOT NULL DEFAULT 0,
    [Quantity] SMALLINT NOT NULL DEFAULT 1, [Discount] REAL NOT NULL DEFAULT 0,
    PRIMARY KEY ([OrderID], [ProductID]), CHECK ([Discount] >= 0 AND [Discount] <= 1), CHECK ([Quantity] > 0));
CREATE TABLE [Products] (
    [ProductID] INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, [ProductName] TEXT NOT NULL, [UnitPrice] MONEY DEFAULT 0,
    [UnitsInStock] SMALLINT DEFAULT 0, [Discontinued] BIT NOT NULL DEFAULT 0, [Since] YEAR, [Barcode] LONG);
CREATE TABLE [Shippers] ([ShipperID] COUNTER PRIMARY KEY, [Phone] VARCHAR(24), [Rating] NUMBER(3,1), [Logo] VARBINARY(20));
CREATE VIEW [Current Products] AS SELECT [ProductID], [ProductName] FROM [Products] WHERE [Discontinued] = 0;
INSERT INTO [Categories] ([CategoryName], [Picture]) VALUES ('Beverages', x'ffd8ffe000'), ('Condiments', NULL);
INSERT INTO [Customers] VALUES ('ALFKI', 'Alfreds Futterkiste', 'Berlin'), ('ANATR', 'Ana Trujillo', NULL), (NULL, 'Walk-in', NULL), (NULL, 'Walk-in', NULL);
INSERT INTO [Regions] VALUES (1, 'Eastern'), (2, 'Western');
INSERT INTO [EmployeeTerritories] VALUES (1, '06897'), (1, '19713'), (2, '01581');
INSERT INTO [Employees] ([LastName], [BirthDate], [HireDate], [Photo], [Salary], [IsManager]) VALUES
    ('Davolio', '1968-12-08', '2012-05-01', x'151c2f00', 2954.55, 0), ('Fuller', '1952-02-19', '2012-08-14', NULL, 3000, 1);
INSERT INTO [Orders] VALUES
    (10248, 'ALFKI', '2016-07-04', '2016-08-01', '2016-07-16', 32.38, NULL), (10249, 'ANATR', '2016-07-05 13:45:00', '2016-08-16', NULL, 11, 'RJ');
INSERT INTO [Order Details] VALUES (10248, 11, 14, 12, 0.0), (10248, 42, 9.8, 10, 0.05), (10249, 14, 18.6, 9, 0.15);
INSERT INTO [Products] VALUES
    (11, 'Queso Cabrales', 21, 22, 0, 1987, 4006381333931), (14, 'Tofu', 23.25, 35, 0, '2001', NULL), (42, 'Mee', 14.0004, 26, 1, NULL, 12);
INSERT INTO [Shippers] VALUES (1, '(503) 555-9831', 4.5, x'00'), (2, NULL, 4, NULL);
-- later
UPDATE [Orders] SET [ShippedDate] = '2016-07-10 08:00:00.500', [Freight] = [Freight] * 3 WHERE [OrderID] = 10249;
REPLACE INTO [Customers] VALUES ('ALFKI', 'Alfreds Nachfolger', 'Potsdam'), (NULL, 'Walk-in', 'Ulm');
DELETE FROM [Customers] WHERE [CustomerID] IS NULL AND [City] IS NULL AND [rowid] = (SELECT min([rowid]) FROM [Customers] WHERE [CustomerID] IS NULL);
UPDATE [Customers] SET [CustomerID] = 'WALKI' WHERE [City] = 'Ulm';
INSERT INTO [Order Details] VALUES (10248, 11, 15, 1, 0) ON CONFLICT DO UPDATE SET [UnitPrice] = excluded.[UnitPrice];
