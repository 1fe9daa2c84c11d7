/** The embedded registry over a layout that a test fills with images made in memory. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { algorithmOf, type Digest, hexOf } from '../../src/oci/digest.ts';
import { OCI_INDEX } from '../../src/oci/media-types.ts';
import { type Access, serveRegistry } from '../../src/serve/index.ts';
import { MemoryContent } from './memory-images.ts';
import { tempDir } from './temp-dir.ts';

export interface LayoutRegistry extends AsyncDisposable {
  /** As it stands in a reference: `127.0.0.1:40001`. */
  readonly host: string;
  readonly content: MemoryContent;
  /** Requests answered so far, oldest first. */
  readonly requests: Access[];
  /** Writes the content to the layout, with these tags: `{ 'app:1': descriptor }`. */
  publish(tags: Readonly<Record<string, Descriptor>>): void;
  /** Path of a published blob, for damaging it. */
  blobPath(digest: Digest): string;
}

export async function layoutRegistry(): Promise<LayoutRegistry> {
  const directory = tempDir('registry');
  const content = new MemoryContent();
  const requests: Access[] = [];
  const blobPath = (digest: Digest) => join(directory.path, 'blobs', algorithmOf(digest), hexOf(digest));
  const tagged = new Map<string, Descriptor>();
  const publish: LayoutRegistry['publish'] = (tags) => {
    mkdirSync(join(directory.path, 'blobs', 'sha256'), { recursive: true });
    for (const [digest, bytes] of content.blobs) writeFileSync(blobPath(digest), bytes);
    for (const [name, descriptor] of Object.entries(tags)) tagged.set(name, descriptor);
    const manifests = [...tagged].map(([name, descriptor]) => ({
      ...descriptor,
      annotations: { 'org.opencontainers.image.ref.name': name },
    }));
    writeFileSync(join(directory.path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
    writeFileSync(join(directory.path, 'index.json'), JSON.stringify(index));
  };
  publish({});
  const server = await serveRegistry({ layoutDir: directory.path, onRequest: (access) => requests.push(access) });
  return {
    host: server.host,
    content,
    requests,
    publish,
    blobPath,
    async [Symbol.asyncDispose]() {
      await server.close();
      directory[Symbol.dispose]();
    },
  };
}
