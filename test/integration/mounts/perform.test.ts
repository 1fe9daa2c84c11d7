/** Mounts for real: by the new calls, as on older kernels, with stages private and shared. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { KernelFeatures } from '../../../src/mounts/kernel.ts';
import type { Mount } from '../../../src/mounts/mount.ts';
import { findMount, readMountInfo } from '../../../src/mounts/mountinfo.ts';
import { performMounts } from '../../../src/mounts/perform.ts';
import { sweepStages } from '../../../src/mounts/shared-stages.ts';
import { detachBelow, isMounted, unmount } from '../../../src/mounts/unmount.ts';
import { holdUserNamespace, userNamespaces } from '../../support/in-user-namespace.ts';
import { kernel, kernelFs, program, requires, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';

const NEW: Partial<KernelFeatures> = {};
const NO_LOWERDIR_ADD: Partial<KernelFeatures> = { lowerdirAdd: false, detachedLayers: false };
const OLD: Partial<KernelFeatures> = { mountApi: false, lowerdirAdd: false, detachedLayers: false };

/** A directory whose mounts go before it does. */
function workspace(t: TestContext): string {
  const { path, [Symbol.dispose]: remove } = tempDir('mounts');
  t.after(() => {
    detachBelow(path);
    remove.call(undefined);
  });
  mkdirSync(join(path, 'target'));
  return path;
}

function lowers(directory: string, count: number, prefix = 'l'): string[] {
  return Array.from({ length: count }, (_, index) => {
    const path = join(directory, `${prefix}${index}`);
    mkdirSync(path);
    writeFileSync(join(path, `f${index}`), `${index}`);
    writeFileSync(join(path, 'top'), `${index}`);
    return path;
  });
}

function overlay(lower: readonly string[], upper?: string): Mount {
  const options = lower.map((path) => `lowerdir+=${path}`);
  if (upper !== undefined) {
    mkdirSync(join(upper, 'diff'), { recursive: true });
    mkdirSync(join(upper, 'work'), { recursive: true });
    options.push(`upperdir=${upper}/diff`, `workdir=${upper}/work`);
  }
  return { type: 'overlay', source: 'tslayer', options };
}

