CREATE TABLE visits (
    id INTEGER PRIMARY KEY,
    patient_id INTEGER NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    day TEXT NOT NULL,
    note TEXT NOT NULL DEFAULT ''
);

CREATE INDEX visits_by_patient ON visits (patient_id, day);
