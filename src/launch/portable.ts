/** What other runtimes can be given: bundles carry no more than the OCI Runtime Specification says. */
import { TslayerError } from '../errors.ts';
import type { ContainerSpec } from './spec.ts';

/** @throws UNSUPPORTED for what would not be the same there */
export function requirePortable(spec: ContainerSpec): void {
  if (spec.userNamespace) {
    throw new TslayerError('UNSUPPORTED', 'a user namespace takes shifted owners, which a bundle cannot carry', {
      hint: 'run it with the built-in launcher, or with --userns host',
    });
  }
  if (spec.process.init) throw new TslayerError('UNSUPPORTED', "--init is the built-in launcher's");
  const shifted = spec.mounts.find(({ options }) => options.includes('idmap'));
  if (!shifted) return;
  throw new TslayerError('UNSUPPORTED', `${shifted.destination}: other runtimes are given no idmapped volumes`);
}
