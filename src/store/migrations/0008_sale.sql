-- Cues, what was decided at each, and what came of it.
CREATE TABLE sale_cue (
    number    INTEGER PRIMARY KEY NOT NULL, -- its name in the API
    channel   TEXT NOT NULL,
    broadcast INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,             -- milliseconds since the Unix epoch
    origin    TEXT NOT NULL,                -- who wanted it
    over      INTEGER NOT NULL,             -- 1 when nothing will change any more
    body      TEXT NOT NULL                 -- all that is known, traces included, as JSON
) STRICT;
CREATE INDEX sale_cue_channel ON sale_cue (channel, opened_at);
CREATE INDEX sale_cue_opened_at ON sale_cue (opened_at);

-- What is set for channels.
CREATE TABLE sale_channel (
    channel TEXT PRIMARY KEY NOT NULL,
    body    TEXT NOT NULL                   -- as JSON
) STRICT, WITHOUT ROWID;
