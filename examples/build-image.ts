/**
 * An image from scratch, by a program: a directory and a few files become layers, a config says what to run, and the
 * result is pushed to a registry (one of this example's own, on loopback). Needs no root: nothing is unpacked.
 *
 *     node examples/build-image.ts
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTslayer, serveRegistry } from 'tslayer';

const directory = await mkdtemp(join(tmpdir(), 'build-image-'));
await mkdir(join(directory, 'site'));
await writeFile(join(directory, 'site', 'index.html'), '<h1>made by a program</h1>\n');
await using registry = await serveRegistry({ layoutDir: join(directory, 'registry'), writable: true });
try {
  await using tslayer = await openTslayer({ root: join(directory, 'store') });

  const name = `${registry.host}/example/site:1`;
  const image = await tslayer.build(name, {
    layers: [
      { directory: join(directory, 'site'), target: '/srv/site' },
      {
        files: { '/etc/motd': 'hello\n', '/bin/serve': { content: '#!/bin/sh\nexec cat /srv/site/*\n', mode: 0o755 } },
      },
    ],
    changes: ['ENTRYPOINT ["/bin/serve"]', 'WORKDIR /srv/site', 'LABEL made-by=example'],
    epoch: 0,
    unpack: false,
  });
  console.log(`built ${image.name}@${image.digest}`);

  const pushed = await tslayer.push(name);
  console.log(`pushed ${pushed.uploaded} blobs, ${pushed.uploadedBytes} bytes`);

  for (const file of await tslayer.ls(name, '/', { recursive: true })) {
    console.log(`${file.type.padEnd(9)} ${file.mode} ${String(file.size).padStart(4)}  /${file.path}`);
  }
  for await (const chunk of tslayer.cat(name, '/etc/motd')) process.stdout.write(chunk);
} finally {
  await rm(directory, { recursive: true, force: true });
}
