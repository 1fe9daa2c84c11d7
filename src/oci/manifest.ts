/**
 * Manifests and indexes, OCI and Docker schema 2, parsed from untrusted bytes.
 *
 * Content-Type, `mediaType` and shape must agree: a document that reads as an index to one tool and as an image
 * to another verifies under one digest and runs as two programs (CVE-2021-41190).
 */
import * as v from 'valibot';
import { TslayerError } from '../errors.ts';
import { type Descriptor, DescriptorSchema, parseJson, StringMap } from './descriptor.ts';
import { isIndexType, isManifestType, isSchema1Type, OCI_INDEX, OCI_MANIFEST } from './media-types.ts';

/** The trusted clients' limit on a manifest's size, bytes. */
export const MAX_MANIFEST_BYTES: number = 4 * 1024 * 1024;

export interface ImageManifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly config: Descriptor;
  /** Base first. */
  readonly layers: readonly Descriptor[];
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ImageIndex {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

export type Manifest = ImageManifest | ImageIndex;

const common = {
  schemaVersion: v.literal(2),
  mediaType: v.exactOptional(v.string()),
  artifactType: v.exactOptional(v.string()),
  subject: v.exactOptional(DescriptorSchema),
  annotations: v.exactOptional(v.nullish(StringMap)),
};
const ManifestSchema = v.object({ ...common, config: DescriptorSchema, layers: v.array(DescriptorSchema) });
const IndexSchema = v.object({ ...common, manifests: v.array(DescriptorSchema) });
const ShapeSchema = v.looseObject({
  schemaVersion: v.exactOptional(v.number()),
  mediaType: v.exactOptional(v.string()),
});

/**
 * @param bytes the exact bytes whose digest was verified
 * @param contentType what the registry or the descriptor called them; undefined when nobody did
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined, what = 'the manifest'): Manifest {
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw new TslayerError('LIMIT_EXCEEDED', `${what} has ${bytes.length} bytes, more than ${MAX_MANIFEST_BYTES}`);
  }
  const shape = parseJson(bytes, ShapeSchema, what);
  if (shape.schemaVersion === 1 || isSchema1Type(contentType ?? '')) {
    throw new TslayerError('UNSUPPORTED', `${what} is a Docker schema 1 manifest, which is obsolete and unsafe`, {
      hint: 'push the image again with a current tool',
    });
  }
  const isIndex = 'manifests' in shape;
  if (isIndex && ('layers' in shape || 'config' in shape)) {
    throw new TslayerError('MALFORMED', `${what} claims to be both an index and an image`);
  }
  const mediaType = agreeOnType(shape.mediaType, contentType, isIndex, what);
  const {
    schemaVersion: _version,
    annotations,
    ...rest
  } = isIndex ? parseJson(bytes, IndexSchema, what) : parseJson(bytes, ManifestSchema, what);
  const kept = { ...rest, ...(annotations ? { annotations } : {}), mediaType };
  return 'manifests' in kept ? { kind: 'index', ...kept } : { kind: 'manifest', ...kept };
}

function agreeOnType(inside: string | undefined, outside: string | undefined, isIndex: boolean, what: string): string {
  const expected = isIndex ? isIndexType : isManifestType;
  for (const type of [inside, outside]) {
    if (type !== undefined && (isIndexType(type) || isManifestType(type)) && !expected(type)) {
      throw new TslayerError('MALFORMED', `${what} is called ${type} but holds ${isIndex ? 'an index' : 'an image'}`);
    }
  }
  if (inside !== undefined && !expected(inside)) {
    throw new TslayerError(
      'UNSUPPORTED',
      `${what} has the media type ${JSON.stringify(inside)}, which is not an image`,
    );
  }
  if (inside && outside && expected(outside) && inside !== outside) {
    throw new TslayerError('MALFORMED', `${what} is served as ${outside} but calls itself ${inside}`);
  }
  if (inside) return inside;
  return outside && expected(outside) ? outside : isIndex ? OCI_INDEX : OCI_MANIFEST;
}
