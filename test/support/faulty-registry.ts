/** A registry with an image, behind a proxy that does it harm: for all tests of a suite. */
import { after, before, beforeEach } from 'node:test';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { startRegistryWith, type TestRegistry } from './registry-content.ts';

/** To be called inside `describe`: the proxy is there while its tests run, and each begins without faults. */
export function faultyRegistry(
  image: Parameters<typeof startRegistryWith>[0],
): Omit<FaultProxy, keyof AsyncDisposable> {
  let upstream: TestRegistry;
  let proxy: FaultProxy;
  before(async () => {
    upstream = await startRegistryWith(image);
    proxy = await startFaultProxy(upstream.registry.url);
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  });
  beforeEach(() => proxy.reset());
  return {
    get url() {
      return proxy.url;
    },
    get host() {
      return proxy.host;
    },
    get exchanges() {
      return proxy.exchanges;
    },
    get blobBytes() {
      return proxy.blobBytes;
    },
    fault: (...rules) => proxy.fault(...rules),
    reset: () => proxy.reset(),
    connections: () => proxy.connections(),
  };
}
