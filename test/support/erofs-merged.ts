/** The EROFS driver as `merged = true` makes it: a stack is one file system of its own. With `directio`, too. */
import type { DriverModule } from '../../drivers/driver.ts';
import { driver } from '../../drivers/erofs/index.ts';

export const erofsMerged: DriverModule = {
  ...driver,
  open: (directory) => driver.open(directory, { merged: true, directio: true }),
};
