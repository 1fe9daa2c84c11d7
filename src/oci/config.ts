/** Image configs: runtime settings and diffIDs. OCI Image Specification config.md. */
import * as v from 'valibot';
import { TslayerError } from '../errors.ts';
import { parseJson, StringMap } from './descriptor.ts';
import { type DiffID, isDigest } from './digest.ts';
import type { ImageManifest } from './manifest.ts';
import type { Platform } from './platform.ts';

/** The trusted clients' limit on a config's size, bytes. */
export const MAX_CONFIG_BYTES: number = 4 * 1024 * 1024;

/** What a program gets unless told otherwise; the field names are the specification's. */
export interface RuntimeConfig {
  readonly User?: string;
  /** `80/tcp` → {} */
  readonly ExposedPorts?: Readonly<Record<string, unknown>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Volumes?: Readonly<Record<string, unknown>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
}

export interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

export interface ImageConfig {
  readonly platform: Platform;
  readonly created?: string;
  readonly author?: string;
  readonly config: RuntimeConfig;
  /** Base first, one a layer. */
  readonly diffIDs: readonly DiffID[];
  readonly history: readonly HistoryEntry[];
}

// Docker writes `null` for what is absent: read it as absent.
const opt = <T>(schema: v.GenericSchema<unknown, T>) => v.optional(v.nullish(schema));
const strings = v.array(v.string());
const anyMap = v.record(v.string(), v.unknown());

const ConfigSchema = v.object({
  architecture: v.optional(v.string(), ''),
  os: v.optional(v.string(), ''),
  variant: opt(v.string()),
  'os.version': opt(v.string()),
  created: opt(v.string()),
  author: opt(v.string()),
  config: opt(
    v.object({
      User: opt(v.string()),
      ExposedPorts: opt(anyMap),
      Env: opt(strings),
      Entrypoint: opt(strings),
      Cmd: opt(strings),
      Volumes: opt(anyMap),
      WorkingDir: opt(v.string()),
      Labels: opt(StringMap),
      StopSignal: opt(v.string()),
    }),
  ),
  rootfs: v.object({ type: v.literal('layers'), diff_ids: v.nullish(v.array(v.custom<DiffID>(isDigest, 'a diffID'))) }),
  history: opt(
    v.array(
      v.object({
        created: opt(v.string()),
        created_by: opt(v.string()),
        author: opt(v.string()),
        comment: opt(v.string()),
        empty_layer: opt(v.boolean()),
      }),
    ),
  ),
});

type Present<T> = { [K in keyof T]?: Exclude<T[K], null | undefined> };

/** The object without its null and undefined values. */
function present<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, x]) => x !== null && x !== undefined)) as Present<T>;
}

export function parseConfig(bytes: Uint8Array, what = 'the image config'): ImageConfig {
  if (bytes.length > MAX_CONFIG_BYTES) {
    throw new TslayerError('LIMIT_EXCEEDED', `${what} has ${bytes.length} bytes, more than ${MAX_CONFIG_BYTES}`);
  }
  const raw = parseJson(bytes, ConfigSchema, what);
  const platform = { architecture: raw.architecture, os: raw.os };
  return {
    platform: { ...platform, ...present({ variant: raw.variant, 'os.version': raw['os.version'] }) },
    ...present({ created: raw.created, author: raw.author }),
    config: present(raw.config ?? {}),
    diffIDs: raw.rootfs.diff_ids ?? [],
    history: (raw.history ?? []).map(present),
  };
}

/** A config must name exactly one diffID for each layer of its manifest. */
export function checkLayerCount(manifest: ImageManifest, config: ImageConfig, what: string): void {
  if (manifest.layers.length !== config.diffIDs.length) {
    throw new TslayerError(
      'MALFORMED',
      `${what} has ${manifest.layers.length} layers but its config names ${config.diffIDs.length} diffIDs`,
    );
  }
}
