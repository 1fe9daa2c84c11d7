/**
 * Runs the tests: `npm test`, or `npm test -- unit e2e` for some folders, or files. The last line is
 * `N passed, N failed`, with the skipped ones when there are any. With TSLAYER_NO_SKIPS=1 (or CI=true) a skipped
 * test counts as failed: there everything is installed that a test may ask for.
 */
import { existsSync, globSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { root } from './shared/steps.ts';

const FOLDERS = ['unit', 'conformance', 'integration', 'e2e'];
/** A test file that hangs must not hang the run. */
const FILE_TIMEOUT_MS = 15 * 60_000;

function testFiles(wanted: readonly string[]): string[] {
  const named = wanted.length > 0 ? wanted : FOLDERS;
  return named.flatMap((name) => {
    const path = [resolve(name), join(root, 'test', name)].find((candidate) => existsSync(candidate));
    if (path === undefined) return [];
    return statSync(path).isFile() ? [path] : globSync('**/*.test.ts', { cwd: path }).map((file) => join(path, file));
  });
}

/** What is looked at of the runner's `test:pass` and `test:fail` events. */
interface FinishedTest {
  readonly name: string;
  readonly skip?: string | boolean;
  readonly details: { readonly type?: 'suite' | 'test' | undefined };
}

interface Counts {
  passed: number;
  failed: number;
  skipped: string[];
}

async function runFiles(files: readonly string[]): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, skipped: [] };
  const events = run({
    files: [...files].sort(),
    concurrency: Math.max(2, Math.floor(availableParallelism() / 2)),
    timeout: FILE_TIMEOUT_MS,
    cwd: root,
  });
  events.on('test:pass', (event) => count(counts, event, true));
  events.on('test:fail', (event) => count(counts, event, false));
  for await (const line of events.compose(new spec())) process.stdout.write(line);
  return counts;
}

function count(counts: Counts, event: FinishedTest, passed: boolean): void {
  // A skipped suite hides its tests: it counts as one. Else suites are folders of tests, and a failed one has failed
  // tests in it, or says so itself.
  if (event.skip !== undefined) counts.skipped.push(`${event.name}: ${event.skip === true ? 'no reason' : event.skip}`);
  else if (event.details.type === 'suite') return;
  else if (passed) counts.passed++;
  else counts.failed++;
}

const files = testFiles(process.argv.slice(2));
if (files.length === 0) {
  process.stderr.write('no test files\n');
  process.exit(2);
}
const { passed, failed, skipped } = await runFiles(files);
const strict = process.env.TSLAYER_NO_SKIPS === '1' || process.env.CI === 'true';
for (const line of skipped) process.stdout.write(`skipped: ${line}\n`);
const lost = strict ? skipped.length : 0;
const tail = skipped.length > 0 && !strict ? `, ${skipped.length} skipped` : '';
process.stdout.write(`${passed} passed, ${failed + lost} failed${tail}\n`);
process.exit(failed + lost > 0 || passed === 0 ? 1 : 0);
