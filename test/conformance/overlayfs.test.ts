import { conformance } from '../../drivers/conformance/index.ts';
import { driver } from '../../drivers/overlayfs/index.ts';
import { kernelFs, missing, root } from '../support/requires.ts';

conformance('overlayfs', {
  module: driver,
  skip: missing(root, kernelFs('overlay')),
  renamesDirectories: false,
  keepsHardLinks: false,
});