describe('performMounts', () => {
  for (const [name, pretend] of Object.entries({
    'new calls': NEW,
    'no lowerdir+': NO_LOWERDIR_ADD,
    'mount(2)': OLD,
  })) {
    test(`an overlay of 2 and of 500 layers, by ${name}`, (t) => {
      if (!requires(t, root, kernelFs('overlay'))) return;
      const directory = workspace(t);
      const target = join(directory, 'target');
      const all = lowers(directory, 500, 'a-name-long-enough-to-overflow-4095-bytes-');
      const before = process.cwd();
      for (const count of [2, 500]) {
        performMounts([overlay(all.slice(0, count), join(directory, `u${count}`))], target, {
          kernel: pretend,
          scratch: directory,
        });
        assert.equal(readdirSync(target).length, count + 1);
        assert.equal(readFileSync(join(target, 'top'), 'utf8'), '0');
        writeFileSync(join(target, 'written'), 'x');
        assert.ok(existsSync(join(directory, `u${count}/diff/written`)));
        assert.equal(unmount(target), true);
        assert.equal(unmount(target), false);
      }
      assert.equal(process.cwd(), before);
      assert.deepEqual(
        readdirSync(directory).filter((entry) => entry.startsWith('names-')),
        [],
      );
    });

    test(`paths with every separator the option parsers know, by ${name}`, (t) => {
      if (!requires(t, root, kernelFs('overlay'))) return;
      const directory = workspace(t);
      const target = join(directory, 'target');
      const odd = join(directory, 'a,b:c\\d=e f"ä');
      mkdirSync(odd);
      performMounts([overlay(lowers(odd, 2), join(odd, 'u'))], target, { kernel: pretend, scratch: directory });
      writeFileSync(join(target, 'written'), 'x');
      assert.ok(existsSync(join(odd, 'u/diff/written')));
      assert.equal(unmount(target), true);
    });

    test(`bind mounts, read-only where asked, by ${name}`, (t) => {
      if (!requires(t, root)) return;
      const directory = workspace(t);
      const target = join(directory, 'target');
      const [source = ''] = lowers(directory, 1);
      performMounts([{ type: 'bind', source, options: ['ro', 'nosuid'] }], target, { kernel: pretend });
      assert.throws(() => writeFileSync(join(target, 'x'), ''), { code: 'EROFS' });
      assert.ok(findMount(target)?.options.includes('nosuid'));
      writeFileSync(join(source, 'still-writable'), '');
      unmount(target);
    });
  }

  test('a worker thread, whose process.chdir does not exist, can use short names too', async (t) => {
    if (!requires(t, root, kernelFs('overlay'))) return;
    const directory = workspace(t);
    const target = join(directory, 'target');
    const layers: Mount = { type: 'bind', source: directory, options: ['ro'], stage: 'layers' };
    const mounts = [layers, overlay(lowers(directory, 300, 'a-rather-long-name-'))];
    const module = new URL('../../../src/mounts/perform.ts', import.meta.url).href;
    const options = { kernel: { lowerdirAdd: false }, scratch: directory };
    const code = `import(${JSON.stringify(module)}).then((m) => m.performMounts(${JSON.stringify(mounts)}, ${JSON.stringify(target)}, ${JSON.stringify(options)}))`;
    const worker = new Worker(code, { eval: true, stderr: true });
    const warnings: string[] = [];
    worker.stderr.on('data', (chunk: Buffer) => warnings.push(chunk.toString()));
    const [status] = await once(worker, 'exit');
    assert.equal(status, 0);
    assert.deepEqual(warnings, []);
    assert.equal(readdirSync(target).length, 301);
  });

  test('a failure leaves the target as it was and says what failed', (t) => {
    if (!requires(t, root, kernelFs('overlay'))) return;
    const directory = workspace(t);
    const target = join(directory, 'target');
    const good: Mount = { type: 'bind', source: directory, options: [] };
    assert.throws(() => performMounts([good, overlay(['/nonexistent/layer'])], target), {
      code: 'NOT_FOUND',
      message: /cannot mount overlay at .*target/,
    });
    assert.equal(isMounted(target), false);
    assert.throws(() => performMounts([{ type: 'nofs', source: 'x', options: [] }], target), { code: 'UNSUPPORTED' });
    assert.throws(() => performMounts([{ type: 'bind', source: 'stage:x', options: [] }], target), /the stage x/);
  });

  test('unmounting what a process works in is IN_USE; detaching it is not', async (t) => {
    if (!requires(t, root)) return;
    const directory = workspace(t);
    const target = join(directory, 'target');
    performMounts([{ type: 'bind', source: directory, options: [] }], target);
    const child = spawn('sleep', ['60'], { cwd: target });
    await once(child, 'spawn');
    t.after(() => child.kill());
    assert.throws(() => unmount(target), { code: 'IN_USE' });
    assert.equal(unmount(target, { detach: true }), true);
    assert.equal(isMounted(target), false);
  });
});

/** An EROFS image with one file. */
function image(directory: string, name: string): string {
  const source = join(directory, `${name}.d`);
  mkdirSync(source);
  writeFileSync(join(source, name), name);
  const path = join(directory, `${name}.erofs`);
  execFileSync('mkfs.erofs', [path, source], { stdio: 'ignore' });
  return path;
}

function stacked(directory: string, upper?: string): Mount[] {
  const stage = (name: string): Mount => ({
    type: 'erofs',
    source: image(directory, name),
    options: ['ro'],
    stage: name,
  });
  return [stage('one'), stage('two'), overlay(['stage:one', 'stage:two'], upper)];
}

