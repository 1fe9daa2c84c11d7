import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ALL_CAPABILITIES,
  capabilitiesOf,
  capabilityMask,
  chooseCapabilities,
  DEFAULT_CAPABILITIES,
  parseCapability,
} from '../../../src/launch/capabilities.ts';

const none = { add: [], drop: [], privileged: false };

describe('capabilities', () => {
  test('the default set is docker’s', () => {
    assert.equal(capabilityMask(DEFAULT_CAPABILITIES), 0xa80425fbn);
    assert.deepEqual(chooseCapabilities(none), DEFAULT_CAPABILITIES);
  });

  test('a mask and a set are the same thing', () => {
    assert.deepEqual(capabilitiesOf(capabilityMask(ALL_CAPABILITIES)), ALL_CAPABILITIES);
    assert.equal(capabilityMask(ALL_CAPABILITIES), (1n << 41n) - 1n);
  });

  test('names are taken with or without the prefix, in any case', () => {
    assert.equal(parseCapability('cap_net_admin'), 'NET_ADMIN');
    assert.equal(parseCapability('Net_Admin'), 'NET_ADMIN');
    assert.throws(() => parseCapability('CAP_EVERYTHING'), { code: 'INVALID_ARGUMENT' });
  });

  test('dropping ALL and adding one leaves that one', () => {
    assert.deepEqual(chooseCapabilities({ ...none, drop: ['all'], add: ['NET_RAW'] }), ['NET_RAW']);
  });

  test('adding ALL and dropping one takes that one away', () => {
    const chosen = chooseCapabilities({ ...none, add: ['ALL'], drop: ['SYS_ADMIN'] });
    assert.equal(chosen.length, ALL_CAPABILITIES.length - 1);
    assert.ok(!chosen.includes('SYS_ADMIN'));
  });

  test('a privileged container has all of them', () => {
    assert.deepEqual(chooseCapabilities({ ...none, privileged: true }), ALL_CAPABILITIES);
  });
});
