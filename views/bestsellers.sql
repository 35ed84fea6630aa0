-- The ten products of each category that sold most units; among equals the one listed first.
CREATE MATERIALIZED VIEW bestsellers AS
SELECT category_id, place, id, name, brand, price_cents, units_sold
FROM (
    SELECT
        category_id,
        id,
        name,
        brand,
        price_cents,
        units_sold,
        row_number() OVER (PARTITION BY category_id ORDER BY units_sold DESC, id) AS place
    FROM category_page
    WHERE units_sold > 0
) ranked
WHERE place <= 10;

-- One category's list, in its order.
CREATE INDEX bestsellers_by_place ON bestsellers (category_id, place)
    INCLUDE (name, brand, price_cents, units_sold);
