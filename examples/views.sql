-- What the programs of this folder write and read; KAFKA, POSTGRES_HOST and POSTGRES_PORT stand for addresses.
CREATE SOURCE pricing WITH (connector = 'sqlite', path = 'pricing.db');
CREATE SOURCE catalog WITH (connector = 'postgres', host = 'POSTGRES_HOST', port = POSTGRES_PORT, user = 'postgres',
                            password_env = 'POSTGRES_PASSWORD', database = 'catalog');
CREATE SOURCE reviews WITH (connector = 'kafka', properties.bootstrap.servers = 'KAFKA');

CREATE TABLE products FROM catalog TABLE 'products';
CREATE TABLE prices FROM pricing TABLE 'prices';
CREATE TABLE reviews (id TEXT PRIMARY KEY, product_id BIGINT, stars BIGINT)
  FROM reviews TABLE 'reviews' FORMAT UPSERT ENCODE JSON;

CREATE MATERIALIZED VIEW card AS
SELECT p.id, p.name, c.price_cents, COALESCE(r.reviews, 0) AS reviews, r.stars
FROM products p
LEFT JOIN prices c ON c.product_id = p.id
LEFT JOIN (SELECT product_id, count(*) AS reviews, sum(stars) AS stars FROM reviews GROUP BY product_id) r
  ON r.product_id = p.id;
