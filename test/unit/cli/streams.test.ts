/** What a command says arrives whole and in order, whatever the stream is. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { tempDir } from '../../support/temp-dir.ts';

const MODULE = join(import.meta.dirname, '../../../src/cli/streams.ts');
/** Lines of every length, more than a pipe takes at once. */
const PROGRAM = `
  import { out } from ${JSON.stringify(MODULE)};
  out.onError = (error) => { process.stderr.write(error.code); process.exit(3); };
  for (let i = 0; i < 2000; i++) out.write(String(i).padEnd(i % 200) + '\\n');
  if (process.argv[1]) process.stderr.write(String(out.isTerminal));
  else out.stream.end();
`;
const EXPECTED = Array.from({ length: 2000 }, (_, i) => `${String(i).padEnd(i % 200)}\n`).join('');
const node = [process.execPath, '--input-type=module', '-e', PROGRAM] as const;

function shell(script: string, ...words: string[]): ReturnType<typeof spawnSync> & { stdout: string; stderr: string } {
  return spawnSync('/bin/bash', ['-c', script, 'bash', ...node, ...words], { encoding: 'utf8' });
}

describe('a standard stream', () => {
  test('that is a file', () => {
    using directory = tempDir('streams');
    const path = join(directory.path, 'out');
    const file = openSync(path, 'w');
    const { stderr } = spawnSync(node[0], node.slice(1), { stdio: ['ignore', file, 'pipe'], encoding: 'utf8' });
    closeSync(file);
    assert.equal(stderr, '');
    assert.equal(readFileSync(path, 'utf8'), EXPECTED);
  });

  test('that is a pipe whose reader is slow', () => {
    assert.equal(shell('"$@" | (sleep 0.3; cat)').stdout, EXPECTED);
  });

  test('that is a full pipe which does not wait', () => {
    // Shared with a program that made it so, and filled it to the last bytes.
    const fill = `process.stdout.write('x'.repeat(65530)); process.kill(process.pid, 'SIGKILL')`;
    const { stdout } = shell(`{ "$1" -e "${fill}"; "$@"; } | (sleep 0.5; cat)`);
    assert.equal(stdout.replace(/^x+/, ''), EXPECTED);
  });

  test('that fails says why', () => {
    assert.deepEqual([shell('"$@" > /dev/full').stderr, shell('"$@" > /dev/full').status], ['ENOSPC', 3]);
    assert.match(shell('set -o pipefail; "$@" | true; echo $?').stdout, /^3$/m);
  });

  test('is a terminal only where there is one', () => {
    assert.equal(shell('"$@" > /dev/null', 'ask').stderr, 'false');
    assert.equal(shell('"$@" | cat', 'ask').stderr, 'false');
    // script(1) runs its command by $SHELL, and what %q writes is only for bash to read.
    const inTerminal = 'SHELL=/bin/bash script -qec "$(printf "%q " "$@")" /dev/null 2>&1';
    assert.match(shell(inTerminal, 'ask').stdout, /true\s*$/);
  });
});
