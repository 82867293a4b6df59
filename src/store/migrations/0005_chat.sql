-- A comment of a channel's room, by its number there.
CREATE TABLE chat_comment (
    channel    TEXT NOT NULL REFERENCES channel (name) ON DELETE CASCADE,
    seq        INTEGER NOT NULL,
    user       INTEGER NOT NULL, -- the author's public id
    request    TEXT NOT NULL,    -- the author's own id of it: sent twice, it is kept once
    broadcast  INTEGER,          -- which one the media time belongs to; null while nothing was on the air
    time_ns    INTEGER,          -- media time that the author was seeing
    at         INTEGER NOT NULL, -- milliseconds since the Unix epoch
    visibility INTEGER NOT NULL, -- 0 shown, 1 deleted, 2 seen by its author and moderators
    body       TEXT NOT NULL,    -- the comment as JSON
    PRIMARY KEY (channel, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX chat_comment_request ON chat_comment (channel, user, request);
CREATE INDEX chat_comment_time ON chat_comment (channel, broadcast, time_ns);
CREATE INDEX chat_comment_at ON chat_comment (at);

-- A name that somebody chose in a room.
CREATE TABLE chat_name (
    channel TEXT NOT NULL REFERENCES channel (name) ON DELETE CASCADE,
    user    INTEGER NOT NULL,
    name    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (channel, user)
) STRICT, WITHOUT ROWID;

-- What holds in a room: rules, sanctions, moderators, as JSON.
CREATE TABLE chat_standing (
    channel  TEXT PRIMARY KEY NOT NULL REFERENCES channel (name) ON DELETE CASCADE,
    standing TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Who did what and why, and how to take it back, as JSON.
CREATE TABLE chat_log (
    channel TEXT NOT NULL REFERENCES channel (name) ON DELETE CASCADE,
    entry   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (channel, entry)
) STRICT, WITHOUT ROWID;
