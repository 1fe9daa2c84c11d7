import { conformance } from '../../drivers/conformance/index.ts';
import { driver } from '../../drivers/erofs/index.ts';
import { kernel, kernelFs, missing, root } from '../support/requires.ts';

conformance('erofs', {
  module: driver,
  skip: missing(root, kernelFs('erofs'), kernelFs('overlay'), kernel(6, 12)),
  renamesDirectories: false,
  keepsHardLinks: false,
  maxLooks: 499,
});
