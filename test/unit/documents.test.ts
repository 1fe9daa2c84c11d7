/** The documents tell the truth: links lead somewhere, programs compile, commands and flags are there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { Command } from 'commander';
import { addGlobals } from '../../src/cli/globals.ts';
import { COMMANDS } from '../../src/cli/registry.ts';
import { tempDir } from '../support/temp-dir.ts';

const root = join(import.meta.dirname, '../..');
const DOCUMENTS = globSync('**/*.md', { cwd: root, exclude: ['node_modules/**', 'dist/**', '.tmp/**'] }).sort();
const textOf = (file: string) => readFileSync(join(root, file), 'utf8');

interface Block {
  readonly language: string;
  readonly code: string;
}

function blocksOf(file: string): Block[] {
  const fences = textOf(file).matchAll(/^```(\w+)\n(.*?)^```$/gms);
  return [...fences].map(([, language = '', code = '']) => ({ language, code }));
}

test('links lead somewhere', () => {
  for (const file of DOCUMENTS) {
    for (const [, target = ''] of textOf(file).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      assert.ok(existsSync(join(root, dirname(file), target)), `${file}: ${target} is not there`);
    }
  }
});

test('the README names every command', () => {
  const readme = textOf('README.md');
  for (const { name } of COMMANDS) assert.match(readme, new RegExp(`\`(?:tslayer )?${name}\\b`), name);
});

test('TypeScript in the documents compiles against the public entries', () => {
  using temp = tempDir('documents');
  const exported = Object.entries(JSON.parse(textOf('package.json')).exports as Record<string, { types: string }>);
  const paths = exported.flatMap(([name, { types }]) =>
    types === undefined
      ? []
      : [[join('tslayer', name), [join(root, types.replace(/^\.\/dist\/types\/(.*)\.d\.ts$/, '$1.ts'))]]],
  );
  let count = 0;
  for (const file of DOCUMENTS) {
    const directory = join(temp.path, file.replaceAll('/', '-'));
    for (const [index, { language, code }] of blocksOf(file).entries()) {
      if (language !== 'ts') continue;
      mkdirSync(directory, { recursive: true });
      const [, name = `block-${index + 1}.ts`] = /^\/\/ (\S+\.ts)$/m.exec(code.split('\n', 1)[0] ?? '') ?? [];
      writeFileSync(join(directory, name), code);
      count++;
    }
  }
  assert.ok(count > 10, `only ${count} programs were found`);
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      rootDir: '/',
      paths: Object.fromEntries(paths),
      declaration: false,
      noUnusedLocals: false,
      noUnusedParameters: false,
      isolatedDeclarations: false,
    },
    include: ['.'],
  };
  writeFileSync(join(temp.path, 'tsconfig.json'), JSON.stringify(config));
  writeFileSync(join(temp.path, 'package.json'), '{"type":"module"}');
  symlinkSync(join(root, 'node_modules'), join(temp.path, 'node_modules'));
  const { stdout, status } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', temp.path], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});

describe('command lines in the documents', () => {
  for (const file of DOCUMENTS) {
    const lines = blocksOf(file)
      .filter(({ language }) => language === 'console' || language === 'sh')
      .flatMap(({ code }) => commandLines(code));
    if (lines.length === 0) continue;
    test(file, async () => {
      for (const words of lines) await checkWords(words);
    });
  }
});

/** Each `tslayer …` of a block, as words; quoted ones lose their spaces, which is enough to find flags. */
function commandLines(code: string): string[][] {
  const joined = code.replaceAll('\\\n', ' ').replace(/'[^']*'|"[^"]*"/g, 'quoted');
  return [...joined.matchAll(/^(?:[$#] |.*\$\(|.*\| |.*(?:npx|sudo) )*tslayer ([^|;&)#\n]*)/gm)].map(([, rest = '']) =>
    rest.trim().split(/\s+/),
  );
}

async function checkWords(words: readonly string[]): Promise<void> {
  const line = `tslayer ${words.join(' ')}`;
  const entry = COMMANDS.find(({ name }) => words.includes(name));
  assert.ok(entry, `${line}: no such command`);
  const command = new Command(entry.name);
  (await entry.load()).define(command);
  addGlobals(command);
  const at = words.indexOf(entry.name);
  // What follows the image of `run`, or the name of `exec`, is another program's.
  const own = ownWords(command, words.slice(at + 1));
  for (const word of [...words.slice(0, at), ...own]) {
    const [, flag] = /^(--[a-z-]+|-[a-zA-Z])/.exec(word) ?? [];
    if (flag === undefined || flag === '--help') continue;
    const known = command.options.some(({ long, short }) => long === flag || short === flag);
    assert.ok(known, `${line}: ${entry.name} has no ${flag}`);
  }
}

function ownWords(command: Command, words: readonly string[]): readonly string[] {
  if (!['run', 'exec', 'bundle', 'unshare'].includes(command.name())) return words;
  let index = 0;
  while (words[index]?.startsWith('-')) {
    const word = words[index] ?? '';
    const option = command.options.find(({ long, short }) => long === word || short === word);
    index += option !== undefined && (option.required || option.optional) ? 2 : 1;
  }
  return words.slice(0, index);
}
