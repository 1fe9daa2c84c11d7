/** What the methods are made of: each part is opened when it is first asked for, and its module loaded then. */
import type { RegistryClient } from '../../registry-client/client.ts';
import type { RegistryClientOptions } from '../../registry-client/options.ts';
import type { Config } from '../config/load.ts';
import type { OpenStore } from '../images/store.ts';
import type { Launcher } from '../launch/index.ts';
import type { ImageRow } from '../metadata/images.ts';
import { type Platform, parsePlatform } from '../oci/platform.ts';
import type { Reference } from '../oci/reference.ts';

export interface Parts {
  readonly config: Config;
  /** For a registry client of its own. */
  readonly clientOptions: RegistryClientOptions;
  store(): Promise<OpenStore>;
  client(): Promise<RegistryClient>;
  launcher(): Promise<Launcher>;
}

/** An image of the store by name or id, with the store. */
export async function findRow(parts: Parts, text: string): Promise<{ store: OpenStore; row: ImageRow }> {
  const { findImage } = await import('../images/find.ts');
  const store = await parts.store();
  return { store, row: findImage(store, text) };
}

export async function findRows(
  parts: Parts,
  texts: readonly string[],
): Promise<{ store: OpenStore; rows: ImageRow[] }> {
  const { findImage } = await import('../images/find.ts');
  const store = await parts.store();
  return { store, rows: texts.map((text) => findImage(store, text)) };
}

export async function parseName(text: string): Promise<Reference> {
  const { parseReference } = await import('../oci/reference.ts');
  return parseReference(text);
}

export function platformOf(text: string | undefined): Platform | undefined {
  return text === undefined ? undefined : parsePlatform(text);
}

/** A container is named by its name or id, a mount by its name, which is the key of its snapshot. */
export function snapshotOf({ metadata }: OpenStore, name: string): string {
  const container = metadata.containers.byName(name) ?? metadata.containers.get(name);
  return container?.snapshot ?? name;
}
