-- The products of a category as a listing shows them. An unreviewed product counts as rated 0 here, so that it comes
-- last when the best come first.
CREATE MATERIALIZED VIEW category_page AS
SELECT
    c.id,
    c.category_id,
    c.name,
    c.brand,
    c.price_cents,
    c.stock,
    c.reviews,
    COALESCE(c.rating, CAST(0 AS DOUBLE PRECISION)) AS rating,
    COALESCE(u.units, 0) AS units_sold
FROM product_card c
LEFT JOIN (
    SELECT product_id, sum(quantity) AS units FROM order_items GROUP BY product_id
) u ON u.product_id = c.id;

-- The order most visitors see: it carries the whole row, so that a page is one short range of one index.
CREATE INDEX category_page_by_rating ON category_page (category_id, rating DESC)
    INCLUDE (name, brand, price_cents, stock, reviews, units_sold);

-- Orders fewer visitors ask for: these find the keys, and the page's rows are then read by key. Every column they
-- carried would be written twice more whenever a price or a quantity changes.
CREATE INDEX category_page_by_price ON category_page (category_id, price_cents);
CREATE INDEX category_page_by_sales ON category_page (category_id, units_sold DESC);
