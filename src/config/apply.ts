/** What the configuration means to the parts: the store's settings and the registry client's. */
import type { RegistryClientOptions } from '../../registry-client/options.ts';
import type { LayerLimits } from '../archive/sink.ts';
import type { ConfigFile } from './settings.ts';

/** Settings of the store that the configuration can change. */
export interface StoreSettings {
  readonly durability?: 'layer' | 'none';
  readonly keepBlobs?: boolean;
  readonly concurrency?: number;
  readonly limits?: LayerLimits;
  readonly merged?: boolean;
  readonly directio?: boolean;
}

export function storeSettings({ store, erofs, pull }: ConfigFile, defaults: LayerLimits): StoreSettings {
  const { maxLayerBytes: bytes = defaults.bytes, maxLayerEntries: entries = defaults.entries } = pull ?? {};
  return {
    ...store,
    ...erofs,
    ...(pull?.concurrency !== undefined && { concurrency: pull.concurrency }),
    limits: { ...defaults, bytes, entries },
  };
}

/** Hosts and options that one call adds to the configured ones. */
export interface CallSettings {
  readonly plainHttp?: readonly string[] | undefined;
  readonly insecure?: readonly string[] | undefined;
  readonly trace?: ((line: string) => void) | undefined;
}

export function clientSettings({ registries, network }: ConfigFile, call: CallSettings): RegistryClientOptions {
  const { attempts, connectTimeoutMs, stallTimeoutMs, bytesPerSecond, connectionsPerHost } = network ?? {};
  return {
    ...(registries?.mirrors && { mirrors: registries.mirrors }),
    plainHttp: [...(registries?.plainHttp ?? []), ...(call.plainHttp ?? [])],
    insecure: [...(registries?.insecure ?? []), ...(call.insecure ?? [])],
    ...(attempts !== undefined && { retry: { attempts } }),
    timeouts: {
      ...(connectTimeoutMs !== undefined && { connectMs: connectTimeoutMs }),
      ...(stallTimeoutMs !== undefined && { stallMs: stallTimeoutMs }),
    },
    limits: {
      ...(bytesPerSecond !== undefined && { bytesPerSecond }),
      ...(connectionsPerHost !== undefined && { connectionsPerHost }),
    },
    ...(call.trace && { trace: call.trace }),
  };
}
