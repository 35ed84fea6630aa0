-- The shop: five services, each with a SQLite file of its own, and the tables the views read.
-- Columns and keys are read from the files; the paths are relative to the directory the process runs in.

-- What is sold.
CREATE SOURCE catalog WITH (connector = 'sqlite', path = 'services/catalog.db');
-- What it costs.
CREATE SOURCE pricing WITH (connector = 'sqlite', path = 'services/pricing.db');
-- Where it lies.
CREATE SOURCE inventory WITH (connector = 'sqlite', path = 'services/inventory.db');
-- What customers think of it.
CREATE SOURCE reviews WITH (connector = 'sqlite', path = 'services/reviews.db');
-- Who bought it.
CREATE SOURCE orders WITH (connector = 'sqlite', path = 'services/orders.db');

-- Everything the shop sells; `category_id` and `brand_id` refer to the two tables below.
CREATE TABLE products FROM catalog TABLE 'products';
-- Who makes it.
CREATE TABLE brands FROM catalog TABLE 'brands';
-- Where it stands in the shop; about 500 products each.
CREATE TABLE categories FROM catalog TABLE 'categories';
-- One price a product, in cents. A product without a price is not for sale yet.
CREATE TABLE prices FROM pricing TABLE 'prices';
-- Units by product and warehouse.
CREATE TABLE stock FROM inventory TABLE 'stock';
-- One row a review, with one to five stars.
CREATE TABLE reviews FROM reviews TABLE 'reviews';
-- Who buys.
CREATE TABLE customers FROM orders TABLE 'customers';
-- One row an order.
CREATE TABLE orders FROM orders TABLE 'orders';
-- The lines of the orders, with the price of the day they were placed.
CREATE TABLE order_items FROM orders TABLE 'order_items';