describe('stages', () => {
  const needs = [root, kernelFs('overlay'), kernelFs('erofs'), kernel(6, 12), program('mkfs.erofs')];

  for (const [name, pretend] of Object.entries({
    detached: NEW,
    attached: { detachedLayers: false },
    'mount(2)': NO_LOWERDIR_ADD,
  })) {
    test(`image files under an overlay leave no mount of their own (${name})`, (t) => {
      if (!requires(t, ...needs)) return;
      const directory = workspace(t);
      const target = join(directory, 'target');
      performMounts(stacked(directory, join(directory, 'u')), target, { kernel: pretend, scratch: directory });
      assert.deepEqual(readdirSync(target), ['one', 'two']);
      writeFileSync(join(target, 'one'), 'changed');
      const mine = readMountInfo().filter((mount) => mount.mountPoint.startsWith(directory));
      assert.deepEqual(
        mine.map((mount) => mount.mountPoint),
        [target],
      );
      assert.deepEqual(
        readdirSync(directory).filter((entry) => entry.startsWith('stages-')),
        [],
      );
      unmount(target);
    });
  }

  test('two mounts share one stage, which goes with the last of them', (t) => {
    if (!requires(t, ...needs)) return;
    const directory = workspace(t);
    const [first, second, stages] = ['m1', 'm2', 'run/stages'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    for (const path of [first, second]) mkdirSync(path);
    const mounts = stacked(directory);
    performMounts(mounts, first, { stages });
    const device = findMount(join(stages, 'one'))?.device;
    performMounts(mounts, second, { stages });
    assert.equal(findMount(join(stages, 'one'))?.device, device);
    assert.deepEqual(sweepStages(stages), [], 'used stages stay');
    unmount(first, { stages });
    assert.ok(isMounted(join(stages, 'two')));
    unmount(second, { stages });
    assert.deepEqual(readdirSync(stages), ['.lock']);
    assert.equal(
      readMountInfo().some((mount) => mount.mountPoint.startsWith(stages)),
      false,
    );
  });

  test('a stage goes with its last mount, also while another mount namespace has copies of both', async (t) => {
    if (!requires(t, ...needs, program('unshare'))) return;
    const directory = workspace(t);
    const [target, stages] = [join(directory, 'target'), join(directory, 'stages')];
    performMounts(stacked(directory), target, { stages });
    const child = spawn('unshare', ['--mount', 'sh', '-c', 'echo ready; read x; cat "$1/one"', 'sh', target], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [ready] = await once(child.stdout, 'data');
    assert.equal(String(ready), 'ready\n');
    unmount(target, { stages });
    assert.deepEqual(readdirSync(stages), ['.lock']);
    child.stdin.end();
    const [said] = await once(child.stdout, 'data');
    assert.equal(String(said), 'one', 'what the other namespace sees goes on');
    await once(child, 'exit');
  });

  test('a stage that a crash left is used, or swept', (t) => {
    if (!requires(t, ...needs)) return;
    const directory = workspace(t);
    const [target, stages] = [join(directory, 'target'), join(directory, 'stages')];
    const mounts = stacked(directory);
    performMounts(mounts, target, { stages });
    unmount(target); // as a crash would: without looking after the stages
    const device = findMount(join(stages, 'one'))?.device;
    performMounts(mounts, target, { stages });
    assert.equal(findMount(join(stages, 'one'))?.device, device);
    unmount(target);
    assert.deepEqual(sweepStages(stages).sort(), ['one', 'two']);
  });
});

describe('idmapped stages', () => {
  test("a container's owners are shifted, what it writes is stored unshifted", async (t) => {
    if (!requires(t, root, kernelFs('overlay'), kernel(5, 19), program('nsenter'), userNamespaces)) return;
    const directory = workspace(t);
    const target = join(directory, 'target');
    using holder = await holdUserNamespace();
    chmodSync(directory, 0o755);
    lowers(directory, 1);
    for (const part of ['diff', 'work']) mkdirSync(join(directory, 'u', part), { recursive: true });
    const idmap = `idmap=/proc/${holder.pid}/ns/user`;
    const mounts: Mount[] = [
      { type: 'bind', source: directory, options: [idmap], stage: 'layers' },
      {
        type: 'overlay',
        source: 'tslayer',
        options: ['lowerdir+=stage:layers/l0', 'upperdir=stage:layers/u/diff', 'workdir=stage:layers/u/work'],
      },
    ];
    for (const pretend of [NEW, { detachedLayers: false }]) {
      performMounts(mounts, target, { kernel: pretend, scratch: directory });
      assert.equal(statSync(join(target, 'f0')).uid, 100_000);
      const script = 'cd "$1" && echo more >>f0 && mkdir -p made && rm -f top && id -u';
      const said = execFileSync('nsenter', ['-U', '-t', String(holder.pid), 'sh', '-c', script, 'sh', target]);
      assert.equal(said.toString().trim(), '0');
      unmount(target);
      const upper = join(directory, 'u/diff');
      assert.deepEqual(readdirSync(upper).sort(), ['f0', 'made', 'top']);
      for (const name of ['f0', 'made']) assert.equal(statSync(join(upper, name)).uid, 0);
      assert.equal(statSync(join(upper, 'top')).rdev, 0);
      assert.ok(statSync(join(upper, 'top')).isCharacterDevice());
    }
    assert.equal(process.geteuid?.(), 0);
    writeFileSync(join(directory, 'mine'), '');
    assert.equal(statSync(join(directory, 'mine')).uid, 0, 'the thread acts as root again');
  });
});
