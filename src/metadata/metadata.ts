/** The store's metadata: one database, a small typed class a table. */
import { Blobs } from './blobs.ts';
import { Containers } from './containers.ts';
import { Database, type DatabaseOptions } from './database.ts';
import { Garbage } from './garbage.ts';
import { Images } from './images.ts';
import { Layers } from './layers.ts';
import { Leases } from './leases.ts';
import { Mounts } from './mounts.ts';
import { Settings } from './settings.ts';
import { Snapshots } from './snapshots.ts';

export class Metadata implements Disposable {
  readonly database: Database;
  readonly settings: Settings;
  readonly images: Images;
  readonly blobs: Blobs;
  readonly layers: Layers;
  readonly snapshots: Snapshots;
  readonly mounts: Mounts;
  readonly containers: Containers;
  readonly leases: Leases;
  readonly garbage: Garbage;

  constructor(database: Database) {
    this.database = database;
    this.settings = new Settings(database);
    this.images = new Images(database);
    this.blobs = new Blobs(database);
    this.layers = new Layers(database);
    this.snapshots = new Snapshots(database);
    this.mounts = new Mounts(database);
    this.containers = new Containers(database);
    this.leases = new Leases(database);
    this.garbage = new Garbage(database);
  }

  /** See Database.transaction. */
  transaction<T>(work: () => T, options?: { readonly durable?: boolean }): T {
    return this.database.transaction(work, options);
  }

  /** Sessions that hold leases or garbage: empty when nobody works and nothing crashed. */
  sessions(): string[] {
    return this.database
      .all<{ session: string }>(
        'SELECT session FROM leases WHERE session IS NOT NULL UNION SELECT session FROM garbage',
      )
      .map((row) => row.session);
  }

  [Symbol.dispose](): void {
    this.database.close();
  }
}

/** Opens (and unless told otherwise creates) the database at `path`, migrating an older one. */
export function openMetadata(path: string, options?: DatabaseOptions): Metadata {
  return new Metadata(new Database(path, options));
}
