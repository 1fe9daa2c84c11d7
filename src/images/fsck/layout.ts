/** The store as an OCI image layout. */
import { readFileSync, writeFileSync } from 'node:fs';
import { OCI_LAYOUT } from '../../store-layout.ts';
import type { StoreContext } from '../context.ts';
import { publishNames, renderIndex } from '../layout-index.ts';
import type { Finding } from './finding.ts';

export async function* checkLayout(context: StoreContext): AsyncIterable<Finding> {
  const { paths, metadata } = context;
  if (readText(paths.ociLayout) !== OCI_LAYOUT) {
    yield {
      kind: 'layout',
      subject: 'oci-layout',
      message: 'it is missing or says something else',
      repair: async () => {
        writeFileSync(paths.ociLayout, OCI_LAYOUT, { mode: 0o600, flush: true });
        return 'written again';
      },
    };
  }
  if (readText(paths.index) === renderIndex(context)) return;
  yield {
    kind: 'layout',
    subject: 'index.json',
    message: 'it does not show the names of the store',
    repair: async () => {
      metadata.transaction(() => metadata.settings.count('images'));
      await publishNames(context);
      return 'written again';
    },
  };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
