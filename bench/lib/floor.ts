/**
 * The floor of a pull: the same blobs fetched and inflated over two workers, and nothing else done with them. In a
 * process of its own, so that Node's start counts as it does for the tools.
 */
import { fileURLToPath } from 'node:url';
import { type Cost, Meter } from './meter.ts';

const PROGRAM = fileURLToPath(new URL('./floor-program.ts', import.meta.url));

export async function measureFloor(address: string, image: string): Promise<Cost> {
  await using meter = new Meter();
  return await meter.run({ argv: [process.execPath, PROGRAM, address, image] });
}
