-- Journal and manifest. Times are milliseconds since 1970-01-01T00:00:00Z, ids the 16 bytes of a UUID.
-- `number` is the row's place in its table and never leaves the catalog.

-- The next sequence number of each tenant and dataset.
CREATE TABLE sequences (
    tenant  TEXT NOT NULL,
    dataset TEXT NOT NULL,
    next    INTEGER NOT NULL CHECK (next >= 1),
    PRIMARY KEY (tenant, dataset)
) STRICT, WITHOUT ROWID;

-- Journal batches. Live while doomed_at_ms is null.
CREATE TABLE batches (
    number         INTEGER PRIMARY KEY,
    id             BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    tenant         TEXT NOT NULL,
    dataset        TEXT NOT NULL,
    first_sequence INTEGER NOT NULL,
    rows           INTEGER NOT NULL CHECK (rows > 0),
    revisions      INTEGER NOT NULL,
    unsettled      INTEGER NOT NULL,
    first_ms       INTEGER NOT NULL,
    last_ms        INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    object         TEXT,
    doomed_at_ms   INTEGER
) STRICT;

CREATE INDEX batches_live ON batches (tenant, dataset, first_sequence) WHERE doomed_at_ms IS NULL;
CREATE INDEX batches_doomed ON batches (doomed_at_ms) WHERE doomed_at_ms IS NOT NULL;
CREATE INDEX batches_object ON batches (object) WHERE object IS NOT NULL;

-- Encoded records of inline batches; apart, so that listing batches reads none of them.
CREATE TABLE batch_contents (
    batch   INTEGER PRIMARY KEY REFERENCES batches (number) ON DELETE CASCADE,
    content BLOB NOT NULL
) STRICT;

-- Parts of the lake. Live while doomed_at_ms is null. row_groups is packed as src/packed.rs says.
CREATE TABLE parts (
    number         INTEGER PRIMARY KEY,
    id             BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    tenant         TEXT NOT NULL,
    dataset        TEXT NOT NULL,
    path           TEXT NOT NULL UNIQUE,
    day            INTEGER NOT NULL,
    first_id       BLOB NOT NULL,
    rows           INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    first_sequence INTEGER NOT NULL,
    last_sequence  INTEGER NOT NULL,
    unsettled      INTEGER NOT NULL,
    layout         INTEGER NOT NULL,
    row_groups     BLOB NOT NULL,
    doomed_at_ms   INTEGER
) STRICT;

CREATE INDEX parts_live ON parts (tenant, dataset, day, first_id) WHERE doomed_at_ms IS NULL;
CREATE INDEX parts_doomed ON parts (doomed_at_ms) WHERE doomed_at_ms IS NOT NULL;

-- Hourly counts of each part, packed: a year of them is a few hundred rows to read, not a hundred thousand.
CREATE TABLE part_rollups (
    part    INTEGER PRIMARY KEY REFERENCES parts (number) ON DELETE CASCADE,
    rollups BLOB NOT NULL
) STRICT;
