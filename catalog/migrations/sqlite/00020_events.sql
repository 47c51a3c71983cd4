-- Events and their way to the targets outside. Times are 100 ns ticks since
-- 1970; seq of events is the order in which they happened.

-- +goose Up
CREATE TABLE event_targets (
    seq       INTEGER PRIMARY KEY,
    name      TEXT    NOT NULL UNIQUE,
    confirmed TEXT    NOT NULL, -- what the target agreed to receive, as notify names it
    sealed    BLOB    NOT NULL, -- the secret that signs
    rest      TEXT    NOT NULL
);

-- An event outlives what it is about, so nothing here refers to jobs.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    id      TEXT    NOT NULL UNIQUE,
    account TEXT    NOT NULL,
    lane    TEXT    NOT NULL, -- within one the order of delivery is the order of events
    about   TEXT    NOT NULL, -- what of the lane the event is about; may be empty
    type    TEXT    NOT NULL,
    time    INTEGER NOT NULL,
    fresh   INTEGER NOT NULL, -- 1 until it has deliveries
    rest    TEXT    NOT NULL
);
CREATE INDEX events_fresh ON events (seq) WHERE fresh = 1;
CREATE INDEX events_time ON events (time, seq);
CREATE INDEX events_about ON events (about, type, seq) WHERE about <> '';

-- A delivery that succeeded has no row any more.
CREATE TABLE deliveries (
    seq     INTEGER PRIMARY KEY,
    event   INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    target  TEXT    NOT NULL REFERENCES event_targets (name) ON DELETE CASCADE,
    lane    TEXT    NOT NULL, -- of the event
    state   TEXT    NOT NULL, -- Waiting or Dead
    attempt INTEGER NOT NULL, -- fencing number
    due     INTEGER NOT NULL, -- not to be tried earlier
    expires INTEGER NOT NULL,
    rest    TEXT    NOT NULL,
    UNIQUE (event, target)
);
CREATE INDEX deliveries_due ON deliveries (target, due, event) WHERE state = 'Waiting';
CREATE INDEX deliveries_lane ON deliveries (target, lane, event) WHERE state = 'Waiting';
CREATE INDEX deliveries_expires ON deliveries (expires) WHERE state = 'Waiting';
CREATE INDEX deliveries_dead ON deliveries (target, event) WHERE state = 'Dead';

-- +goose Down
DROP TABLE deliveries;
DROP TABLE events;
DROP TABLE event_targets;
