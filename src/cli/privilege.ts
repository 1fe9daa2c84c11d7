/** What an ordinary user cannot do outside a namespace of their own. */
import { TslayerError } from '../errors.ts';

/** A mount that is to outlive the command would go with the namespace that the command was given. */
export function requireMounting(): void {
  if (process.geteuid?.() === 0) return;
  throw new TslayerError('DENIED', "mounting needs root, or a user's own namespace", {
    hint: 'run it with sudo, or in the shell of tslayer unshare',
  });
}
