-- What each customer ordered, paid and still has to pay, in cents. Orders that were cancelled do not count.
WITH ordered AS (
    SELECT orders.customer_id, sum(items.pieces * items.cents) AS cents
    FROM orders
    JOIN items ON items.order_id = orders.id
    WHERE orders.cancelled = 0
    GROUP BY orders.customer_id
), paid AS (
    SELECT orders.customer_id, sum(payments.cents) AS cents
    FROM orders
    JOIN payments ON payments.order_id = orders.id
    WHERE orders.cancelled = 0
    GROUP BY orders.customer_id
)
SELECT
    customers.name AS customer,
    coalesce(ordered.cents, 0) AS ordered,
    coalesce(paid.cents, 0) AS paid,
    coalesce(ordered.cents, 0) - coalesce(paid.cents, 0) AS open
FROM customers
LEFT JOIN ordered ON ordered.customer_id = customers.id
LEFT JOIN paid ON paid.customer_id = customers.id
ORDER BY customers.name;
