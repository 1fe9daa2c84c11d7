/**
 * Whiteouts of a layer that is made beside the lower layers' files and then put over them (merge.ts): devices 0:0 as
 * overlayfs has them, and in an opaque directory one more of them, under a name that no layer can guess. So the marks
 * come and go with the directories that they are in, and need nothing of the file system but devices.
 */
import { randomBytes } from 'node:crypto';
import { S_IFCHR } from '../../sys/files.ts';
import { errnos } from '../../sys/libc.ts';
import { makeNode } from '../../sys/make-files.ts';
import { must } from './attributes.ts';
import { OverlaySpelling } from './overlay-spelling.ts';
import { inside, join } from './spelling.ts';

export class MergeSpelling extends OverlaySpelling {
  readonly opaqueName: Uint8Array = Buffer.from(`.tslayer-opaque-${randomBytes(16).toString('hex')}`);
  /** Whether there is anything to be cleared away once the layer is in its place. */
  marked = false;

  override whiteout(path: Uint8Array): void {
    this.marked = true;
    super.whiteout(path);
  }

  override finish(): void {}

  protected override mark(directory: Uint8Array): void {
    this.marked = true;
    const result = makeNode(join(inside(directory), this.opaqueName), S_IFCHR, 0);
    if (result !== -errnos.EEXIST) must(result, 'mark as opaque', directory);
  }
}
