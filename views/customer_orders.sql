-- A customer's orders with what they came to; an order whose lines are not written yet shows zero.
CREATE MATERIALIZED VIEW customer_orders AS
SELECT
    o.id,
    o.customer_id,
    cu.name AS customer,
    o.status,
    o.placed_at,
    COALESCE(i.lines, 0) AS lines,
    COALESCE(i.units, 0) AS units,
    COALESCE(i.total_cents, 0) AS total_cents
FROM orders o
JOIN customers cu ON cu.id = o.customer_id
LEFT JOIN (
    SELECT
        order_id,
        count(*) AS lines,
        sum(quantity) AS units,
        sum(quantity * unit_price_cents) AS total_cents
    FROM order_items
    GROUP BY order_id
) i ON i.order_id = o.id;

-- One customer's orders, the newest first.
CREATE INDEX customer_orders_by_customer ON customer_orders (customer_id, placed_at DESC);
