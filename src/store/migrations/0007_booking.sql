-- Who books. Numbers are never given twice: the ledger names them for ever.
CREATE TABLE booking_advertiser (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name       TEXT NOT NULL,
    domains    TEXT NOT NULL,                                         -- where clicks may lead, as a JSON array
    key_digest BLOB NOT NULL UNIQUE CHECK (length(key_digest) = 32), -- SHA-256 of the advertiser's key
    created_at INTEGER NOT NULL                                       -- milliseconds since the Unix epoch
) STRICT;

-- What is booked. The budget is in the ledger.
CREATE TABLE booking_campaign (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    advertiser INTEGER NOT NULL REFERENCES booking_advertiser (id),
    name       TEXT NOT NULL,
    terms      TEXT NOT NULL, -- the campaign as JSON, without its creatives
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX booking_campaign_advertiser ON booking_campaign (advertiser);

-- What is shown.
CREATE TABLE booking_creative (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    campaign   INTEGER NOT NULL REFERENCES booking_campaign (id) ON DELETE CASCADE,
    body       TEXT NOT NULL, -- what is known of it, as JSON
    file       BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX booking_creative_campaign ON booking_creative (campaign);
