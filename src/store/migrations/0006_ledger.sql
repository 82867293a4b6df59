-- What happened to money, in order. Nothing is ever changed or removed.
CREATE TABLE ledger_entry (
    seq     INTEGER PRIMARY KEY NOT NULL, -- from 1, without a gap
    at      INTEGER NOT NULL,             -- milliseconds since the Unix epoch
    body    TEXT NOT NULL,                -- the event as JSON
    slot    INTEGER,                      -- of a display: the seq of the reservation,
    lot     INTEGER,                      --   which of its lots,
    session INTEGER,                      --   the viewer session,
    server  INTEGER,                      --   0 as told by the viewer's page, 1 as written by the server,
    charged INTEGER,                      --   what it cost, in nanos; null when free
    earned  INTEGER                       --   what of that is the broadcaster's
) STRICT;
-- A viewer session counts once in a slot.
CREATE UNIQUE INDEX ledger_display ON ledger_entry (slot, session) WHERE session IS NOT NULL;

CREATE INDEX ledger_entry_at ON ledger_entry (at);

-- What each entry moved: from one account to another.
CREATE TABLE ledger_posting (
    seq    INTEGER NOT NULL REFERENCES ledger_entry (seq),
    line   INTEGER NOT NULL,
    debit  TEXT NOT NULL,
    credit TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0), -- nanos
    PRIMARY KEY (seq, line)
) STRICT, WITHOUT ROWID;

-- What was sold: a cohort of a slot's audience.
CREATE TABLE ledger_lot (
    slot      INTEGER NOT NULL REFERENCES ledger_entry (seq),
    lot       INTEGER NOT NULL,
    campaign  INTEGER NOT NULL,
    creative  INTEGER NOT NULL,
    channel   TEXT NOT NULL,
    broadcast INTEGER NOT NULL,
    cue       TEXT NOT NULL,
    cohort    TEXT NOT NULL,
    price     INTEGER NOT NULL, -- nanos an impression
    audience  INTEGER NOT NULL,
    units     INTEGER NOT NULL, -- impressions reserved
    PRIMARY KEY (slot, lot)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_lot_campaign ON ledger_lot (campaign);
CREATE INDEX ledger_lot_channel ON ledger_lot (channel);

-- The newest balances, so that not the whole log has to be read at a start.
CREATE TABLE ledger_snapshot (
    id   INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    seq  INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
