/** A store of a test's own, with the driver it asks for. */
import { join } from 'node:path';
import type { DriverModule } from '../../drivers/driver.ts';
import type { RegistryClient } from '../../registry-client/client.ts';
import { createRegistryClient, type RegistryClientOptions } from '../../registry-client/index.ts';
import type { StoreConfig } from '../../src/images/context.ts';
import { imageName } from '../../src/images/name-image.ts';
import { type PullRequest, type PullResult, pullImage } from '../../src/images/pull/pull.ts';
import { registrySource } from '../../src/images/pull/source.ts';
import { type OpenStore, openStore } from '../../src/images/store.ts';
import { parseReference } from '../../src/oci/reference.ts';
import type { OperationOptions } from '../../src/progress.ts';

export interface TestStoreOptions {
  readonly root: string;
  /** Name of the driver's module under drivers/. */
  readonly driver?: string;
  readonly config?: Partial<StoreConfig>;
}

export function openTestStore({ root, driver = 'erofs', config = {} }: TestStoreOptions): Promise<OpenStore> {
  const choose = (_directory: string, name = driver) => driverModule(name);
  return openStore({ root, config, drivers: { choose } });
}

export async function driverModule(name: string): Promise<DriverModule> {
  const module = (await import(join(import.meta.dirname, `../../drivers/${name}/index.ts`))) as {
    driver: DriverModule;
  };
  return module.driver;
}

/** A client that knows nothing of the machine's credentials and mirrors. */
export function testClient(options: RegistryClientOptions = {}): RegistryClient {
  return createRegistryClient({ env: {}, etc: '/nonexistent', retry: { attempts: 2, baseDelayMs: 1 }, ...options });
}

/** Pulls from a loopback registry, as a fresh client would. */
export async function pullFrom(
  store: OpenStore,
  text: string,
  request: Partial<PullRequest> = {},
  options: OperationOptions = {},
): Promise<PullResult> {
  const reference = parseReference(text);
  const client = testClient();
  const source = registrySource(client, reference);
  try {
    const names = [imageName(reference)] as const;
    return await pullImage(store, { names, source, digest: reference.digest, ...request }, options);
  } finally {
    await client.close();
  }
}
