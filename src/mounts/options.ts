/** Splits a mount's options into what concerns this mount alone and what its file system is told. */
import { TslayerError } from '../errors.ts';
import {
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
} from '../sys/mount-api.ts';
import type { Mount } from './mount.ts';

export interface MountOptions {
  /** MOUNT_ATTR_* for the file-descriptor based calls. */
  readonly attributes: number;
  /** The same as MS_* for mount(2). */
  readonly flags: number;
  readonly recursive: boolean;
  readonly remount: boolean;
  /** Path of a user namespace. */
  readonly idmap: string | undefined;
  /** For the file system, in order; `value` is undefined for bare flags. */
  readonly parameters: readonly Parameter[];
}

export interface Parameter {
  readonly key: string;
  readonly value: string | undefined;
}

const MS_NOATIME = 1024;

const ATTRIBUTES: Readonly<Record<string, readonly [attribute: number, flag: number]>> = {
  rw: [0, 0],
  ro: [MOUNT_ATTR_RDONLY, MS_RDONLY],
  nosuid: [MOUNT_ATTR_NOSUID, MS_NOSUID],
  nodev: [MOUNT_ATTR_NODEV, MS_NODEV],
  noexec: [MOUNT_ATTR_NOEXEC, MS_NOEXEC],
  noatime: [MOUNT_ATTR_NOATIME, MS_NOATIME],
};

export function parseOptions(mount: Mount): MountOptions {
  let [attributes, flags, recursive, remount] = [0, 0, false, false];
  let idmap: string | undefined;
  const parameters: Parameter[] = [];
  for (const option of mount.options) {
    const attribute = ATTRIBUTES[option];
    if (attribute) {
      attributes |= attribute[0];
      flags |= attribute[1];
    } else if (option === 'rbind') recursive = true;
    else if (option === 'remount') remount = true;
    else if (option.startsWith('idmap=')) idmap = option.slice('idmap='.length);
    else parameters.push(parameterOf(option));
  }
  if (mount.type === 'bind' && parameters.length > 0) {
    throw new TslayerError('INVALID_ARGUMENT', `a bind mount has no option ${JSON.stringify(parameters[0]?.key)}`);
  }
  return { attributes, flags, recursive, remount, idmap, parameters };
}

/** Splits at the first `=`: `lowerdir+=/a=b` is the key `lowerdir+`. */
function parameterOf(option: string): Parameter {
  const at = option.indexOf('=');
  return at === -1 ? { key: option, value: undefined } : { key: option.slice(0, at), value: option.slice(at + 1) };
}

/** A value for mount(2)'s one comma-separated string; file systems that unescape take a backslash before each. */
export function joinParameters(parameters: readonly Parameter[]): string {
  return parameters.map(({ key, value }) => (value === undefined ? key : `${key}=${value}`)).join(',');
}
