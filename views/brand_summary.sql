-- What each brand has for sale: how many products, between which prices, and how many units are in stock.
CREATE MATERIALIZED VIEW brand_summary AS
SELECT
    b.id,
    b.name,
    b.country,
    t.products,
    t.cheapest_cents,
    t.dearest_cents,
    t.average_price_cents,
    t.stock,
    t.reviews
FROM brands b
JOIN (
    SELECT
        brand_id,
        count(*) AS products,
        min(price_cents) AS cheapest_cents,
        max(price_cents) AS dearest_cents,
        avg(price_cents) AS average_price_cents,
        sum(stock) AS stock,
        sum(reviews) AS reviews
    FROM product_card
    GROUP BY brand_id
) t ON t.brand_id = b.id;
