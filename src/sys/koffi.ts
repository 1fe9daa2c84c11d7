/**
 * Loads koffi's binary straight from its platform package. The package's own JavaScript finds out the C library by
 * reading ELF headers and costs 10 ms at every start, half of what Node itself takes; dlopen(3) simply refuses the
 * wrong one. Where the package lies elsewhere, or has no binary for this platform, koffi's own loader decides.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ffi } from './ffi-state.ts';

type Koffi = typeof import('koffi');

const require = createRequire(import.meta.url);

function loadDirectly(): Koffi | undefined {
  let directory: string;
  try {
    directory = dirname(require.resolve(`@koromix/koffi-linux-${process.arch}`));
  } catch {
    return undefined;
  }
  for (const flavour of ['linux', 'musl']) {
    const binary = { exports: {} as Koffi };
    try {
      process.dlopen(binary, join(directory, `${flavour}_${process.arch}`, 'koffi.node'));
      return binary.exports;
    } catch {
      // The other C library, or another layout.
    }
  }
  return undefined;
}

export const koffi: Koffi = loadDirectly() ?? (require('koffi') as Koffi);
ffi.isLoaded = true;
