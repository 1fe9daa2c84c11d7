/** Copies or removes a tree in a process of its own, for tests that count its system calls. */
import { mkdirSync } from 'node:fs';
import { copyTree } from '../../drivers/tree/copy.ts';
import { removeTree } from '../../drivers/tree/remove.ts';

const [what, from = '', to = ''] = process.argv.slice(2);
if (what === 'copy') {
  mkdirSync(to);
  for (const _ of copyTree(from, to));
} else {
  for (const _ of removeTree(from));
}
