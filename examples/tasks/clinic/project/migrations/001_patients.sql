CREATE TABLE patients (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    born TEXT NOT NULL,
    phone_home TEXT,
    phone_mobile TEXT NOT NULL DEFAULT ''
);

CREATE VIEW contact_list AS
SELECT id, name, coalesce(nullif(phone_mobile, ''), nullif(phone_home, '')) AS phone
FROM patients;
