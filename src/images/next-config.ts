/**
 * Configs made from configs. What a config holds beyond the specification (Healthcheck, Shell, a builder's own
 * members) is kept as it is: only what a commit or a rebase is about changes. OCI Image Specification config.md.
 */
import * as v from 'valibot';
import { TslayerError } from '../errors.ts';
import type { HistoryEntry } from '../oci/config.ts';
import { MAX_CONFIG_BYTES } from '../oci/config.ts';
import { parseJson } from '../oci/descriptor.ts';
import type { DiffID } from '../oci/digest.ts';
import type { Platform } from '../oci/platform.ts';
import { applyConfigChanges, type MutableRuntime } from './config-change.ts';

/** An image config as JSON: every member of the original, known or not. */
export type RawConfig = Readonly<Record<string, unknown>>;

const RawSchema = v.record(v.string(), v.unknown());

export function parseRawConfig(bytes: Uint8Array, what: string): RawConfig {
  return parseJson(bytes, RawSchema, what);
}

/** The config of an image of nothing. */
export function emptyConfig(platform: Platform): RawConfig {
  const { architecture, os, variant } = platform;
  return { architecture, os, ...(variant ? { variant } : {}), config: {}, rootfs: { type: 'layers', diff_ids: [] } };
}

export interface ConfigStep {
  /** Layers from the base up; the whole list. */
  readonly diffIDs: readonly DiffID[];
  readonly history: readonly HistoryEntry[];
  /** Instructions for the runtime settings; see config-change.ts. */
  readonly changes?: readonly string[] | undefined;
  readonly author?: string | undefined;
  /** ISO 8601; see creationDate. */
  readonly created: string;
}

/** The config's bytes after a step. The members' order is the base's, so that equal steps give equal bytes. */
export function nextConfig(base: RawConfig, step: ConfigStep): Buffer {
  const runtime = (base.config ?? {}) as MutableRuntime;
  const next: Record<string, unknown> = { ...base, created: step.created };
  // What docker keeps of the container that an image was made from: of no meaning for the new one.
  delete next.container;
  delete next.container_config;
  delete next.id;
  delete next.parent;
  if (step.author !== undefined) next.author = step.author;
  next.config = applyConfigChanges(runtime, step.changes ?? []);
  next.rootfs = { type: 'layers', diff_ids: step.diffIDs };
  next.history = step.history;
  const bytes = Buffer.from(JSON.stringify(next));
  if (bytes.length > MAX_CONFIG_BYTES) {
    throw new TslayerError('LIMIT_EXCEEDED', `the config would have ${bytes.length} bytes, more than any client takes`);
  }
  return bytes;
}

/** SOURCE_DATE_EPOCH in seconds, when it is set. https://reproducible-builds.org/specs/source-date-epoch/ */
export function sourceDateEpoch(environment: NodeJS.ProcessEnv = process.env): number | undefined {
  const text = environment.SOURCE_DATE_EPOCH;
  if (text === undefined || text === '') return undefined;
  const seconds = Number(text);
  // Later than the year 9999 has no ISO form that others read.
  if (!/^\d+$/.test(text) || seconds > 253_402_300_799) {
    throw new TslayerError('INVALID_ARGUMENT', `SOURCE_DATE_EPOCH is not a time: ${JSON.stringify(text.slice(0, 40))}`);
  }
  return seconds;
}

/** `2026-01-02T03:04:05Z`, in whole seconds for an epoch, as tools of reproducible builds write it. */
export function creationDate(epoch: number | undefined, now: number = Date.now()): string {
  return epoch === undefined ? new Date(now).toISOString() : new Date(epoch * 1000).toISOString().replace('.000', '');
}
