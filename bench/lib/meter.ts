/**
 * What a tool costs: wall time, CPU of everything it starts (its daemon too), the peak of its processes' memory.
 * All of them live in a cgroup of their own, which counts the CPU.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface Cost {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Largest sum of the resident memory of its processes that was seen, bytes. */
  readonly peakBytes: number;
}

export interface Command {
  readonly argv: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

let serial = 0;

export class Meter implements AsyncDisposable {
  readonly #group: string;
  readonly #v1: boolean;

  constructor() {
    this.#v1 = existsSync('/sys/fs/cgroup/cpuacct');
    const parent = this.#v1 ? '/sys/fs/cgroup/cpuacct' : '/sys/fs/cgroup';
    this.#group = join(parent, `tslayer-bench-${process.pid}-${serial++}`);
    mkdirSync(this.#group);
  }

  /** The argv that runs a command inside the group. */
  inside(argv: readonly string[]): string[] {
    return ['sh', '-c', `echo $$ > "$0/cgroup.procs" && exec "$@"`, this.#group, ...argv];
  }

  /** Runs a command to its end; a status other than 0 is an error. */
  async run({ argv, env }: Command): Promise<Cost> {
    const cpuBefore = this.#cpuSeconds();
    const started = performance.now();
    const [program = '', ...args] = this.inside(argv);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    let said = '';
    const note = (chunk: Buffer): void => {
      said = (said + chunk).slice(-4000);
    };
    child.stdout.on('data', note);
    child.stderr.on('data', note);
    const watch = this.#watchMemory();
    const status = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject).on('close', resolve);
    });
    const seconds = (performance.now() - started) / 1000;
    const peakBytes = watch();
    if (status !== 0) throw new Error(`${argv.join(' ')}: status ${status}\n${said}`);
    return { seconds, cpuSeconds: this.#cpuSeconds() - cpuBefore, peakBytes };
  }

  #cpuSeconds(): number {
    if (this.#v1) return Number(readFileSync(join(this.#group, 'cpuacct.usage'), 'utf8')) / 1e9;
    const [, microseconds = '0'] = /usage_usec (\d+)/.exec(readFileSync(join(this.#group, 'cpu.stat'), 'utf8')) ?? [];
    return Number(microseconds) / 1e6;
  }

  #watchMemory(): () => number {
    let peak = 0;
    const look = (): void => {
      let sum = 0;
      for (const pid of this.processes()) sum += residentBytes(pid);
      peak = Math.max(peak, sum);
    };
    const timer = setInterval(look, 25);
    return () => {
      clearInterval(timer);
      return peak;
    };
  }

  processes(): number[] {
    const text = readFileSync(join(this.#group, 'cgroup.procs'), 'utf8');
    return text.split('\n').filter(Boolean).map(Number);
  }

  /** Ends what is left in the group, and the group. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let tries = 0; this.processes().length > 0 && tries < 200; tries++) {
      for (const pid of this.processes()) end(pid, tries < 100 ? 'SIGTERM' : 'SIGKILL');
      await delay(50);
    }
    rmdirSync(this.#group);
  }
}

function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone meanwhile.
  }
}

/** Memory of its own: the files that it has mapped are the page cache's. */
function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const [, kilobytes = '0'] = /^VmRSS:\s+(\d+)/m.exec(status) ?? [];
    return Number(kilobytes) * 1024;
  } catch {
    return 0;
  }
}
