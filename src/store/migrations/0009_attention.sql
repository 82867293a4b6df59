-- The attention that viewers paid to overlays, as their pages told. It means no money.
CREATE TABLE ledger_attention (
    slot  INTEGER NOT NULL, -- the seq of the reservation,
    lot   INTEGER NOT NULL, --   which of its lots,
    hour  INTEGER NOT NULL, -- the beginning of the hour, in milliseconds since the Unix epoch
    kind  TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (slot, lot, hour, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_attention_hour ON ledger_attention (hour);
