/**
 * The OCI Image Specification's rules for a layout directory (1.1: image-layout, image-index, manifest, config,
 * descriptor, annotations), read from its text and written without the program's own parsers. It stands in for
 * `oci-image-tool validate`, which no distribution ships any more.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';

type Json = Readonly<Record<string, unknown>>;

const INDEX = 'application/vnd.oci.image.index.v1+json';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = /^application\/vnd\.oci\.image\.layer\.v1\.tar(\+gzip|\+zstd)?$/;
/** descriptor.md "Properties": RFC 6838, section 4.2. */
const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/;
const SHA256 = /^sha256:[a-f0-9]{64}$/;
/** annotations.md "Pre-Defined Annotation Keys", of ref.name. */
const COMPONENT = '[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*';
const REF_NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** Fails with the rule that is broken; counts what was held against the rules. */
export function checkLayoutRules(directory: string): { readonly manifests: number; readonly layers: number } {
  const rules = new LayoutRules(directory);
  rules.check();
  return rules.counts;
}

class LayoutRules {
  readonly counts = { manifests: 0, layers: 0 };
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  check(): void {
    // image-layout.md "oci-layout file".
    assert.deepEqual(this.#file('oci-layout'), { imageLayoutVersion: '1.0.0' });
    for (const name of readdirSync(join(this.#directory, 'blobs', 'sha256'))) {
      const bytes = readFileSync(join(this.#directory, 'blobs/sha256', name));
      assert.equal(createHash('sha256').update(bytes).digest('hex'), name, 'a blob matches the digest it is named by');
    }
    const index = this.#file('index.json');
    this.#index(index);
    for (const entry of list(index.manifests)) {
      const name = (entry.annotations as Json | undefined)?.['org.opencontainers.image.ref.name'];
      if (name !== undefined) assert.match(String(name), REF_NAME);
    }
  }

  #file(name: string): Json {
    return JSON.parse(readFileSync(join(this.#directory, name), 'utf8')) as Json;
  }

  /** descriptor.md: required members, and that it says the truth of the blob. Its path. */
  #descriptor(descriptor: Json): string {
    assert.match(String(descriptor.mediaType), MEDIA_TYPE);
    assert.match(String(descriptor.digest), SHA256);
    const path = join(this.#directory, 'blobs', String(descriptor.digest).replace(':', '/'));
    assert.equal(descriptor.size, statSync(path).size);
    annotations(descriptor.annotations);
    return path;
  }

  #index(index: Json): void {
    assert.equal(index.schemaVersion, 2);
    assert.ok(index.mediaType === undefined || index.mediaType === INDEX, 'an index is called one');
    assert.ok(Array.isArray(index.manifests), 'image-index.md: manifests MUST be there, empty or not');
    annotations(index.annotations);
    for (const entry of list(index.manifests)) {
      const document = JSON.parse(readFileSync(this.#descriptor(entry), 'utf8')) as Json;
      assert.equal(document.mediaType ?? entry.mediaType, entry.mediaType, 'a document is what its descriptor says');
      const platform = entry.platform as Json | undefined;
      if (platform) for (const name of ['architecture', 'os']) assert.equal(typeof platform[name], 'string');
      if (entry.mediaType === INDEX) this.#index(document);
      else if (entry.mediaType === MANIFEST) this.#manifest(document);
    }
  }

  #manifest(manifest: Json): void {
    this.counts.manifests++;
    assert.equal(manifest.schemaVersion, 2);
    annotations(manifest.annotations);
    const config = manifest.config as Json;
    const path = this.#descriptor(config);
    const layers = list(manifest.layers);
    const tars = layers.map((layer) => [layer, this.#descriptor(layer)] as const);
    if (config.mediaType !== CONFIG) return;
    const diffIds = configRules(JSON.parse(readFileSync(path, 'utf8')) as Json);
    assert.equal(diffIds.length, layers.length, 'config.md: a diffID for each layer');
    for (const [i, [layer, file]] of tars.entries()) {
      const compression = LAYER.exec(String(layer.mediaType))?.[1];
      assert.match(String(layer.mediaType), LAYER);
      const digest = createHash('sha256')
        .update(inflated(readFileSync(file), compression))
        .digest('hex');
      assert.equal(`sha256:${digest}`, diffIds[i], 'a diffID is the digest of the uncompressed tar');
      this.counts.layers++;
    }
  }
}

/** config.md "Properties". Its diffIDs. */
function configRules(config: Json): readonly unknown[] {
  for (const name of ['architecture', 'os']) assert.equal(typeof config[name], 'string', `config.md: ${name}`);
  if (config.created !== undefined) assert.match(String(config.created), RFC_3339);
  const rootfs = config.rootfs as Json;
  assert.equal(rootfs.type, 'layers');
  assert.ok(Array.isArray(rootfs.diff_ids));
  const history = config.history === undefined ? undefined : list(config.history);
  for (const { created } of history ?? []) if (created !== undefined) assert.match(String(created), RFC_3339);
  const filled = history?.filter((entry) => entry.empty_layer !== true).length;
  assert.ok(!filled || filled === rootfs.diff_ids.length, 'each layer has its entry in the history');
  const run = (config.config ?? {}) as Json;
  for (const name of ['Env', 'Entrypoint', 'Cmd']) strings(run[name], name);
  for (const entry of (run.Env ?? []) as string[]) assert.match(entry, /^[^=]+=/);
  annotations(run.Labels);
  return rootfs.diff_ids;
}

function inflated(bytes: Uint8Array, compression: string | undefined): Uint8Array {
  if (compression === '+gzip') return gunzipSync(bytes);
  return compression === '+zstd' ? zstdDecompressSync(bytes) : bytes;
}

function list(value: unknown): readonly Json[] {
  assert.ok(Array.isArray(value));
  return value as Json[];
}

function strings(value: unknown, name: string): void {
  if (value === undefined || value === null) return;
  assert.ok(Array.isArray(value) && value.every((item) => typeof item === 'string'), `${name} is a list of strings`);
}

/** annotations.md "Rules": string to string, no empty keys. */
function annotations(value: unknown): void {
  for (const [key, text] of Object.entries((value ?? {}) as Json)) {
    assert.notEqual(key, '');
    assert.equal(typeof text, 'string');
  }
}
