/** Drivers from outside that break their interface: every mistake has an error that names the driver and the method. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DriverModule, StorageDriver } from '../../../drivers/driver.ts';
import { guardModule } from '../../../drivers/outside/guard.ts';
import { TslayerError } from '../../../src/errors.ts';
import { collect } from '../../support/collect.ts';

const APPLICATION = {
  sink: { module: 'file:///sink.js', options: {}, ownThread: false },
  commit: async () => undefined,
  abort: async () => undefined,
};

const GOOD: StorageDriver = {
  name: 'bad',
  stacking: 'independent',
  apply: async () => APPLICATION,
  prepare: async () => undefined,
  mounts: async () => [{ type: 'bind', source: '/x', options: ['ro'] }],
  async *changes() {
    yield { kind: 'deleted', path: Buffer.from('x') };
  },
  usage: async () => ({ bytes: 1, inodes: 1 }),
  remove: async () => undefined,
  async *list() {
    yield 'a1';
  },
};

/** Overrides may be of any form: what is tested is that they are noticed. */
function moduleOf(overrides: object, probe: unknown = async () => ({ available: true, reason: '', features: {} })) {
  const module = { name: 'bad', summary: '', probe, open: async () => ({ ...GOOD, ...overrides }) };
  return guardModule(module as unknown as DriverModule, 'bad');
}

describe('a driver from outside', () => {
  test('that keeps its interface is passed through, under the name that its store knows', async () => {
    const module = guardModule({ ...moduleOf({}), name: 'bad' }, '/its/path.js');
    const driver = await module.open('/nowhere');
    assert.deepEqual([module.name, driver.name], ['/its/path.js', '/its/path.js']);
    assert.deepEqual(await collect(driver.list()), ['a1']);
    assert.deepEqual(await collect(driver.changes('a1', [])), [{ kind: 'deleted', path: Buffer.from('x') }]);
    assert.deepEqual(await driver.usage('a1'), { bytes: 1, inodes: 1 });
    assert.equal((await driver.apply('a1', [], { durable: false })).sink, APPLICATION.sink);
    assert.equal(driver.verify, undefined);
    assert.equal(driver.readFile, undefined);
  });

  test('whose probe fails, says nothing or nonsense does not work here', async () => {
    const probes: Record<string, [unknown, RegExp]> = {
      throws: [() => assert.fail('boom'), /boom/],
      rejects: [() => Promise.reject('text'), /text/],
      'says nothing': [async () => undefined, /breaks its interface in probe/],
      'says nonsense': [async () => ({ available: 1, reason: '', features: {} }), /available/],
    };
    for (const [how, [probe, message]] of Object.entries(probes)) {
      const { available, reason } = await moduleOf({}, probe).probe('/nowhere');
      assert.equal(available, false, how);
      assert.match(reason, message, how);
    }
  });

  test('whose probe never answers does not work here', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const probing = moduleOf({}, () => new Promise(() => undefined)).probe('/nowhere');
    t.mock.timers.tick(30_000);
    assert.match((await probing).reason, /no answer in 30 seconds/);
  });

  test('that opens as something else is refused', async () => {
    for (const [overrides, message] of [
      [{ stacking: 'odd' }, /bad breaks its interface in open: stacking/],
      [{ remove: undefined }, /open: remove/],
      [{ verify: 'yes' }, /open: verify/],
    ] as const) {
      await assert.rejects(moduleOf(overrides).open('/nowhere'), { code: 'FAILED', message });
    }
    const throwing = { ...moduleOf({}), open: () => Promise.reject(new TypeError('cannot read x')) };
    const message = 'the driver bad failed in open: cannot read x';
    await assert.rejects(guardModule(throwing, 'bad').open('/nowhere'), { code: 'FAILED', message });
  });

  test('that answers in another form is told which method it was', async () => {
    const answers: Record<string, [object, (driver: StorageDriver) => Promise<unknown>]> = {
      apply: [{ apply: async () => ({ ...APPLICATION, sink: {} }) }, (d) => d.apply('a1', [], { durable: false })],
      mounts: [{ mounts: async () => [{ type: 'bind' }] }, (d) => d.mounts('a1', [], {})],
      usage: [{ usage: async () => ({ bytes: -1, inodes: 0 }) }, (d) => d.usage('a1')],
      changes: [
        {
          changes: async function* () {
            yield { kind: 'added', path: 'x' };
          },
        },
        (d) => collect(d.changes('a1', [])),
      ],
    };
    for (const [method, [overrides, call]] of Object.entries(answers)) {
      const driver = await moduleOf(overrides).open('/nowhere');
      await assert.rejects(call(driver), {
        code: 'FAILED',
        message: new RegExp(`bad breaks its interface in ${method}`),
      });
    }
  });

  test('that fails is named, its errno kept, and its own TslayerError as it is', async () => {
    const full = Object.assign(new Error('no room'), { code: 'ENOSPC' });
    const driver = await moduleOf({
      prepare: () => Promise.reject(full),
      remove: () => Promise.reject(new TslayerError('IN_USE', 'mounted')),
      list: () => undefined,
    }).open('/nowhere');
    const message = 'the driver bad failed in prepare: no room';
    await assert.rejects(driver.prepare('a1', []), { code: 'NO_SPACE', message });
    await assert.rejects(driver.remove('a1'), { code: 'IN_USE', message: 'mounted' });
    await assert.rejects(collect(driver.list()), { code: 'FAILED', message: /failed in list/ });
  });
});
