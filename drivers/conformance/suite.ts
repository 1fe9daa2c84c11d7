/** How tests of the suite are registered, and what they know of the driver. */
import { type TestContext, test } from 'node:test';
import type { DriverModule } from '../driver.ts';
import { Kit } from './kit.ts';

export interface Setup {
  readonly module: DriverModule;
  /** Directory on the file system to test; a temporary one by default. Called once a test. */
  readonly directory?: () => string;
  /** Why the driver cannot be tested here: every test is skipped with it. */
  readonly skip?: string | undefined;
  /** Layers that one mount takes; default 500. Beyond it, `mounts` must throw UNSUPPORTED. */
  readonly maxLayers?: number;
  /** Layers up to which a directory that a layer implies looks as a layer below says. Default: `maxLayers`. */
  readonly maxLooks?: number;
  /** Longest name of a file; default 255. A layer with a longer one must be refused. */
  readonly maxNameBytes?: number;
  /** Longest target of a symbolic link; default 4000. XFS: 1023. */
  readonly maxTargetBytes?: number;
  /** Highest minor number of a device; default 1,048,575. XFS: 262,143. */
  readonly maxMinor?: number;
  /** Whether a lower directory can be renamed, or gives EXDEV as union file systems do. Default true. */
  readonly renamesDirectories?: boolean;
  /** Whether a name of a lower hard link, once written to, is still linked to the others. Default true. */
  readonly keepsHardLinks?: boolean;
  /** Whether a time that is set through a mount keeps what is below a second. Default true. */
  readonly keepsNanoseconds?: boolean;
  /** Whether an attribute can be removed through a mount, or stays with an empty value. Default true. */
  readonly removesXattrs?: boolean;
  /** Whether the directories that a file is in keep their time when it is copied up. Default true. */
  readonly keepsDirectoryTimes?: boolean;
}

export type SuiteTest = (kit: Kit, t: TestContext, setup: Setup) => Promise<void>;

/** One part of the suite: its tests by name. */
export type Part = Readonly<Record<string, SuiteTest>>;

export function register(setup: Setup, part: Part): void {
  for (const [name, run] of Object.entries(part)) {
    test(name, async (t) => {
      if (setup.skip !== undefined) {
        t.skip(setup.skip);
        return;
      }
      await using kit = await Kit.open(setup.module, setup.directory?.());
      await run(kit, t, setup);
    });
  }
}
