CREATE TABLE phones (
    id INTEGER PRIMARY KEY,
    patient_id INTEGER NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    number TEXT NOT NULL
);

CREATE INDEX phones_by_patient ON phones (patient_id);

INSERT INTO phones (patient_id, kind, number)
SELECT id, 'home', phone_home FROM patients WHERE phone_home <> '';

INSERT INTO phones (patient_id, kind, number)
SELECT id, 'mobile', phone_mobile FROM patients WHERE phone_mobile <> '';

DROP VIEW contact_list;

ALTER TABLE patients DROP COLUMN phone_home;
ALTER TABLE patients DROP COLUMN phone_mobile;

CREATE VIEW contact_list AS
SELECT id, name, (
    SELECT number
    FROM phones
    WHERE patient_id = patients.id AND kind IN ('home', 'mobile')
    ORDER BY kind = 'mobile' DESC, phones.id
    LIMIT 1
) AS phone
FROM patients;
