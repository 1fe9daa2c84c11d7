/** `node floor-program.ts ADDRESS IMAGE`: fetches and inflates an image's layers, the largest first, two at a time. */
import { get } from 'node:http';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { openInflater } from '../../src/archive/inflate/inflater.ts';

async function fetchAndInflate(url: string): Promise<void> {
  const room = new Uint8Array(1 << 20);
  const inflater = openInflater('gzip', { room: () => room, flush: () => undefined });
  const response = await new Promise<AsyncIterable<Uint8Array>>((resolve, reject) => {
    get(url, resolve).on('error', reject);
  });
  for await (const chunk of response) await inflater.write(chunk);
  await inflater.end();
  inflater.close();
}

interface Layer {
  readonly digest: string;
  readonly size: number;
}

async function layersOf(address: string, image: string): Promise<Layer[]> {
  const accept = 'application/vnd.oci.image.manifest.v1+json';
  const response = await fetch(`http://${address}/v2/${image}/manifests/latest`, { headers: { accept } });
  const { layers } = (await response.json()) as { layers: Layer[] };
  return layers.sort((a, b) => b.size - a.size);
}

/** Small images are done faster on one thread than workers start. */
const WORTH_WORKERS = 8e6;

async function main(address: string, image: string): Promise<void> {
  const layers = await layersOf(address, image);
  const urls = layers.map(({ digest }) => `http://${address}/v2/${image}/blobs/${digest}`);
  const total = layers.reduce((sum, { size }) => sum + size, 0);
  if (total < WORTH_WORKERS) {
    await Promise.all([0, 1, 2, 3].map(() => drain(urls, fetchAndInflate)));
    return;
  }
  await Promise.all([0, 1].slice(0, urls.length).map(() => inWorker(urls)));
}

async function drain(urls: string[], work: (url: string) => Promise<void>): Promise<void> {
  for (let url = urls.shift(); url !== undefined; url = urls.shift()) await work(url);
}

async function inWorker(urls: string[]): Promise<void> {
  const worker = new Worker(new URL(import.meta.url));
  await drain(urls, (url) => {
    worker.postMessage(url);
    return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  });
  await worker.terminate();
}

if (isMainThread) {
  const [address = '', image = ''] = process.argv.slice(2);
  await main(address, image);
} else {
  parentPort?.on('message', async (url: string) => {
    await fetchAndInflate(url);
    parentPort?.postMessage('done');
  });
}
