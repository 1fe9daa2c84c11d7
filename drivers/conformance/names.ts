/** Names, paths and targets: any bytes, as long as a file system takes them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { dir, file, symlink } from './items.ts';
import type { Part } from './suite.ts';

export const names: Part = {
  async 'names that are not UTF-8, as long as can be, with every odd byte'(kit, _t, { maxNameBytes = 255 }) {
    const names = [
      Buffer.from([0xff, 0xfe]),
      Buffer.alloc(maxNameBytes, 0xe9),
      Buffer.from('\n\t\\"\' *?'),
      Buffer.from('.wh'),
      Buffer.from('…'),
    ];
    const stack = await kit.stack(names.map((name) => file(name, name)));
    const target = await kit.mount(undefined, stack);
    const found = readdirSync(target, { encoding: 'buffer' }).sort(Buffer.compare);
    assert.deepEqual(found, [...names].sort(Buffer.compare));
    for (const name of names) assert.deepEqual(readFileSync(Buffer.concat([Buffer.from(`${target}/`), name])), name);
  },

  async 'a name that is too long is refused with the layer, not lost'(kit, _t, { maxNameBytes = 255 }) {
    await assert.rejects(kit.layer([file('n'.repeat(maxNameBytes + 1))]));
  },

  async 'paths of 4000 bytes'(kit) {
    const directories = Array.from({ length: 19 }, (_, depth) => `${depth}`.padStart(199, 'd'));
    const items = directories.map((_, depth) => dir(directories.slice(0, depth + 1).join('/')));
    const deepest = `${directories.join('/')}/${'f'.repeat(199)}`;
    assert.ok(deepest.length >= 3999);
    const stack = await kit.stack([...items, file(deepest, 'deep')]);
    const records = await kit.view(stack);
    assert.equal(records.at(-1)?.path, deepest);
    const { id, path } = await kit.work(stack);
    execFileSync(
      'sh',
      [
        '-ec',
        `${directories.map((name) => `cd ${name}`).join('; ')}; for f in f*; do echo more >> $f; done; mkdir new`,
      ],
      {
        cwd: path,
      },
    );
    const changes = await kit.changes(id, stack);
    assert.deepEqual(
      changes.filter((line) => !line.startsWith('~ 0') || line.includes('/f')),
      changes,
    );
    assert.ok(changes.includes(`~ ${deepest}`));
    assert.ok(changes.includes(`+ ${directories.join('/')}/new`));
  },

  async 'long and odd targets of symbolic links'(kit, _t, { maxTargetBytes = 4000 }) {
    const targets = ['x'.repeat(maxTargetBytes), '/absolute', '../../..', Buffer.from([0xff, 0x2f, 0xfe])];
    const stack = await kit.stack(targets.map((target, at) => symlink(`l${at}`, target)));
    const path = await kit.mount(undefined, stack);
    for (const [at, target] of targets.entries()) {
      assert.deepEqual(readlinkSync(join(path, `l${at}`), { encoding: 'buffer' }), Buffer.from(target));
    }
  },
};
