/** OCI image layouts of whole tars, written by hand: what skopeo pushes and umoci unpacks. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';

export type Form = 'gzip' | 'zstd' | 'plain';

export interface Variant {
  /** `amd64` */
  readonly architecture: string;
  /** Base first. */
  readonly tars: readonly Uint8Array[];
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const OCI = 'application/vnd.oci.image';

const FORMS: Readonly<Record<Form, readonly [suffix: string, pack: (tar: Uint8Array) => Uint8Array]>> = {
  gzip: ['+gzip', (tar) => gzipSync(tar, { level: 1 })],
  zstd: ['+zstd', (tar) => zstdCompressSync(tar)],
  plain: ['', (tar) => tar],
};

/** A layout with one image, tagged `latest`; with several variants an index of them. */
export function writeLayout(directory: string, variants: readonly Variant[], form: Form, config: object = {}): void {
  const blobs = join(directory, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (mediaType: string, bytes: Uint8Array): Descriptor => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const manifests = variants.map((variant) => putManifest(put, variant, form, config));
  const [first = undefined, second] = manifests;
  const indexType = `${OCI}.index.v1+json`;
  const root = second ? put(indexType, json({ schemaVersion: 2, mediaType: indexType, manifests })) : first;
  const named = { ...root, annotations: { 'org.opencontainers.image.ref.name': 'latest' } };
  writeFileSync(join(directory, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
  writeFileSync(join(directory, 'index.json'), json({ schemaVersion: 2, manifests: [named] }));
}

function putManifest(
  put: (mediaType: string, bytes: Uint8Array) => Descriptor,
  { architecture, tars }: Variant,
  form: Form,
  config: object,
): object {
  const [suffix, pack] = FORMS[form];
  const layers = tars.map((tar) => put(`${OCI}.layer.v1.tar${suffix}`, pack(tar)));
  const diffIDs = tars.map((tar) => `sha256:${createHash('sha256').update(tar).digest('hex')}`);
  const platform = { os: 'linux', architecture };
  const rootfs = { type: 'layers', diff_ids: diffIDs };
  const configured = put(`${OCI}.config.v1+json`, json({ ...platform, config, rootfs }));
  const mediaType = `${OCI}.manifest.v1+json`;
  return { ...put(mediaType, json({ schemaVersion: 2, mediaType, config: configured, layers })), platform };
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
