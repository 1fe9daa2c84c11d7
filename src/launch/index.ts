/** The launcher's door: what the composition root and the command line call. */
export { buildSpec, newContainerId, type SpecInput } from './build-spec.ts';
export { writeBundle } from './bundle.ts';
export { ALL_CAPABILITIES, type CapabilityName, DEFAULT_CAPABILITIES } from './capabilities.ts';
export type { HierarchyView } from './cgroups/view.ts';
export { createLauncher } from './create-launcher.ts';
export { exitStatusOf, LaunchError } from './errors.ts';
export type {
  Container,
  ContainerState,
  ContainerStatus,
  ExitResult,
  ForegroundIO,
  Launcher,
  LogEntry,
  LogOptions,
  RunningProcess,
  StatsOptions,
  StopOptions,
  TerminalInput,
  TerminalIO,
} from './launcher.ts';
export type { ExecOptions, RunOptions } from './run-options.ts';
export type * from './spec.ts';
export type { ContainerStats } from './stats.ts';
