import assert from 'node:assert/strict';
import { closeSync, linkSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { walkTree } from '../../../src/sys/walk.ts';
import { compareTrees, snapshotTree } from '../../support/tree-snapshot.ts';

describe('walkTree', () => {
  test('visits parents first, siblings by bytes, and leaves directories after their content', (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'tslayer-walk-'));
    t.after(() => rmSync(directory, { recursive: true }));
    mkdirSync(join(directory, 'a/x'), { recursive: true });
    writeFileSync(join(directory, 'a.b'), '');
    writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0x41])]), '');
    symlinkSync('/etc', join(directory, 'b'));
    const fd = openSync(directory, 'r');
    const seen = [...walkTree(fd)].map((visit) => `${visit.event} ${visit.path.toString('latin1')}`);
    closeSync(fd);
    assert.deepEqual(seen, [
      'entry ',
      'entry a',
      'entry a/x',
      'leave a/x',
      'leave a',
      'entry a.b',
      'entry b',
      'entry \u00ffA',
      'leave ',
    ]);
  });

  test('passes over what descend = false excludes, and closes its descriptors when left early', (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'tslayer-walk-'));
    t.after(() => rmSync(directory, { recursive: true }));
    mkdirSync(join(directory, 'a/b/c'), { recursive: true });
    const fd = openSync(directory, 'r');
    t.after(() => closeSync(fd));
    const seen: string[] = [];
    for (const visit of walkTree(fd)) {
      if (visit.event === 'entry') seen.push(visit.path.toString());
      if (visit.path.toString() === 'a') visit.descend = false;
    }
    assert.deepEqual(seen, ['', 'a']);
    let deepest = -1;
    const again = openSync(directory, 'r');
    t.after(() => closeSync(again));
    for (const visit of walkTree(again)) {
      deepest = visit.fd;
      if (visit.path.toString() === 'a/b/c') break;
    }
    assert.throws(() => closeSync(deepest), { code: 'EBADF' });
  });
});

describe('snapshotTree', () => {
  test('finds every kind of difference', (t) => {
    const [a, b] = [mkdtempSync(join(tmpdir(), 'tslayer-a-')), mkdtempSync(join(tmpdir(), 'tslayer-b-'))];
    t.after(() => [a, b].forEach((path) => void rmSync(path, { recursive: true })));
    for (const root of [a, b]) {
      writeFileSync(join(root, 'content'), root);
      writeFileSync(join(root, 'link'), 'x');
      symlinkSync(root, join(root, 'symlink'));
    }
    linkSync(join(a, 'link'), join(a, 'link2'));
    writeFileSync(join(b, 'link2'), 'x');
    writeFileSync(join(b, 'extra'), 'x');
    const found = compareTrees(
      snapshotTree(a).map((record) => ({ ...record, mtime: '' })),
      snapshotTree(b).map((record) => ({ ...record, mtime: '' })),
    ).join('\n');
    assert.match(found, /"content": content:/);
    assert.match(found, /"link2": linkedTo: expected link, found link2/);
    assert.match(found, /"symlink": target:/);
    assert.match(found, /unexpected: file "extra"/);
    assert.equal(found.split('\n').length, 4);
  });
});
