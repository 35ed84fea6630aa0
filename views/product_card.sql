-- Everything a product page shows, one row a product that has a price: four services in one read by key.
-- Stock is summed over the warehouses; `rating` is NULL while nobody has reviewed the product.
CREATE MATERIALIZED VIEW product_card AS
SELECT
    p.id,
    p.sku,
    p.name,
    p.brand_id,
    b.name AS brand,
    p.category_id,
    c.name AS category,
    pr.price_cents,
    pr.list_price_cents,
    COALESCE(s.quantity, 0) AS stock,
    COALESCE(r.reviews, 0) AS reviews,
    r.rating
FROM products p
JOIN brands b ON b.id = p.brand_id
JOIN categories c ON c.id = p.category_id
JOIN prices pr ON pr.product_id = p.id
LEFT JOIN (
    SELECT product_id, sum(quantity) AS quantity FROM stock GROUP BY product_id
) s ON s.product_id = p.id
LEFT JOIN (
    SELECT product_id, count(*) AS reviews, avg(rating) AS rating FROM reviews GROUP BY product_id
) r ON r.product_id = p.id;
