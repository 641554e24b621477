-- What each customer ordered, paid and still has to pay, in cents. Orders that were cancelled do not count.
SELECT
    customers.name AS customer,
    sum(items.pieces * items.cents) AS ordered,
    sum(payments.cents) AS paid,
    sum(items.pieces * items.cents) - sum(payments.cents) AS open
FROM customers
JOIN orders ON orders.customer_id = customers.id AND orders.cancelled = 0
JOIN items ON items.order_id = orders.id
LEFT JOIN payments ON payments.order_id = orders.id
GROUP BY customers.id
ORDER BY customers.name;
