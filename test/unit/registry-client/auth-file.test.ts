/** The file that `login` writes holds secrets, and so does what a killed one leaves beside it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeAuthFile } from '../../../registry-client/auth/write-auth-file.ts';
import { tempDir } from '../../support/temp-dir.ts';

test('what a killed login left goes with the next one, what a living one writes does not', async () => {
  using directory = tempDir('auth');
  const path = join(directory.path, 'auth.json');
  const dead = spawnSync('true').pid;
  const [left, living] = [`auth.json.${dead}.${randomUUID()}`, `auth.json.${process.pid}.${randomUUID()}`];
  for (const name of [left, living, 'auth.json.bak']) writeFileSync(join(directory.path, name), 'secret');
  await writeAuthFile(path, { auths: { 'registry.example': { auth: 'bWU6c2VzYW1l' } } });
  assert.deepEqual(readdirSync(directory.path).toSorted(), ['auth.json', living, 'auth.json.bak'].toSorted());
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(Object.keys(JSON.parse(readFileSync(path, 'utf8')).auths), ['registry.example']);
});
