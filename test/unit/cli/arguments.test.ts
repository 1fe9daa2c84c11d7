import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Command } from 'commander';
import { exitStatusOf } from '../../../src/cli/exit-status.ts';
import { addGlobals, type GlobalOptions, splitCommand } from '../../../src/cli/globals.ts';
import { COMMANDS, findCommand } from '../../../src/cli/registry.ts';
import { isTslayerError } from '../../../src/errors.ts';

describe('finding the command among the words', () => {
  test('global options may stand before and after it', () => {
    assert.deepEqual(splitCommand(['--json', 'pull', 'alpine', '-q']), {
      name: 'pull',
      rest: ['--json', 'alpine', '-q'],
    });
  });

  test('the value of a global option is not the command', () => {
    assert.deepEqual(splitCommand(['--root', '/r', 'images']), { name: 'images', rest: ['--root', '/r'] });
    assert.deepEqual(splitCommand(['--root=/r', 'images']), { name: 'images', rest: ['--root=/r'] });
  });

  test('there is none after --', () => {
    assert.equal(splitCommand(['--', 'pull']).name, undefined);
  });

  test('a near miss is suggested', () => {
    assert.throws(
      () => findCommand('serv'),
      (error) => isTslayerError(error, 'INVALID_ARGUMENT') && error.hint === 'did you mean serve?',
    );
  });
});

describe('options', () => {
  test('a command keeps its own meaning of a short global option', () => {
    const parser = new Command().option('-q, --queue', 'its own').exitOverride();
    addGlobals(parser);
    parser.parse(['-q', '--quiet'], { from: 'user' });
    assert.deepEqual(parser.opts<GlobalOptions & { queue: boolean }>(), {
      logLevel: 'info',
      color: true,
      queue: true,
      quiet: true,
    });
  });

  test('flags of docker’s that mean nothing here say what to write instead', async () => {
    const run = new Command('run').exitOverride();
    (await findCommand('run').load()).define(run);
    const hint = (...words: string[]): string => {
      try {
        run.parse([...words, 'image'], { from: 'user' });
      } catch (error) {
        if (isTslayerError(error, 'INVALID_ARGUMENT')) return `${error.message}: ${error.hint}`;
        throw error;
      }
      return 'taken';
    };
    assert.match(hint('-p', '80:80'), /--publish.*--network host/);
    assert.match(hint('-P'), /--publish-all/);
    assert.match(hint('--mount', 'type=bind,src=/a,dst=/b'), /-v SOURCE:DESTINATION/);
    assert.match(hint('--restart=always'), /systemd/);
    assert.equal(hint('-d'), 'taken');
    assert.doesNotMatch(run.helpInformation(), /publish/);
  });

  for (const entry of COMMANDS) {
    test(`${entry.name} can be parsed and describes its options`, async () => {
      const parser = new Command(entry.name).description(entry.summary);
      (await entry.load()).define(parser);
      addGlobals(parser);
      for (const { description, hidden, flags } of parser.options) assert.ok(hidden || description, flags);
      assert.match(parser.helpInformation(), new RegExp(`Usage: ${entry.name} `));
    });
  }
});

describe('exit statuses', () => {
  test('are those of the contract', () => {
    assert.equal(exitStatusOf('FAILED'), 1);
    assert.equal(exitStatusOf('INVALID_REFERENCE'), 2);
    assert.equal(exitStatusOf('NOT_FOUND'), 3);
    assert.equal(exitStatusOf('DENIED'), 4);
    assert.equal(exitStatusOf('DIGEST_MISMATCH'), 5);
    assert.equal(exitStatusOf('UNSUPPORTED'), 6);
    assert.equal(exitStatusOf('IN_USE'), 7);
    assert.equal(exitStatusOf('NO_SPACE'), 8);
    assert.equal(exitStatusOf('NETWORK'), 9);
    assert.equal(exitStatusOf('ABORTED'), 130);
  });
});
