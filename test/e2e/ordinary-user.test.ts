/** An ordinary user with subordinate ids: own store, own namespace, no privilege. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { packLayer } from '../../scripts/demo/layout.ts';
import { type Finished, tslayer } from '../support/cli.ts';
import { forAllUsers } from '../support/for-all-users.ts';
import { baseLayer, type ImageServer, serveImages } from '../support/image-server.ts';
import { program, requires, root } from '../support/requires.ts';

const USER = `tslayer-test-${process.pid}`;
const NEEDED = [root, program('useradd'), program('newuidmap'), program('setpriv')] as const;

let server: ImageServer;
let image: string;
let home: string | undefined;

before(async () => {
  const app = await packLayer([{ path: 'app/' }, { path: 'app/greeting', content: 'hello\n' }], 'app');
  const config = { Env: ['PATH=/bin'], Cmd: ['cat', '/app/greeting'] };
  server = await serveImages([{ name: 'demo/app:1', layers: [await baseLayer(), app], config }]);
  image = `${server.host}/demo/app:1`;
  if (NEEDED.every((requirement) => requirement() === undefined)) home = addUser();
});

after(async () => {
  await server[Symbol.asyncDispose]();
  if (home !== undefined) spawnSync('userdel', ['--remove', USER]);
});

/** A user as useradd(8) makes them; where it gives no subordinate ids, usermod(8) does. */
function addUser(): string {
  assert.equal(spawnSync('useradd', ['--create-home', USER]).status, 0);
  spawnSync('usermod', ['--add-subuids', '1000000-1065535', '--add-subgids', '1000000-1065535', USER]);
  return join('/home', USER);
}

const CLI = [forAllUsers.node, join(forAllUsers.support, 'tslayer-from-source.ts')];

function asUser(...args: string[]): Promise<Finished> {
  const become = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--init-groups', '--'];
  const env = { HOME: home, XDG_RUNTIME_DIR: undefined, XDG_CACHE_HOME: undefined };
  return tslayer(args, { command: [...forAllUsers.prefix, ...become, ...CLI], env });
}

async function succeed(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await asUser(...args);
  assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

describe('an ordinary user', () => {
  test('pulls, runs, looks, and removes', async (t) => {
    if (!requires(t, ...NEEDED)) return;
    await succeed('pull', image);
    const { store } = JSON.parse(await succeed('info', '--json')) as { store: { root: string; driver: string } };
    assert.equal(store.root, join(home ?? '', '.local/share/tslayer'));
    assert.equal(store.driver, 'overlayfs');
    assert.equal(await succeed('run', '--rm', image), 'hello\n');
    assert.equal(await succeed('run', '--rm', image, 'id', '-u'), '0\n');
    const failed = await asUser('run', '--rm', image, 'sh', '-c', 'exit 9');
    assert.equal(failed.status, 9, failed.stderr);
    await succeed('df');
    await succeed('rmi', image);
    assert.equal(await succeed('fsck'), 'clean\n');
  });

  test('sees mounts in the namespace of unshare, and is told so elsewhere', async (t) => {
    if (!requires(t, ...NEEDED)) return;
    await succeed('pull', image);
    const outside = await asUser('mount', image);
    assert.equal(outside.status, 4);
    assert.match(outside.stderr, /hint: .*tslayer unshare/);
    const cli = CLI.join(' ');
    const script = `at=$(${cli} mount --name box ${image}) && cat $at/app/greeting && echo x > $at/app/new && ${cli} diff box && ${cli} umount box`;
    assert.equal(await succeed('unshare', 'sh', '-c', script), 'hello\nC /app\nA /app/new  2 B\nbox\n');
  });
});
