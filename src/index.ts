/**
 * The public API of tslayer: everything that the command line does, under the same names and with the same shapes.
 * Loading it is cheap; the parts behind it are loaded when they are first used.
 */
export { type ErrorCode, type ErrorDetails, isTslayerError, TslayerError } from './errors.ts';
export type { LayerState, OnProgress, OperationOptions, PlannedLayer, ProgressEvent } from './progress.ts';
export type { Access, RunningRegistry, ServeOptions } from './serve/index.ts';
export { openTslayer, serveRegistry, type Tslayer, type TslayerOptions } from './tslayer.ts';
