-- Products of which fewer than 20 units are left in all warehouses together: what to order again today.
CREATE MATERIALIZED VIEW low_stock AS
SELECT p.id, p.sku, p.name, p.brand_id, s.quantity, s.warehouses
FROM (
    SELECT product_id, sum(quantity) AS quantity, count(*) AS warehouses
    FROM stock
    GROUP BY product_id
    HAVING sum(quantity) < 20
) s
JOIN products p ON p.id = s.product_id;

-- The emptiest shelves first.
CREATE INDEX low_stock_by_quantity ON low_stock (quantity);
