"""The tables of the catalogue. Private to the hub: other programs read releases, not tables.

What must never change is held by triggers, so that a mistake in the library cannot change it either.
"""

from __future__ import annotations

APPLICATION_ID = 0x48455048  # "HEPH"; SQLite keeps it in the file's header
SCHEMA_VERSION = 1

# `sort_key` orders versions as SemVer does (assets.Version.sort_key), so the newest release is one index seek.
# INSERT OR REPLACE deletes rows without asking DELETE triggers, hence the triggers on INSERT.
SCHEMA = """
CREATE TABLE package (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE release (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL REFERENCES package (name),
    version TEXT NOT NULL,
    sort_key BLOB NOT NULL,
    prerelease INTEGER NOT NULL CHECK (prerelease IN (0, 1)),
    digest TEXT NOT NULL UNIQUE,
    manifest TEXT NOT NULL,
    summary TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    score INTEGER NOT NULL,
    override TEXT,
    yanked INTEGER NOT NULL DEFAULT 0 CHECK (yanked IN (0, 1)),
    UNIQUE (name, version)
) STRICT;
CREATE INDEX release_newest ON release (name, yanked, prerelease, sort_key DESC);

CREATE TABLE dep (
    release INTEGER NOT NULL REFERENCES release (id),
    name TEXT NOT NULL,
    range TEXT NOT NULL,
    PRIMARY KEY (release, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX dep_of ON dep (name);

CREATE TABLE seal (
    release INTEGER NOT NULL REFERENCES release (id),
    key_id TEXT NOT NULL,
    seal BLOB NOT NULL,
    PRIMARY KEY (release, key_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE derived (
    release INTEGER NOT NULL REFERENCES release (id),
    kind TEXT NOT NULL,
    digest TEXT NOT NULL,
    builder TEXT NOT NULL,
    PRIMARY KEY (release, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE generation (
    channel TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 1),
    parent INTEGER CHECK (parent < number),
    closure TEXT NOT NULL,
    card_table TEXT NOT NULL,
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (channel, number),
    FOREIGN KEY (channel, parent) REFERENCES generation (channel, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE generation_release (
    channel TEXT NOT NULL,
    number INTEGER NOT NULL,
    position INTEGER NOT NULL,
    release INTEGER NOT NULL REFERENCES release (id),
    PRIMARY KEY (channel, number, position),
    FOREIGN KEY (channel, number) REFERENCES generation (channel, number)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER release_stays BEFORE DELETE ON release
BEGIN SELECT RAISE(ABORT, 'a published release is never deleted'); END;

CREATE TRIGGER release_same BEFORE UPDATE OF
    id, name, version, sort_key, prerelease, digest, manifest, summary, published_at, score, override ON release
BEGIN SELECT RAISE(ABORT, 'a published release never changes'); END;

CREATE TRIGGER release_once BEFORE INSERT ON release
WHEN EXISTS (SELECT 1 FROM release
             WHERE (name = NEW.name AND version = NEW.version) OR digest = NEW.digest OR id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'a published release is never replaced'); END;

CREATE TRIGGER dep_stays BEFORE DELETE ON dep
BEGIN SELECT RAISE(ABORT, 'a published release never changes'); END;

CREATE TRIGGER dep_same BEFORE UPDATE ON dep
BEGIN SELECT RAISE(ABORT, 'a published release never changes'); END;

CREATE TRIGGER generation_stays BEFORE DELETE ON generation
BEGIN SELECT RAISE(ABORT, 'the history of a channel is append-only'); END;

CREATE TRIGGER generation_same BEFORE UPDATE ON generation
BEGIN SELECT RAISE(ABORT, 'the history of a channel is append-only'); END;

CREATE TRIGGER generation_next BEFORE INSERT ON generation
WHEN NEW.number <> 1 + coalesce((SELECT max(number) FROM generation WHERE channel = NEW.channel), 0)
BEGIN SELECT RAISE(ABORT, 'generations of a channel are numbered one after another'); END;

CREATE TRIGGER generation_release_stays BEFORE DELETE ON generation_release
BEGIN SELECT RAISE(ABORT, 'the history of a channel is append-only'); END;

CREATE TRIGGER generation_release_same BEFORE UPDATE ON generation_release
BEGIN SELECT RAISE(ABORT, 'the history of a channel is append-only'); END;
"""
