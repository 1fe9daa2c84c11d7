/** OCI bundles on disk: `config.json` beside a rootfs. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { writeGeneratedFiles } from './container-store.ts';
import { resolveUserIn } from './init/user.ts';
import { toOciConfig } from './oci-config.ts';
import { replaceFile } from './replace-file.ts';
import type { ContainerSpec } from './spec.ts';

/**
 * Writes DIRECTORY/config.json and DIRECTORY/files for any OCI runtime. DIRECTORY/rootfs must be there, mounted: the
 * user's name is looked up in it.
 */
export function writeBundle(spec: ContainerSpec, directory: string): void {
  const base = resolve(directory);
  const places = { rootfs: join(base, 'rootfs'), files: join(base, 'files') };
  mkdirSync(places.files, { recursive: true });
  writeGeneratedFiles(spec, places.files);
  writeConfig(spec, base, places);
}

/** The config alone, for a rootfs and files that lie elsewhere. */
export function writeConfig(
  spec: ContainerSpec,
  directory: string,
  places: { readonly rootfs: string; readonly files: string },
): void {
  const user = resolveUserIn(places.rootfs, spec.process.user, spec.process.additionalGroups);
  const config = toOciConfig(spec, user, places);
  replaceFile(join(directory, 'config.json'), `${JSON.stringify(config, undefined, 2)}\n`, 0o600);
}
