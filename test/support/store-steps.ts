/** The steps that the store's tests take, in a process of their own or in the test's. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { login, logout } from '../../registry-client/index.ts';
import { bundleImage } from '../../src/containers/bundle.ts';
import { removeContainer, sweepContainers } from '../../src/containers/remove.ts';
import { type RunRequest, runDetached, runForeground } from '../../src/containers/run.ts';
import { buildImage } from '../../src/images/build.ts';
import { commitSnapshot } from '../../src/images/commit.ts';
import { convertStore } from '../../src/images/convert.ts';
import { exportImage, exportSnapshot } from '../../src/images/export.ts';
import { findImage } from '../../src/images/find.ts';
import { checkStore } from '../../src/images/fsck/fsck.ts';
import { collectGarbage } from '../../src/images/gc.ts';
import { importTar } from '../../src/images/import.ts';
import { loadImages } from '../../src/images/load.ts';
import { mountImage, unmountImage } from '../../src/images/mount.ts';
import { pinImage, unpinImage } from '../../src/images/pins.ts';
import { registrySource } from '../../src/images/pull/source.ts';
import { pushImage } from '../../src/images/push.ts';
import { rebaseImage } from '../../src/images/rebase.ts';
import { removeImages } from '../../src/images/remove.ts';
import { saveDirectory, saveFile } from '../../src/images/save.ts';
import { squashImage } from '../../src/images/squash.ts';
import type { OpenStore } from '../../src/images/store.ts';
import { tagImage } from '../../src/images/tag.ts';
import { createLauncher } from '../../src/launch/create-launcher.ts';
import type { ForegroundIO, Launcher } from '../../src/launch/launcher.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { serveRegistry } from '../../src/serve/index.ts';
import { chaos } from './chaos.ts';
import { damageStore } from './damage-store.ts';
import type { Step } from './run-store-child.ts';
import { driverModule, pullFrom, testClient } from './test-store.ts';

/** One date for all that is made, so that a step done twice gives one digest. */
const epoch = 1_700_000_000;

/** The steps of that name. */
type StepOf<Name, Any = Step> = Any extends Step ? (Name extends Any[0] ? Any : never) : never;

type Performers = { readonly [Name in Step[0]]: (context: OpenStore, step: StepOf<Name>) => unknown };

const PERFORMERS: Performers = {
  pull: (context, [, image, options]) => pullFrom(context, image, options ?? {}),
  rmi: (context, [, image]) => removeImages(context, [image], { force: true }),
  tag: (context, [, image, name]) => tagImage(context, image, name),
  gc: (context, [, options]) => collectGarbage(context, options),
  mount: (context, [, image, name]) => mountImage(context, image, { name }),
  umount: (context, [, name, options]) => unmountImage(context, name, options),
  write: (context, [, name, path, text]) => writeFileSync(join(targetOf(context, name), path), text, { flush: true }),
  commit: (context, [, name, image]) => commitSnapshot(context, name, parseReference(image), { epoch }),
  export: (context, [, name]) => drain(exportNamed(context, name)),
  import: (context, [, path, image]) => importTar(context, path, parseReference(image), { epoch }),
  build: (context, [, image]) => {
    const layers = [{ files: { 'etc/one': '1' } }, { files: { 'etc/two': '2'.repeat(70_000) } }];
    return buildImage(context, parseReference(image), { layers, epoch });
  },
  squash: (context, [, image, to]) => {
    return squashImage(context, findImage(context, image), parseReference(to), { epoch });
  },
  rebase: (context, [, image, onto, to]) => {
    const request = { image: findImage(context, image), onto: findImage(context, onto) };
    return rebaseImage(context, request, parseReference(to), { epoch });
  },
  load: (context, [, path]) => loadImages(context, path),
  save: (context, [, image, format, path]) => {
    const images = [findImage(context, image)];
    return format === 'oci' ? saveDirectory(context, images, path) : saveFile(context, images, format, path);
  },
  push: (context, [, image, to]) => push(context, image, to),
  convert: async (context, [, driver]) => convertStore(context, await driverModule(driver)),
  idle: () => delay(600_000),
  pin: (context, [, image, name]) => pinImage(context, image, name),
  unpin: (context, [, name]) => unpinImage(context, name),
  run: (context, [, image, name, command]) => run(context, image, name, command),
  start: (context, [, image, name, command]) => start(context, image, name, command),
  exec: (context, [, name]) => exec(context, name),
  stop: (context, [, name]) => launcherOf(context).stop(name),
  rm: (context, [, name, options]) => removeContainer(context, launcherOf(context), name, options),
  bundle: (context, [, image, directory]) => bundleImage(context, image, directory, {}),
  login: (_context, [, registry, file]) =>
    login(registry, { username: 'me', password: 'open sesame', client: { env: { REGISTRY_AUTH_FILE: file } } }),
  logout: (_context, [, registry, file]) => logout(registry, { REGISTRY_AUTH_FILE: file }),
  serve: (context, [, image, layout]) => serve(context, image, layout),
  damage: (context) => damageStore(context),
  repair: (context) => repair(context),
  chaos: (context, [, options]) => chaos(options, (step) => perform(context, step)),
};

