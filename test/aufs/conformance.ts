/** The suite that every driver passes, for a kernel that has AUFS. Started by `run`. */
import { driver } from '../../drivers/aufs/index.ts';
import { conformance } from '../../drivers/conformance/index.ts';

conformance('aufs', {
  module: driver,
  maxLayers: 126,
  maxNameBytes: 242,
  renamesDirectories: false,
  keepsNanoseconds: false,
  removesXattrs: false,
  keepsDirectoryTimes: false,
});
