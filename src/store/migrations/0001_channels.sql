-- A channel is a lasting name that one stream key publishes to.
CREATE TABLE channel (
    name       TEXT PRIMARY KEY NOT NULL,
    title      TEXT NOT NULL,
    key_digest BLOB NOT NULL UNIQUE CHECK (length(key_digest) = 32), -- SHA-256 of the stream key
    created_at INTEGER NOT NULL                                      -- milliseconds since the Unix epoch
) STRICT, WITHOUT ROWID;
