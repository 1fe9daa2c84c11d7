/**
 * A registry in the public internet that redirects into the private network of whoever pulls. In a network namespace
 * any address can be ours, public ones, too.
 */
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { runProgram } from '../../support/peers.ts';
import { program, requires, root } from '../../support/requires.ts';

const SCRIPT = resolve(import.meta.dirname, '../../support/public-network.ts');
const PUBLIC = '198.51.100.7';
const PRIVATE = '10.9.8.7';
const INSIDE = ['169.254.169.254', PRIVATE, '127.0.0.1', '[::1]', 'localhost', '[::ffff:169.254.169.254]'];

test('server-side request forgery: a public registry cannot send us into a private network', async (t) => {
  if (!requires(t, root, program('unshare'), program('ip'))) return;
  const addresses = [PUBLIC, PRIVATE, '169.254.169.254', '203.0.113.5'];
  const script = [
    'ip link set lo up',
    ...addresses.map((address) => `ip addr add ${address}/32 dev lo`),
    `exec "${process.execPath}" "${SCRIPT}" ${PUBLIC},${PRIVATE} ${[...INSIDE, '203.0.113.5'].join()}`,
  ].join('\n');
  const lines = (await runProgram('unshare', ['--net', 'sh', '-ec', script])).trim().split('\n');
  for (const target of INSIDE)
    assert.ok(lines.includes(`${PUBLIC} ${target} DENIED`), `${PUBLIC} to ${target}: ${lines.join('; ')}`);
  // Another public host is what redirects are for; a registry inside may lead to its neighbours.
  assert.ok(lines.includes(`${PUBLIC} 203.0.113.5 got it`), lines.join('; '));
  assert.ok(lines.includes(`${PRIVATE} ${PRIVATE} got it`), lines.join('; '));
});
