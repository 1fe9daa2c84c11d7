/** What the methods of Tslayer take and answer, where it is not what the parts behind them do. */
import type { EndpointPlan, RateLimit } from '../registry-client/client.ts';
import type { ConfigOverrides } from './config/load.ts';
import type { BuildOptions } from './images/build.ts';
import type { NewImageOptions } from './images/commit.ts';
import type { ImportOptions } from './images/import.ts';
import type { StoreInfo } from './images/info.ts';
import type { LoadOptions } from './images/load.ts';
import type { ArchiveFormat } from './images/save.ts';
import type { RunOptions } from './launch/index.ts';
import type { Digest } from './oci/digest.ts';
import type { OperationOptions } from './progress.ts';

export interface TslayerOptions extends ConfigOverrides {
  /** Registries (host[:port]) that speak plain HTTP; loopback ones do so by themselves. */
  readonly plainHttp?: readonly string[];
  /** Registries whose certificate is not checked. */
  readonly insecure?: readonly string[];
  /** Requests and answers, a line each, without secrets. */
  readonly trace?: (line: string) => void;
}

export interface PullOptions extends OperationOptions {
  /** `linux/arm64`; default: this machine's. */
  readonly platform?: string | undefined;
  /** Keep every platform of an index; one of them is unpacked. */
  readonly allPlatforms?: boolean | undefined;
  /** Default true. false needs no privilege. */
  readonly unpack?: boolean | undefined;
}

export interface PushOptions extends OperationOptions {
  /** Default: the image's own name. */
  readonly destination?: string | undefined;
  readonly platform?: string | undefined;
  /** Carry signatures, SBOMs and other referrers along. */
  readonly referrers?: boolean | undefined;
}

export interface SaveOptions extends OperationOptions {
  /** A file, or a directory for `oci`. */
  readonly output: string;
  /** `oci`, a layout, is added to when it is there. Default `oci-archive`, which docker and podman load, too. */
  readonly format?: ArchiveFormat | 'oci' | undefined;
  readonly platform?: string | undefined;
}

export interface RunContainerOptions extends RunOptions, OperationOptions {
  /** `native`, the built-in launcher, or `runc` or `crun` where installed. Default: the configured one. */
  readonly runtime?: string;
  /** Remove the container at its end. */
  readonly remove?: boolean | undefined;
  /** Fetch the image first. Default `missing`. */
  readonly pull?: 'always' | 'missing' | 'never' | undefined;
  readonly platform?: string | undefined;
}

export interface WarningOptions {
  readonly onWarning?: ((message: string) => void) | undefined;
}

export interface ArchiveLoadOptions extends Omit<LoadOptions, 'platform' | 'name'> {
  readonly platform?: string | undefined;
  /** Instead of the archive's own name; for an archive of one image. */
  readonly name?: string | undefined;
}

export interface TarImportOptions extends Omit<ImportOptions, 'platform'> {
  readonly platform?: string | undefined;
}

export interface ImageBuildOptions extends Omit<BuildOptions, 'from' | 'platform'> {
  /** The image to build on. Default: nothing. */
  readonly from?: string | undefined;
  readonly platform?: string | undefined;
}

export interface ImageRebaseOptions extends Omit<NewImageOptions, 'compression' | 'level'> {
  /** The base to come. */
  readonly onto: string;
  /** The base it has. Default: the image of the store with the most layers in common. */
  readonly from?: string | undefined;
}

/** The machine and the store. */
export interface Info {
  readonly version: string;
  readonly node: string;
  readonly kernel: string;
  /** Effective user id. */
  readonly uid: number;
  /** Configuration files that were read. */
  readonly configFiles: readonly string[];
  readonly store: StoreInfo;
}

/** Where a pull of a reference goes. */
export interface ReferenceInfo {
  /** Canonical. */
  readonly reference: string;
  /** In the order in which they are tried. */
  readonly endpoints: readonly EndpointPlan[];
  /** What it stands for now, and who said so; or why nobody did. */
  readonly resolved: { readonly digest: Digest; readonly endpoint: string } | { readonly error: string };
  /** Null when the registry tells of none. */
  readonly rateLimit: RateLimit | null;
}

export interface LoginOptions extends OperationOptions {
  readonly username: string;
  readonly password: string;
}
