/**
 * What a worker thread of the unpacker does: one job at a time, from its first byte to its last, without returning; or
 * sinks of several layers, each as far as there are bytes for it.
 */
import { flushCompileCache } from 'node:module';
import { parentPort } from 'node:worker_threads';
import { DetectingInflater } from '../inflate/detecting.ts';
import type { Outlet } from '../inflate/inflater.ts';
import { type Answer, type Job, type Numbered, packError } from './job.ts';
import { LayerStage, type Outcome } from './layer-stage.ts';
import { Ring } from './ring.ts';
import { TarStage } from './tar-stage.ts';

/** What a thread that does both halves inflates into, before it reads it. */
const ROOM = 256 * 1024;

/** Chunks that a layer on a shared thread may take before the others have their turn. */
const TURN = 4;

parentPort?.on('message', ({ id, value }: Numbered<Job>) => {
  run(value).then((answer) => {
    parentPort?.postMessage({ id, value: answer } satisfies Numbered<Answer>);
    // A thread is terminated, and so does not come to keep what it compiled.
    flushCompileCache();
  });
});

async function run(job: Job): Promise<Answer> {
  const input = new Ring(job.input);
  try {
    return { ok: true, outcome: await perform(job, input) };
  } catch (error) {
    input.cancel();
    return { ok: false, error: packError(error) };
  }
}

function perform(job: Job, input: Ring): Promise<Outcome> {
  if (job.role === 'inflate') return inflateOnly(job, input);
  if (job.role === 'whole') return whole(job, input);
  return sinkOnly(job, input);
}

async function inflateOnly(job: Job & { role: 'inflate' }, input: Ring): Promise<Outcome> {
  const output = new Ring(job.output);
  let stage: TarStage | undefined;
  const outlet = {
    room: () => output.room(),
    flush(length: number) {
      stage?.write(output.room().subarray(0, length));
      output.publish(length);
    },
  };
  try {
    stage = job.bytes && new TarStage(job.bytes);
    await inflate(job, input, outlet);
    // What the sink adds comes behind all of the tar.
    output.end();
    return stage ? { diffId: stage.diffId() } : {};
  } catch (error) {
    output.cancel();
    throw error;
  } finally {
    stage?.close();
  }
}

async function sinkOnly(job: Job & { role: 'sink' | 'shared-sink' }, input: Ring): Promise<Outcome> {
  const shares = job.role === 'shared-sink';
  const stage = await LayerStage.open(job.target);
  const report = reporter(stage, job.progress);
  try {
    for (let turn = 1; ; turn++) {
      const chunk = shares ? await input.takeAsync() : input.take();
      if (chunk === undefined) return stage.finish();
      stage.write(chunk);
      input.release();
      report();
      if (shares && turn % TURN === 0) await nextTurn();
    }
  } finally {
    stage.close();
  }
}

/** Lets whatever waits for this thread go first. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function whole(job: Job & { role: 'whole' }, input: Ring): Promise<Outcome> {
  const stage = await LayerStage.open(job.target);
  const report = reporter(stage, job.progress);
  const room = new Uint8Array(ROOM);
  const outlet = {
    room: () => room,
    flush(length: number) {
      stage.write(length === ROOM ? room : room.subarray(0, length));
      report();
    },
  };
  try {
    await inflate(job, input, outlet);
    return stage.finish();
  } finally {
    stage.close();
  }
}

async function inflate(job: Job & { role: 'inflate' | 'whole' }, input: Ring, outlet: Outlet): Promise<void> {
  const inflater = new DetectingInflater(outlet, job.engine);
  try {
    for (let chunk = input.take(); chunk !== undefined; chunk = input.take()) {
      const pending = inflater.write(chunk);
      if (pending !== undefined) await pending;
      input.release();
    }
    await inflater.end();
  } finally {
    inflater.close();
  }
}

function reporter(stage: LayerStage, progress: SharedArrayBuffer): () => void {
  const word = new BigInt64Array(progress);
  return () => void Atomics.store(word, 0, BigInt(stage.size));
}
