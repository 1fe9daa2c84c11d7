import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../registry-client/errors.ts';
import { asTslayerError, isTslayerError, TslayerError } from '../../src/errors.ts';

test('an error of another copy of the module is one of ours', async () => {
  const copy = (await import(
    new URL('../../src/errors.ts?copy', import.meta.url).href
  )) as typeof import('../../src/errors.ts');
  const error = new copy.TslayerError('IN_USE', 'busy', { hint: 'wait' });
  assert.notEqual(copy.TslayerError, TslayerError);
  assert.ok(error instanceof TslayerError);
  assert.ok(isTslayerError(error, 'IN_USE'));
  assert.equal(asTslayerError(error), error);
});

test('subclasses are told apart', () => {
  assert.ok(new RegistryError('NETWORK', 'gone') instanceof TslayerError);
  assert.ok(new RegistryError('NETWORK', 'gone') instanceof RegistryError);
  assert.equal(new TslayerError('NETWORK', 'gone') instanceof RegistryError, false);
  assert.equal(new Error('gone') instanceof TslayerError, false);
  assert.equal(isTslayerError({ code: 'IN_USE' }), false);
});

test('system errors get the code of their errno, others FAILED', () => {
  const full = asTslayerError(Object.assign(new Error('write'), { code: 'ENOSPC' }), 'cannot store the blob');
  assert.equal(full.code, 'NO_SPACE');
  assert.equal(full.message, 'cannot store the blob: write');
  assert.equal(asTslayerError('odd').code, 'FAILED');
});
