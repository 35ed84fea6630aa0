-- The shop: five services, each with a store of its own, and the tables the views read. The views are those of the shop in
-- files, word for word.

-- What Debezium tells of the catalog (PostgreSQL) and of the prices (MariaDB), and the events of the reviews.
CREATE SOURCE kafka WITH (connector = 'kafka', properties.bootstrap.servers = 'KAFKA');
-- Who bought what: PostgreSQL, followed without Kafka.
CREATE SOURCE orders WITH (connector = 'postgres', host = 'POSTGRES_HOST', port = POSTGRES_PORT, user = 'postgres',
                           password_env = 'POSTGRES_PASSWORD', database = 'orders', slot.name = 'vantage_orders');
-- Where it lies: a SQLite file.
CREATE SOURCE inventory WITH (connector = 'sqlite', path = 'services/inventory.db');

-- Everything the shop sells; `category_id` and `brand_id` refer to the two tables below.
CREATE TABLE products (id BIGINT PRIMARY KEY, sku TEXT NOT NULL, name TEXT NOT NULL, brand_id BIGINT NOT NULL,
                       category_id BIGINT NOT NULL, weight_grams BIGINT, listed_at BIGINT NOT NULL)
  FROM kafka TABLE 'catalog.public.products' FORMAT DEBEZIUM ENCODE JSON;
-- Who makes it.
CREATE TABLE brands (id BIGINT PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL)
  FROM kafka TABLE 'catalog.public.brands' FORMAT DEBEZIUM ENCODE JSON;
-- Where it stands in the shop; about 500 products each.
CREATE TABLE categories (id BIGINT PRIMARY KEY, name TEXT NOT NULL)
  FROM kafka TABLE 'catalog.public.categories' FORMAT DEBEZIUM ENCODE JSON;
-- One price a product, in cents. A product without a price is not for sale yet.
CREATE TABLE prices (product_id BIGINT PRIMARY KEY, price_cents BIGINT NOT NULL, list_price_cents BIGINT,
                     valid_from BIGINT NOT NULL)
  FROM kafka TABLE 'pricing.pricing.prices' FORMAT DEBEZIUM ENCODE JSON;
-- Units by product and warehouse.
CREATE TABLE stock FROM inventory TABLE 'stock';
-- One row a review, with one to five stars.
CREATE TABLE reviews (id BIGINT PRIMARY KEY, product_id BIGINT, customer_id BIGINT, rating BIGINT, title TEXT,
                      written_at BIGINT)
  FROM kafka TABLE 'shop.reviews' FORMAT CLOUDEVENTS ENCODE JSON (delete.types = 'shop.review.deleted');
-- Who buys.
CREATE TABLE customers FROM orders TABLE 'customers';
-- One row an order.
CREATE TABLE orders FROM orders TABLE 'orders';
-- The lines of the orders, with the price of the day they were placed.
CREATE TABLE order_items FROM orders TABLE 'order_items';
