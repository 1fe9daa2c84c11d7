/**
 * The database's schema, one SQL script a version; `user_version` counts the scripts that were run. A script that
 * was released never changes: the next version is a new script.
 *
 * The content graph:  images → blobs (index → manifest → config, layers, by refs)
 * The unpacked side:  images → snapshots (committed, by chainID) → layers (the driver's, by id)
 * What holds content: images, active snapshots and views, leases. Foreign keys keep a row from naming what is gone.
 *
 * Times are milliseconds since 1970. `key` of a layer is its diffID for drivers that stack independently and its
 * chainID for those that stack sequentially.
 */

const VERSION_1 = `
CREATE TABLE settings (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- ids: last short id given out. images: changes of names. layout: the change that index.json shows.
CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whole, verified, durable content under blobs/.
CREATE TABLE blobs (
  digest     TEXT PRIMARY KEY,
  size       INTEGER NOT NULL CHECK (size >= 0),
  kind       TEXT NOT NULL CHECK (kind IN ('index', 'manifest', 'config', 'layer', 'other')),
  media_type TEXT NOT NULL,
  added_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a stored index or manifest names, in its order; the child need not be here (other platforms, dropped blobs).
-- A manifest's config is position 0, its layers follow, base first.
CREATE TABLE refs (
  parent   TEXT NOT NULL REFERENCES blobs (digest) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  child    TEXT NOT NULL,
  size     INTEGER NOT NULL,
  PRIMARY KEY (parent, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX refs_by_child ON refs (child);

-- Which uncompressed tar a layer blob was seen to hold. True forever, so it outlives the blob.
CREATE TABLE blob_diffs (
  digest   TEXT PRIMARY KEY,
  diff_id  TEXT NOT NULL,
  tar_size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_diffs_by_diff_id ON blob_diffs (diff_id);

-- Unpacked layers, durable in the driver's directory under their id.
CREATE TABLE layers (
  key        TEXT PRIMARY KEY,
  id         TEXT NOT NULL UNIQUE,
  diff_id    TEXT NOT NULL,
  tar_size   INTEGER NOT NULL,
  bytes      INTEGER NOT NULL,
  inodes     INTEGER NOT NULL,
  indexed    INTEGER NOT NULL CHECK (indexed IN (0, 1)),
  added_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX layers_by_diff_id ON layers (diff_id);

-- committed: key is the chainID, layer its top layer. active: id is the driver's. view: neither.
CREATE TABLE snapshots (
  key        TEXT PRIMARY KEY,
  kind       TEXT NOT NULL CHECK (kind IN ('active', 'view', 'committed')),
  parent     TEXT REFERENCES snapshots (key),
  layer      TEXT REFERENCES layers (key),
  id         TEXT UNIQUE,
  manifest   TEXT REFERENCES blobs (digest),
  labels     TEXT NOT NULL DEFAULT '{}',
  created_at INTEGER NOT NULL,
  CHECK ((kind = 'committed') = (layer IS NOT NULL)),
  CHECK ((kind = 'active') = (id IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX snapshots_by_parent ON snapshots (parent) WHERE parent IS NOT NULL;
CREATE INDEX snapshots_by_layer ON snapshots (layer) WHERE layer IS NOT NULL;
CREATE INDEX snapshots_by_manifest ON snapshots (manifest) WHERE manifest IS NOT NULL;

-- Names. target: what the name stands for (an index or a manifest); manifest: the one for the platform.
CREATE TABLE images (
  name          TEXT PRIMARY KEY,
  target        TEXT NOT NULL REFERENCES blobs (digest),
  manifest      TEXT NOT NULL REFERENCES blobs (digest),
  config        TEXT NOT NULL REFERENCES blobs (digest),
  platform      TEXT NOT NULL,
  chain_id      TEXT,
  unpacked      INTEGER NOT NULL CHECK (unpacked IN (0, 1)),
  all_platforms INTEGER NOT NULL CHECK (all_platforms IN (0, 1)),
  source        TEXT NOT NULL,
  created_at    INTEGER,
  pulled_at     INTEGER NOT NULL,
  used_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX images_by_target ON images (target);
CREATE INDEX images_by_manifest ON images (manifest);
CREATE INDEX images_by_config ON images (config);
CREATE INDEX images_by_chain ON images (chain_id) WHERE chain_id IS NOT NULL;

CREATE TABLE mounts (
  name       TEXT PRIMARY KEY REFERENCES snapshots (key),
  target     TEXT NOT NULL UNIQUE,
  read_only  INTEGER NOT NULL CHECK (read_only IN (0, 1)),
  image      TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The state itself is the launcher's, in containers/ID/.
CREATE TABLE containers (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL UNIQUE,
  snapshot   TEXT REFERENCES snapshots (key),
  image      TEXT NOT NULL,
  labels     TEXT NOT NULL DEFAULT '{}',
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX containers_by_snapshot ON containers (snapshot) WHERE snapshot IS NOT NULL;

-- Holds content that nothing names yet: while its session lives, and until it expires. Neither: a pin, for good.
CREATE TABLE leases (
  id         TEXT PRIMARY KEY,
  session    TEXT,
  purpose    TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE lease_refs (
  lease TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
  kind  TEXT NOT NULL CHECK (kind IN ('blob', 'layer', 'snapshot')),
  key   TEXT NOT NULL,
  PRIMARY KEY (lease, kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_refs_by_key ON lease_refs (kind, key);

-- Things on disk (or about to be) that no row vouches for: being made or being removed by that session.
-- When the session is dead they are swept.
CREATE TABLE garbage (
  kind    TEXT NOT NULL CHECK (kind IN ('blob', 'layer', 'snapshot')),
  key     TEXT NOT NULL,
  session TEXT NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX garbage_by_session ON garbage (session);
`;

const VERSION_2 = `
-- Who can remove it: a store that is being converted holds what two drivers made. Null: the recorded driver.
ALTER TABLE garbage ADD COLUMN driver TEXT;
DELETE FROM settings WHERE name = 'otherDriver';
`;

/** Scripts in order; script N makes version N + 1. */
export const MIGRATIONS: readonly string[] = [VERSION_1, VERSION_2];

/** `tslr` as SQLite's application_id, so that file(1) and we know our own. */
export const APPLICATION_ID = 0x74736c72;
