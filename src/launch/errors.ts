/** Errors before a program runs, with the exit status that docker gives them. */
import { type ErrorCode, type ErrorDetails, TslayerError } from '../errors.ts';

/** 125: the launcher failed; 126: the program cannot be executed; 127: it is not there. */
export type LaunchStatus = 125 | 126 | 127;

export class LaunchError extends TslayerError {
  readonly exitStatus: LaunchStatus;

  constructor(exitStatus: LaunchStatus, code: ErrorCode, message: string, details?: ErrorDetails) {
    super(code, message, details);
    this.exitStatus = exitStatus;
  }
}

/** The exit status of `run` and `exec` for an error. */
export function exitStatusOf(error: unknown): LaunchStatus {
  return error instanceof LaunchError ? error.exitStatus : 125;
}
