-- Who may send and fetch records, and from which sources they come.

CREATE TABLE tenants (
    name               TEXT NOT NULL PRIMARY KEY,
    caller_numbers     TEXT NOT NULL,
    cdr_retention_days INTEGER NOT NULL,
    created_at_ms      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pseudonym_keys (
    tenant     TEXT NOT NULL REFERENCES tenants (name) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    key        BLOB NOT NULL CHECK (length(key) = 32),
    PRIMARY KEY (tenant, generation)
) STRICT, WITHOUT ROWID;

-- settings is a JSON object.
CREATE TABLE sources (
    tenant          TEXT NOT NULL,
    pbx_alias       TEXT NOT NULL,
    id              BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    kind            TEXT NOT NULL,
    settings        TEXT NOT NULL,
    enabled         INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    last_seen_at_ms INTEGER,
    updated_at_ms   INTEGER NOT NULL,
    PRIMARY KEY (tenant, pbx_alias)
) STRICT, WITHOUT ROWID;

-- Only the SHA-256 of a token is kept.
CREATE TABLE tokens (
    hash          BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    id            BLOB NOT NULL CHECK (length(id) = 16),
    tenant        TEXT NOT NULL,
    role          TEXT NOT NULL,
    name          TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
