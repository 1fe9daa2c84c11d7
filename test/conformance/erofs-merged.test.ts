import { conformance } from '../../drivers/conformance/index.ts';
import { erofsMerged } from '../support/erofs-merged.ts';
import { kernel, kernelFs, missing, root } from '../support/requires.ts';

conformance('erofs, merged', {
  module: erofsMerged,
  skip: missing(root, kernelFs('erofs'), kernelFs('overlay'), kernel(6, 12)),
  renamesDirectories: false,
  keepsHardLinks: false,
  maxLayers: Number.POSITIVE_INFINITY,
});
