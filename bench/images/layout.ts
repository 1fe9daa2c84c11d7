/** Writes images into an OCI layout directory, layer by layer as their tars are made; shared layers are made once. */
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

export interface BuiltLayer {
  readonly digest: string;
  readonly diffId: string;
  readonly size: number;
}

interface Index {
  manifests: { annotations?: Record<string, string> }[];
}

const REF_NAME = 'org.opencontainers.image.ref.name';

export class LayoutBuilder {
  readonly directory: string;
  readonly #layers: Map<string, Promise<BuiltLayer>> = new Map();

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
    writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    if (!existsSync(this.#indexPath)) this.#writeIndex({ manifests: [] });
  }

  get #indexPath(): string {
    return join(this.directory, 'index.json');
  }

  /** Tags that are there already. */
  names(): string[] {
    const index = JSON.parse(readFileSync(this.#indexPath, 'utf8')) as Index;
    return index.manifests.flatMap(({ annotations }) => annotations?.[REF_NAME] ?? []);
  }

  /** The layer called `name`, made by `tar` when it is first asked for. */
  layer(name: string, tar: () => AsyncIterable<Uint8Array>): Promise<BuiltLayer> {
    let layer = this.#layers.get(name);
    if (layer === undefined) {
      layer = this.#make(name, tar());
      this.#layers.set(name, layer);
    }
    return layer;
  }

  async #make(name: string, tar: AsyncIterable<Uint8Array>): Promise<BuiltLayer> {
    const temporary = join(this.directory, `.layer-${name}`);
    const [plain, packed] = [createHash('sha256'), createHash('sha256')];
    // Level 6, as every builder has it.
    await pipeline(tar, hashing(plain), createGzip({ level: 6 }), hashing(packed), createWriteStream(temporary));
    const digest = packed.digest('hex');
    const path = this.#blob(digest);
    renameSync(temporary, path);
    return { digest: `sha256:${digest}`, diffId: `sha256:${plain.digest('hex')}`, size: statSync(path).size };
  }

  /** Names an image of these layers, base first. */
  image(name: string, layers: readonly BuiltLayer[]): void {
    const config = this.#put({
      architecture: 'amd64',
      os: 'linux',
      config: { Cmd: ['/bin/sh'] },
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    });
    const manifest = this.#put({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers: layers.map(({ digest, size }) => ({
        mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
        digest,
        size,
      })),
    });
    const index = JSON.parse(readFileSync(this.#indexPath, 'utf8')) as Index;
    const entry = {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      ...manifest,
      platform: { architecture: 'amd64', os: 'linux' },
      annotations: { [REF_NAME]: name },
    };
    this.#writeIndex({ manifests: [...index.manifests, entry] });
  }

  #put(value: unknown): { digest: string; size: number } {
    const bytes = Buffer.from(JSON.stringify(value));
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(this.#blob(hex), bytes);
    return { digest: `sha256:${hex}`, size: bytes.length };
  }

  #blob(hex: string): string {
    return join(this.directory, 'blobs/sha256', hex);
  }

  #writeIndex(index: Index): void {
    const whole = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', ...index };
    writeFileSync(this.#indexPath, JSON.stringify(whole));
  }
}

function hashing(hash: ReturnType<typeof createHash>): Transform {
  return new Transform({
    highWaterMark: 1 << 20,
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}
