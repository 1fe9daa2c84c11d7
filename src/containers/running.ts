/** A container in the foreground, as whoever started it holds it. */
import type { RunningProcess } from '../launch/launcher.ts';

export interface RunningContainer extends RunningProcess {
  readonly id: string;
  readonly name: string;
}
