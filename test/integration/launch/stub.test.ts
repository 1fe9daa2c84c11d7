/** The process that performs system calls for another: what comes back, and what becomes of it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { socketPair } from '../../../src/sys/fd-passing.ts';
import { ProcessGone } from '../../../src/sys/remote/calls.ts';
import { Output } from '../../../src/sys/remote/messages.ts';
import { RemoteProcess } from '../../../src/sys/remote/process.ts';
import { stubProgram } from '../../../src/sys/remote/stub.ts';
import { program, requires } from '../../support/requires.ts';

const ARM64_RUNNER = 'qemu-aarch64-static';
const AT_FDCWD = -100;

class Stub implements Disposable {
  readonly child: ChildProcess;
  readonly remote: RemoteProcess;
  #gone = false;
  readonly #directory: string = mkdtempSync(join(tmpdir(), 'stub-'));

  constructor(arch: string = process.arch) {
    const path = join(this.#directory, 'stub');
    writeFileSync(path, stubProgram(arch));
    chmodSync(path, 0o700);
    const [mine, theirs] = socketPair();
    const command = arch === process.arch ? [path] : [ARM64_RUNNER, path];
    this.child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit', theirs], env: {} });
    closeSync(theirs);
    this.remote = new RemoteProcess(mine);
  }

  hangUp(): void {
    if (!this.#gone) this.remote[Symbol.dispose]();
    this.#gone = true;
  }

  [Symbol.dispose](): void {
    this.hangUp();
    this.child.kill('SIGKILL');
    rmSync(this.#directory, { recursive: true });
  }
}

describe('a stub', () => {
  test('performs calls in another process', () => {
    using stub = new Stub();
    assert.equal(Number(stub.remote.readlink('/proc/self')), stub.child.pid);
    stub.remote.umask(0o27);
    assert.equal(stub.remote.umask(0), 0o27);
    const file = stub.remote.open('/proc/self/stat', 0);
    assert.equal(stub.remote.read(file).toString().split(' ')[0], String(stub.child.pid));
    stub.remote.close(file);
    assert.equal(stub.remote.open('/proc/self/stat', 0), file, 'closed before the next call');
  });

  test('tells what failed, and performs nothing after it', () => {
    using stub = new Stub();
    assert.throws(() => stub.remote.open('/nothing/here', 0), { code: 'ENOENT', message: /"\/nothing\/here"/ });
    const calls = [
      { name: 'chdir', args: ['/nothing'] },
      { name: 'chdir', args: ['/proc'] },
    ] as const;
    assert.throws(() => stub.remote.callAll(calls), { code: 'ENOENT' });
    assert.equal(stub.remote.currentDirectory(), process.cwd());
    assert.throws(() => stub.remote.chdir('/proc\0/self'), { code: 'EINVAL' });
  });

  test('takes many files, and arguments of megabytes', () => {
    using stub = new Stub();
    const own = openSync('/proc/self/stat', 'r');
    try {
      const passed = stub.remote.pass(Array.from({ length: 300 }, () => own));
      assert.equal(new Set(passed).size, 300);
      const last = passed.at(-1);
      assert.equal(stub.remote.read(last!).toString().split(' ')[0], String(process.pid));
    } finally {
      closeSync(own);
    }
    const large = new Output(Buffer.alloc(3 * 1024 * 1024, 'x'));
    stub.remote.call('readlinkat', [AT_FDCWD, '/proc/self', large, 100]);
    assert.equal(large.bytes.length, 3 * 1024 * 1024);
    assert.equal(large.bytes.at(-1), 'x'.charCodeAt(0));
    assert.throws(() => stub.remote.write(1, 'x'.repeat(9 * 1024 * 1024)), { code: 'E2BIG' });
  });

  test('becomes a program with its arguments and environment', async () => {
    using stub = new Stub();
    const text: Buffer[] = [];
    stub.child.stdout?.on('data', (data: Buffer) => text.push(data));
    assert.throws(() => stub.remote.become('/nothing', ['x'], []), { code: 'ENOENT' });
    stub.remote.become('/bin/sh', ['sh', '-c', 'echo "$0 $1 $WORD"', 'é', ''], ['WORD=word']);
    await once(stub.child, 'close');
    assert.equal(Buffer.concat(text).toString(), 'é  word\n');
  });

  test('ends with the socket, and is missed when it was killed', async () => {
    using left = new Stub();
    left.hangUp();
    assert.deepEqual(await once(left.child, 'exit'), [125, null]);
    using killed = new Stub();
    killed.child.kill('SIGKILL');
    await once(killed.child, 'exit');
    assert.throws(() => killed.remote.umask(0), ProcessGone);
  });

  test('does so on arm64, too', (t) => {
    if (!requires(t, program(ARM64_RUNNER))) return;
    using stub = new Stub('arm64');
    // Only calls that both architectures number alike can be asked for from here.
    assert.throws(() => stub.remote.call('close_range', [-1, 0, 0]), { code: 'EINVAL' });
  });
});
