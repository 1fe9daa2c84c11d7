/** Whatever layers and writes come, all drivers show the same tree and find the same changes. */
import { driver as erofs } from '../../drivers/erofs/index.ts';
import { driver as overlayfs } from '../../drivers/overlayfs/index.ts';
import { driver as vfs } from '../../drivers/vfs/index.ts';
import { agreement } from '../support/agreement.ts';
import { erofsMerged } from '../support/erofs-merged.ts';
import { kernel, kernelFs, missing, root } from '../support/requires.ts';

const skip = missing(root, kernelFs('overlay'), kernelFs('erofs'), kernel(6, 12));
agreement({ overlayfs, vfs, erofs, 'merged erofs': erofsMerged }, skip);
