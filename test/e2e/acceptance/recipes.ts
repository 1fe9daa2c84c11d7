/** The images that acceptance is about: what they are made of, and what runs in them. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { HARD_CHANGES } from '../../support/hard-layers.ts';
import { makeHardTree } from '../../support/hard-tree.ts';
import { fixtures, fixturesDirectory, program, type Requirement } from '../../support/requires.ts';
import { tarBytes } from '../../support/tar-bytes.ts';
import type { Form, Variant } from './layouts.ts';
import { manyLayers } from './many-layers.ts';

export interface Recipe {
  readonly name: string;
  readonly needs: readonly Requirement[];
  /** How the layers travel. */
  readonly form: Form;
  /** What skopeo is told beside source and destination. */
  readonly push: readonly string[];
  /** Whose tree is the measure. Default: umoci's. */
  readonly unpackedBy?: 'tar';
  /** @param directory for scratch files */
  readonly make: (directory: string) => Variant[];
  readonly command: readonly string[];
  /** On standard output. */
  readonly says: RegExp;
}

const SIXTY = 60;

function fixtureTar(name: string): Buffer {
  return gunzipSync(readFileSync(join(fixturesDirectory, name)));
}

/** A release as one of Docker's manifests, as zstd, as an index: an image comes in many shapes. */
function alpine(version: string, form: Form, push: readonly string[], alsoArm = false): Recipe {
  const file = (machine: string): string => `alpine-minirootfs-${version}-${machine}.tar.gz`;
  return {
    name: `alpine:${version}`,
    needs: [fixtures(...['x86_64', ...(alsoArm ? ['aarch64'] : [])].map(file))],
    form,
    push,
    make: () => [
      ...(alsoArm ? [{ architecture: 'arm64', tars: [fixtureTar(file('aarch64'))] }] : []),
      { architecture: 'amd64', tars: [fixtureTar(file('x86_64'))] },
    ],
    command: ['sh', '-c', 'cat /etc/alpine-release; apk --version'],
    says: new RegExp(`^${version.replaceAll('.', '\\.')}\napk-tools 2\\.`),
  };
}

const debian: Recipe = {
  name: 'debian:bookworm',
  needs: [program('mmdebstrap')],
  form: 'plain',
  push: [],
  make: (directory) => [{ architecture: 'amd64', tars: [debootstrap(directory)] }],
  command: ['bash', '-c', '. /etc/os-release; echo $ID $VERSION_CODENAME; ls -l /bin/mount | cut -c1-10'],
  says: /^debian bookworm\n-rwsr-xr-x\n$/,
};

/** Whether Debian's packages can be fetched: behind a proxy nobody can tell but mmdebstrap. */
async function debianAnswers(): Promise<boolean> {
  if (process.env.http_proxy) return true;
  const request = fetch('http://deb.debian.org/debian/dists/bookworm/InRelease', {
    method: 'HEAD',
    signal: AbortSignal.timeout(5000),
  });
  return request.then(
    ({ ok }) => ok,
    () => false,
  );
}

/** Packages are unpacked, not configured: a few seconds, and files, links, devices and setuid programs all the same. */
function debootstrap(directory: string): Buffer {
  const file = join(directory, 'debian.tar');
  const packages = ['base-files', 'base-passwd', 'bash', 'coreutils', 'dash', 'login', 'mount', 'iputils-ping'];
  const args = ['--variant=extract', '--quiet', `--include=${packages.join()}`, 'bookworm', file];
  execFileSync('mmdebstrap', args, { stdio: 'pipe' });
  return readFileSync(file);
}

const BUSYBOX = 'busybox-musl-amd64.tar.gz';

const sixty: Recipe = {
  name: 'sixty:layers',
  needs: [fixtures(BUSYBOX)],
  form: 'gzip',
  push: [],
  make: () => [{ architecture: 'amd64', tars: [fixtureTar(BUSYBOX), ...manyLayers(SIXTY - 1, 20_240_229)] }],
  command: ['sh', '-c', 'find /srv -type f | wc -l; find /srv -name ".wh*"'],
  says: /^[1-9][0-9]+\n$/,
};

const hard: Recipe = {
  name: 'hard:pax',
  needs: [fixtures(BUSYBOX), program('setfacl'), program('setcap')],
  form: 'gzip',
  push: [],
  make: (directory) => {
    // Others fill holes: 5 GB of them are left to the image below.
    const options = ['--format=pax', '--xattrs', '--xattrs-include=*', '--exclude=sparse/large'];
    const tars = [fixtureTar(BUSYBOX), hardTar(directory, 300, options), tarBytes(HARD_CHANGES)];
    return [{ architecture: 'amd64', tars }];
  },
  command: ['sh', '-c', 'cat /links/newer /links/b /devices/null; stat -c %a /owners/suid; ls -A /names'],
  says: /^newfirst\nnow a file7755\nonly\n$/,
};

/** GNU's own dialect: names, numbers and holes have other forms there, and umoci stops at the first sparse file. */
const gnu: Recipe = {
  name: 'hard:gnu',
  needs: hard.needs,
  form: 'gzip',
  push: [],
  unpackedBy: 'tar',
  make: (directory) => [
    { architecture: 'amd64', tars: [fixtureTar(BUSYBOX), hardTar(directory, 3, ['--format=gnu', '--sparse'])] },
  ],
  command: ['sh', '-c', 'stat -c %s /sparse/large; cat /links/b; ls /names | wc -l'],
  says: /^5368709120\nfirst\n[0-9]+\n$/,
};

function hardTar(directory: string, crowd: number, options: readonly string[]): Buffer {
  const [source, file] = [join(directory, 'hard'), join(directory, 'hard.tar')];
  makeHardTree(source, { crowd });
  execFileSync('tar', [...options, '-cf', file, '-C', source, '.']);
  return readFileSync(file);
}

const isOnline = await debianAnswers();
if (!isOnline) process.stderr.write('no Debian mirror answers: its image is left out\n');

export const RECIPES: readonly Recipe[] = [
  alpine('3.18.9', 'gzip', ['--format', 'v2s2']),
  alpine('3.19.4', 'zstd', ['--preserve-digests']),
  alpine('3.20.3', 'gzip', ['--all'], true),
  ...(isOnline ? [debian] : []),
  sixty,
  hard,
  gnu,
];
