/** The project as npm publishes and installs it. */
import { type ExecFileOptionsWithStringEncoding, execFile } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';

export const project: string = join(import.meta.dirname, '../..');

export const run: (
  program: string,
  args: readonly string[],
  options?: ExecFileOptionsWithStringEncoding,
) => Promise<{ readonly stdout: string }> = promisify(execFile);

/** Programs that would be needed to build native code, and are not to be. */
const NO_COMPILER = { CC: '/bin/false', CXX: '/bin/false', MAKE: '/bin/false', npm_config_node_gyp: '/bin/false' };

/** `npm install`. False when there is no package registry to install from. */
export function install(t: TestContext, args: readonly string[], cwd: string): Promise<boolean> {
  return npm(t, 'install', args, cwd);
}

/** `npm ci`, by a lock that is there. False as of `install`. */
export function installLocked(t: TestContext, cwd: string): Promise<boolean> {
  return npm(t, 'ci', [], cwd);
}

async function npm(t: TestContext, command: string, args: readonly string[], cwd: string): Promise<boolean> {
  try {
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--fetch-retries=0'];
    await run('npm', [command, ...quiet, ...args], { cwd, env: { ...process.env, ...NO_COMPILER } });
    return true;
  } catch (error) {
    if (!/ENOTFOUND|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT|ENETUNREACH/.test(String(error))) throw error;
    t.skip('needs a package registry');
    return false;
  }
}

/** Packs the project into `directory`; the tarball and what is in it. */
export async function pack(directory: string): Promise<{ tarball: string; paths: string[] }> {
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', directory], { cwd: project });
  const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [
    { filename: string; files: { path: string }[] },
  ];
  return { tarball: join(directory, filename), paths: files.map(({ path }) => path) };
}
