/** The filter that a program gets. Most get the same one, which is kept compiled: that costs as much as starting it. */
import { type CapabilityName, capabilityMask, DEFAULT_CAPABILITIES } from '../capabilities.ts';
import { DEFAULT_FILTERS } from './default-filters.ts';
import type { SeccompProfile } from './profile.ts';

/** A program for seccomp(2). */
export async function filterFor(
  seccomp: SeccompProfile | 'default',
  capabilities: readonly CapabilityName[],
): Promise<Buffer> {
  const usual = seccomp === 'default' && capabilityMask(capabilities) === capabilityMask(DEFAULT_CAPABILITIES);
  const compiled = usual ? DEFAULT_FILTERS[process.arch] : undefined;
  if (compiled !== undefined) return Buffer.from(compiled, 'base64');
  const [{ compileProfile }, { profileOf }] = await Promise.all([import('./compile.ts'), import('./choose.ts')]);
  return compileProfile(profileOf(seccomp, capabilities));
}
