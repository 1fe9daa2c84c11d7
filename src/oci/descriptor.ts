/** Descriptors: typed, sized, named content. OCI Image Specification descriptor.md. */
import * as v from 'valibot';
import { TslayerError } from '../errors.ts';
import { type Digest, isDigest } from './digest.ts';
import type { Platform } from './platform.ts';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes; a non-negative safe integer. */
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** Up to a few kilobytes of the content itself, base64. Checked like any other bytes before use. */
  readonly data?: string;
  readonly artifactType?: string;
  readonly platform?: Platform;
}

const DigestSchema = v.custom<Digest>(isDigest, 'a digest such as sha256:<64 hex>');
/** A JSON string map; `__proto__` and its like stay plain keys because valibot copies into a fresh object. */
export const StringMap: v.GenericSchema<unknown, Record<string, string>> = v.record(v.string(), v.string());

const PlatformSchema = v.object({
  architecture: v.string(),
  os: v.string(),
  variant: v.optional(v.string()),
  'os.version': v.optional(v.string()),
  'os.features': v.optional(v.array(v.string())),
});

export const DescriptorSchema: v.GenericSchema<unknown, Descriptor> = v.object({
  mediaType: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][\w.+-]*\/[A-Za-z0-9][\w.+-]*$/, 'a media type')),
  digest: DigestSchema,
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  urls: v.exactOptional(v.array(v.string())),
  annotations: v.exactOptional(StringMap),
  data: v.exactOptional(v.string()),
  artifactType: v.exactOptional(v.string()),
  platform: v.exactOptional(PlatformSchema),
}) as v.GenericSchema<unknown, Descriptor>;

/** Parses untrusted JSON text by a schema; errors name the place, as in `layers.0.size`. */
export function parseJson<T>(text: Uint8Array | string, schema: v.GenericSchema<unknown, T>, what: string): T {
  let json: unknown;
  try {
    json = JSON.parse(typeof text === 'string' ? text : new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (cause) {
    throw new TslayerError('MALFORMED', `${what} is not JSON`, { cause });
  }
  return parseValue(json, schema, what);
}

export function parseValue<T>(value: unknown, schema: v.GenericSchema<unknown, T>, what: string): T {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const at = v.getDotPath(issue);
  throw new TslayerError('MALFORMED', `${what} is malformed${at ? ` at ${at}` : ''}: ${issue.message}`);
}
