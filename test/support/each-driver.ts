/** The drivers that a store test runs over, and what each needs. */
import { kernel, type Requirement, root } from './requires.ts';

export const DRIVERS: Readonly<Record<string, readonly Requirement[]>> = {
  erofs: [root, kernel(6, 12)],
  overlayfs: [root],
  vfs: [root],
};
