/** Extracts a tar with the product's own pipeline, and looks at what came of it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ExtractOptions, extractionPlan } from '../../src/archive/extract/plan.ts';
import type { Unpacked } from '../../src/archive/pipeline/request.ts';
import { Unpacker } from '../../src/archive/pipeline/unpacker.ts';
import { snapshotTree, type TreeRecord } from './tree-snapshot.ts';

export type Spelling = ExtractOptions['spelling'];

export interface Extracted {
  readonly tree: readonly TreeRecord[];
  readonly unpacked: Unpacked;
  /** One record by its path, or undefined. */
  at(path: string): TreeRecord | undefined;
}

/** One worker for all of a test file's layers, as a pull has it. */
export class Extractor implements AsyncDisposable {
  readonly #unpacker = new Unpacker({ threads: 1 });
  readonly #directory: string;
  #count = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  newDirectory(): string {
    const dir = join(this.#directory, String(this.#count++));
    mkdirSync(dir);
    return dir;
  }

  async extract(tar: Uint8Array, spelling: Spelling, dir: string = this.newDirectory()): Promise<Extracted> {
    const sink = extractionPlan({ dir, spelling, durable: false });
    const unpacked = await this.#unpacker.unpack({ source: one(tar), size: tar.length, sink });
    const tree = snapshotTree(dir);
    return { tree, unpacked, at: (path) => tree.find((record) => record.path === path) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#unpacker[Symbol.asyncDispose]();
  }
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
