/**
 * The public API of tslayer: everything that the command line does, under the same names and with the same shapes.
 * Loading it is cheap; the parts behind it are loaded when they are first used.
 */

export type { DriverReport } from '../drivers/index.ts';
export type { LoggedIn, LoggedOut } from '../registry-client/auth/login.ts';
export {
  type BarChart,
  type BenchResult,
  benchDisk,
  benchMount,
  benchPull,
  type DiskBench,
  type MountBench,
  type PullBench,
  type RoundsOptions,
  renderChart,
} from './bench/index.ts';
export type { Bundle } from './containers/bundle.ts';
export type { RunningContainer } from './containers/running.ts';
export { type ErrorCode, type ErrorDetails, isTslayerError, TslayerError } from './errors.ts';
export type { CommitResult, NewImageOptions } from './images/commit.ts';
export type { Aspect, FileChange } from './images/compare-trees.ts';
export type { Conversion } from './images/convert.ts';
export type { DiskUsage, ImageUsage, SnapshotUsage } from './images/df.ts';
export type { LayerRange } from './images/diff-images.ts';
export type { SnapshotChange } from './images/diff-snapshot.ts';
export type { FileDescription } from './images/file-description.ts';
export type { FsckReport, Problem } from './images/fsck/fsck.ts';
export type { GcOptions, GcReport } from './images/gc.ts';
export type { HistoryItem, ImageDetails, LayerDetails } from './images/inspect.ts';
export type { LayerSource } from './images/layer-source.ts';
export type { LayerSummary, LayersReport } from './images/layers-report.ts';
export type { ImageSummary } from './images/list.ts';
export type { ListedFile, ListFilesOptions } from './images/list-files.ts';
export type { MountedImage, MountImageOptions, UnmountImageOptions } from './images/mount.ts';
export type { Pin } from './images/pins.ts';
export type { PullResult } from './images/pull/pull.ts';
export type { PushResult } from './images/push.ts';
export type { RebaseResult } from './images/rebase.ts';
export type { Removal } from './images/remove.ts';
export type {
  Container,
  ContainerState,
  ContainerStats,
  ContainerStatus,
  ExecOptions,
  ExitResult,
  ForegroundIO,
  HierarchyView,
  LogEntry,
  LogOptions,
  RunningProcess,
  RunOptions,
  StatsOptions,
  StopOptions,
  TerminalIO,
} from './launch/index.ts';
export type { LayerState, OnProgress, OperationOptions, PlannedLayer, ProgressEvent } from './progress.ts';
export type { Access, RunningRegistry, ServeOptions } from './serve/index.ts';
export { openTslayer, serveRegistry, type Tslayer, unshare } from './tslayer.ts';
export type {
  ArchiveLoadOptions,
  ImageBuildOptions,
  ImageRebaseOptions,
  Info,
  LoginOptions,
  PullOptions,
  PushOptions,
  ReferenceInfo,
  RunContainerOptions,
  SaveOptions,
  TarImportOptions,
  TslayerOptions,
} from './tslayer-options.ts';
