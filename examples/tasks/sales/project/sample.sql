INSERT INTO customers (id, name) VALUES (1, 'Ann'), (2, 'Bo'), (3, 'Cy');

INSERT INTO orders (id, customer_id, day) VALUES
    (1, 1, '2024-03-01'),
    (2, 2, '2024-03-02'),
    (3, 2, '2024-03-09');
INSERT INTO orders (id, customer_id, day, cancelled) VALUES (4, 1, '2024-03-10', 1);

INSERT INTO items (order_id, plant, pieces, cents) VALUES
    (1, 'rose', 3, 700),
    (2, 'fern', 1, 900),
    (2, 'moss', 10, 50),
    (3, 'fern', 2, 900),
    (4, 'oak', 1, 9900);

-- The second order was paid in two instalments, the third not yet.
INSERT INTO payments (order_id, day, cents) VALUES
    (1, '2024-03-01', 2100),
    (2, '2024-03-02', 400),
    (2, '2024-04-02', 1000);
