import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { DEFAULT_LIMITS } from '../../../src/archive/sink.ts';
import { storeSettings } from '../../../src/config/apply.ts';
import { loadConfig } from '../../../src/config/load.ts';
import type { Surroundings } from '../../../src/config/paths.ts';
import { isTslayerError } from '../../../src/errors.ts';

function home(t: { after(f: () => void): void }, config?: string): Surroundings {
  const dir = mkdtempSync(join(tmpdir(), 'tslayer-config-'));
  t.after(() => rmSync(dir, { recursive: true }));
  if (config !== undefined) {
    mkdirSync(join(dir, '.config/tslayer'), { recursive: true });
    writeFileSync(join(dir, '.config/tslayer/config.toml'), config);
  }
  return { env: { HOME: dir }, uid: 1000 };
}

function fileIn(where: Surroundings, text: string): string {
  const file = join(where.env.HOME ?? '', 'named.toml');
  writeFileSync(file, text);
  return file;
}

describe('configuration', () => {
  test('without files and settings, the store is where the user belongs', async (t) => {
    const where = home(t);
    assert.equal((await loadConfig({}, where)).root, join(where.env.HOME ?? '', '.local/share/tslayer'));
    assert.equal((await loadConfig({}, { ...where, uid: 0 })).root, '/var/lib/tslayer');
  });

  test('a relative XDG directory is ignored, as its specification asks', async (t) => {
    const where = home(t);
    const config = await loadConfig({}, { ...where, env: { ...where.env, XDG_DATA_HOME: 'here' } });
    assert.equal(config.root, join(where.env.HOME ?? '', '.local/share/tslayer'));
  });

  test('flags come before the environment, the environment before the file', async (t) => {
    const where = home(t, 'root = "/from-file"\ndriver = "vfs"\n');
    const env = { ...where.env, TSLAYER_ROOT: '/from-env' };
    assert.equal((await loadConfig({}, where)).root, '/from-file');
    assert.equal((await loadConfig({}, { ...where, env })).root, '/from-env');
    assert.equal((await loadConfig({ root: '/from-flag' }, { ...where, env })).root, '/from-flag');
    assert.equal((await loadConfig({}, { ...where, env })).driver, 'vfs');
  });

  test('what a file says of the store reaches the store', async (t) => {
    const file = '[store]\ndurability = "none"\n[erofs]\nmerged = true\ndirectio = true\n[pull]\nconcurrency = 2\n';
    const { limits, ...settings } = storeSettings(await loadConfig({}, home(t, file)), DEFAULT_LIMITS);
    assert.deepEqual(settings, { durability: 'none', merged: true, directio: true, concurrency: 2 });
    assert.deepEqual(limits, DEFAULT_LIMITS);
  });

  test('a named file is read alone', async (t) => {
    const where = home(t, 'driver = "vfs"\n');
    const file = fileIn(where, '[registries.mirrors]\n"docker.io" = ["http://127.0.0.1:5000"]\n');
    const config = await loadConfig({ config: file }, where);
    assert.deepEqual(config.registries?.mirrors, { 'docker.io': ['http://127.0.0.1:5000'] });
    assert.equal(config.driver, undefined);
    assert.deepEqual(config.files, [file]);
  });

  const refused: [string, string, RegExp][] = [
    ['an unknown key', '[store]\ndurable = true\n', /unknown setting store\.durable/],
    ['a wrong type', '[pull]\nconcurrency = "many"\n', /pull\.concurrency: expected number/],
    ['a wrong choice', '[store]\ndurability = "maybe"\n', /store\.durability: expected/],
    ['broken TOML', 'root = \n', /named\.toml: /],
  ];
  for (const [what, text, message] of refused) {
    test(`${what} is refused in one line that names the file`, async (t) => {
      const where = home(t);
      await assert.rejects(loadConfig({ config: fileIn(where, text) }, where), (error) => {
        assert.ok(isTslayerError(error, 'INVALID_ARGUMENT'));
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /\n/);
        return true;
      });
    });
  }

  test('a named file that is missing is an error, a default one is not', async (t) => {
    const where = home(t);
    await assert.rejects(loadConfig({ config: '/nonexistent.toml' }, where), (e) => isTslayerError(e, 'NOT_FOUND'));
    assert.deepEqual((await loadConfig({}, where)).files, []);
  });
});
