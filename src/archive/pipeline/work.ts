/** What a worker thread of the unpacker does: one job at a time, from its first byte to its last, without returning. */
import { flushCompileCache } from 'node:module';
import { parentPort } from 'node:worker_threads';
import { DetectingInflater } from '../inflate/detecting.ts';
import type { Outlet } from '../inflate/inflater.ts';
import { type Answer, type Job, packError } from './job.ts';
import { LayerStage, type Outcome } from './layer-stage.ts';
import { Ring } from './ring.ts';

/** What a thread that does both halves inflates into, before it reads it. */
const ROOM = 256 * 1024;

parentPort?.on('message', (job: Job) => {
  run(job).then((answer) => {
    parentPort?.postMessage(answer);
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

function perform(job: Job, input: Ring): Promise<Outcome | undefined> {
  if (job.role === 'inflate') return inflateOnly(job, input);
  return job.role === 'sink' ? sinkOnly(job, input) : whole(job, input);
}

async function inflateOnly(job: Job & { role: 'inflate' }, input: Ring): Promise<undefined> {
  const output = new Ring(job.output);
  const outlet = { room: () => output.room(), flush: (length: number) => output.publish(length) };
  try {
    await inflate(job, input, outlet);
    output.end();
  } catch (error) {
    output.cancel();
    throw error;
  }
}

async function sinkOnly(job: Job & { role: 'sink' }, input: Ring): Promise<Outcome> {
  const stage = await LayerStage.open(job.target);
  const report = reporter(stage, job.progress);
  try {
    for (let chunk = input.take(); chunk !== undefined; chunk = input.take()) {
      stage.write(chunk);
      input.release();
      report();
    }
    return stage.finish();
  } finally {
    stage.close();
  }
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