export async function perform(context: OpenStore, step: Step): Promise<unknown> {
  const performer = PERFORMERS[step[0]] as (context: OpenStore, step: Step) => unknown;
  return await performer(context, step);
}

function targetOf({ metadata }: OpenStore, name: string): string {
  const mount = metadata.mounts.get(name);
  if (!mount) throw new Error(`nothing is mounted as ${name}`);
  return mount.target;
}

function exportNamed(context: OpenStore, name: string): AsyncIterable<Uint8Array> {
  if (context.metadata.snapshots.get(name)) return exportSnapshot(context, name);
  return exportImage(context, findImage(context, name));
}

async function drain(chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of chunks) bytes += chunk.length;
  return bytes;
}

async function push(context: OpenStore, image: string, to: string, rememberedBytes = 1): Promise<unknown> {
  // Small blobs go as large ones do.
  const client = testClient({ limits: { monolithicBytes: 0 } });
  try {
    const options = { destination: parseReference(to), rememberedBytes };
    return await pushImage(context, client, findImage(context, image), options);
  } finally {
    await client.close();
  }
}

async function repair(context: OpenStore): Promise<unknown> {
  const client = testClient();
  try {
    const sourceOf = async (name: string) => registrySource(client, parseReference(name));
    const report = await checkStore(context, { repair: true, sourceOf });
    if (!report.clean) throw new Error(`not repaired: ${JSON.stringify(report.problems)}`);
    return report;
  } finally {
    await client.close();
  }
}

function launcherOf({ paths }: OpenStore): Launcher {
  return createLauncher({ root: paths.root });
}

async function runRequest(
  context: OpenStore,
  image: string,
  name: string | undefined,
  command: readonly string[],
): Promise<RunRequest> {
  const launcher = launcherOf(context);
  // As `ps` does: what ended without anybody goes.
  await sweepContainers(context, launcher);
  const options = { command, ...(name === undefined ? {} : { name }) };
  return { context, launcher, image, run: options, remove: name === undefined, removeCommand: () => [] };
}

async function start(context: OpenStore, image: string, name: string, command: readonly string[]): Promise<string> {
  const { id } = await runDetached(await runRequest(context, image, name, command), {});
  return id;
}

async function exec(context: OpenStore, name: string): Promise<number> {
  const io: ForegroundIO = { stdio: ['ignore', 'ignore', 'ignore'] };
  const { exited } = await launcherOf(context).exec(name, { command: ['true'] }, io);
  return (await exited).exitCode;
}

/** The registry lives no longer than this push. */
async function serve(context: OpenStore, image: string, layoutDir: string): Promise<unknown> {
  await using registry = await serveRegistry({ layoutDir, writable: true });
  // Nobody goes on with an upload to a registry that is gone.
  return await push(context, image, `${registry.host}/served:1`, Number.POSITIVE_INFINITY);
}

async function run(
  context: OpenStore,
  image: string,
  name: string | undefined,
  command: readonly string[] = ['true'],
): Promise<unknown> {
  const request = await runRequest(context, image, name, command);
  const container = await runForeground(request, { stdio: ['ignore', 'ignore', 'ignore'] });
  const { exitCode } = await container.exited;
  if (exitCode !== 0) throw new Error(`the container ended with ${exitCode}`);
  return exitCode;
}
