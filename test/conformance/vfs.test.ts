import { conformance } from '../../drivers/conformance/index.ts';
import { driver } from '../../drivers/vfs/index.ts';
import { missing, root } from '../support/requires.ts';

conformance('vfs', { module: driver, skip: missing(root), maxLayers: Number.POSITIVE_INFINITY });
