/**
 * Checks a parsed config.toml. An unknown key is an error: a setting that is silently without effect is worse than
 * none. A module of its own, loaded only where there is a file to check.
 */
import * as v from 'valibot';
import { TslayerError } from '../errors.ts';
import type { ConfigFile } from './settings.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const positive = v.pipe(count, v.minValue(1));
const strings = v.array(v.string());

const ConfigSchema: v.GenericSchema<unknown, ConfigFile> = v.strictObject({
  root: v.exactOptional(v.string()),
  driver: v.exactOptional(v.string()),
  store: v.exactOptional(
    v.strictObject({
      durability: v.exactOptional(v.picklist(['layer', 'none'])),
      keepBlobs: v.exactOptional(v.boolean()),
    }),
  ),
  erofs: v.exactOptional(
    v.strictObject({ merged: v.exactOptional(v.boolean()), directio: v.exactOptional(v.boolean()) }),
  ),
  pull: v.exactOptional(
    v.strictObject({
      concurrency: v.exactOptional(positive),
      maxLayerBytes: v.exactOptional(count),
      maxLayerEntries: v.exactOptional(count),
    }),
  ),
  registries: v.exactOptional(
    v.strictObject({
      mirrors: v.exactOptional(v.record(v.string(), strings)),
      plainHttp: v.exactOptional(strings),
      insecure: v.exactOptional(strings),
    }),
  ),
  network: v.exactOptional(
    v.strictObject({
      attempts: v.exactOptional(positive),
      connectTimeoutMs: v.exactOptional(count),
      stallTimeoutMs: v.exactOptional(count),
      bytesPerSecond: v.exactOptional(count),
      connectionsPerHost: v.exactOptional(positive),
    }),
  ),
  run: v.exactOptional(v.strictObject({ runtime: v.exactOptional(v.picklist(['native', 'runc', 'crun'])) })),
});

export function checkConfig(document: unknown, file: string): ConfigFile {
  const result = v.safeParse(ConfigSchema, document);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const key = v.getDotPath(issue);
  const why =
    issue.expected === 'never'
      ? `unknown setting ${key}`
      : `${key}: expected ${issue.expected}, found ${issue.received}`;
  throw new TslayerError('INVALID_ARGUMENT', `${file}: ${why}`);
}
