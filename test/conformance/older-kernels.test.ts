/**
 * The overlayfs driver by mount(2) alone, as on kernels before 5.2: short names in a current directory, options in one
 * string, views that are attached for a moment.
 */
import { conformance } from '../../drivers/conformance/index.ts';
import { driver } from '../../drivers/overlayfs/index.ts';
import { pretendKernel } from '../../src/mounts/kernel.ts';
import { kernelFs, missing, root } from '../support/requires.ts';

pretendKernel({ mountApi: false, lowerdirAdd: false, detachedLayers: false });

conformance('overlayfs by mount(2)', {
  module: driver,
  skip: missing(root, kernelFs('overlay')),
  renamesDirectories: false,
  keepsHardLinks: false,
});
