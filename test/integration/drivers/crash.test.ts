/** kill -9 at any moment: what is there afterwards is whole, and the next one to open the store sweeps the rest. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { closeUnpacker, Kit } from '../../../drivers/conformance/kit.ts';
import { loadDriver } from '../../../drivers/index.ts';
import { kernelFs, missing, root } from '../../support/requires.ts';

const ROUNDS = 12;

describe('a process killed at its work', { skip: missing(root, kernelFs('overlay')) }, () => {
  after(closeUnpacker);

  for (const name of ['overlayfs', 'vfs']) {
    test(`leaves whole layers, and what can be swept (${name})`, async () => {
      const module = await loadDriver(name);
      await using kit = await Kit.open(module);
      const furniture = readdirSync(join(kit.directory, 'layers'));
      for (let round = 0; round < ROUNDS; round++) {
        await killAfter(join(import.meta.dirname, 'crash-script.ts'), [name, kit.directory, `${round}`], round * 7);
        await kit.reopen();
        const left = readdirSync(join(kit.directory, 'layers'));
        assert.deepEqual(
          left.filter((entry) => entry.includes('-')),
          [],
          `after round ${round}`,
        );
        for await (const id of kit.driver.list()) {
          const snapshot = id.startsWith('s');
          const tree = await kit.view(snapshot ? [] : [id]);
          if (!snapshot) assert.equal(tree.length, 42, `layer ${id} is whole`);
          await kit.driver.remove(id);
        }
        assert.deepEqual(readdirSync(join(kit.directory, 'layers')), furniture);
      }
    });
  }
});

/** Waits for the script's first word, then some milliseconds, and kills it. */
async function killAfter(script: string, args: readonly string[], milliseconds: number): Promise<void> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  await delay(milliseconds);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(child.signalCode, 'SIGKILL', 'it was still at work');
}
