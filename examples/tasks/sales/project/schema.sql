CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    day TEXT NOT NULL,
    cancelled INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE items (
    order_id INTEGER NOT NULL REFERENCES orders (id),
    plant TEXT NOT NULL,
    pieces INTEGER NOT NULL,
    cents INTEGER NOT NULL -- for one piece
);

CREATE TABLE payments (
    order_id INTEGER NOT NULL REFERENCES orders (id),
    day TEXT NOT NULL,
    cents INTEGER NOT NULL
);
