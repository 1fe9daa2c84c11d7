/** What config.toml may say. Every key is optional. */

export interface ConfigFile {
  /** The store's directory. */
  readonly root?: string;
  /** Name of a driver, or the path or package name of one from outside. */
  readonly driver?: string;
  readonly store?: {
    /** `layer` (default): each blob and layer is on the disk before it is named. `none`: left to the kernel. */
    readonly durability?: 'layer' | 'none';
    /** false: compressed blobs go once they are unpacked; a push or a repair then fetches them again. */
    readonly keepBlobs?: boolean;
  };
  readonly erofs?: {
    /** true: all layers of an image are mounted as one file system, with one `st_dev` and small inode numbers. */
    readonly merged?: boolean;
    /** true: no byte is cached twice, and what was just pulled is read from the disk. */
    readonly directio?: boolean;
  };
  readonly pull?: {
    /** Layers at once. */
    readonly concurrency?: number;
    /** Limits of one layer; a layer beyond them is refused. */
    readonly maxLayerBytes?: number;
    readonly maxLayerEntries?: number;
  };
  readonly registries?: {
    /** `"docker.io" = ["http://127.0.0.1:5000"]`: asked in order before the registry itself. */
    readonly mirrors?: Readonly<Record<string, readonly string[]>>;
    /** Hosts that speak plain HTTP. Loopback hosts do so by themselves. */
    readonly plainHttp?: readonly string[];
    /** Hosts whose certificate is not checked. */
    readonly insecure?: readonly string[];
  };
  readonly network?: {
    /** Tries of one request. */
    readonly attempts?: number;
    readonly connectTimeoutMs?: number;
    /** Longest silence while bytes are expected. */
    readonly stallTimeoutMs?: number;
    /** Over all transfers; 0 is unlimited. */
    readonly bytesPerSecond?: number;
    readonly connectionsPerHost?: number;
  };
  readonly run?: {
    /** `native` (default) is the built-in launcher. */
    readonly runtime?: 'native' | 'runc' | 'crun';
  };
}
