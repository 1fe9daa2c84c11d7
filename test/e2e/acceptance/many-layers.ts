/**
 * A stack of many layers in which everything happens that a layer can say: additions, replacements of every kind by
 * every other, whiteouts of files and trees, opaque directories, hard links. Random, and the same for one seed.
 */
import { type TarMember, tarBytes } from '../../support/tar-bytes.ts';

type Kind = 'file' | 'directory' | 'symlink';

/** Numbers from 0 up to and without `below`; a linear congruential generator is random enough here. */
type Random = (below: number) => number;

function randomFrom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** @returns tars, base first; everything lies below `srv/` */
export function manyLayers(count: number, seed: number): Buffer[] {
  const random = randomFrom(seed);
  const tree = new Map<string, Kind>();
  return Array.from({ length: count }, (_, index) => tarBytes(new Changeset(tree, random, index).members()));
}

/** One layer over the tree so far, which it brings up to date. */
class Changeset {
  readonly #tree: Map<string, Kind>;
  readonly #random: Random;
  readonly #index: number;
  readonly #members: TarMember[] = [];
  /** Paths that this layer has said something about: a tar says it once. */
  readonly #said = new Set<string>();

  constructor(tree: Map<string, Kind>, random: Random, index: number) {
    this.#tree = tree;
    this.#random = random;
    this.#index = index;
  }

  members(): TarMember[] {
    this.#directory('srv');
    // Whiteouts first, as differs write them: what follows is added to what they leave.
    for (let i = 0; i < 2; i++) this.#removeOne();
    if (this.#index % 4 === 3) this.#empty();
    for (let i = 0; i < 6; i++) this.#add();
    if (this.#index % 5 === 4) this.#replaceOne();
    return this.#members;
  }

  #add(): void {
    const parent = this.#pick('directory') ?? 'srv';
    const path = `${parent}/${this.#index}-${this.#members.length}`;
    const choice = this.#random(5);
    if (choice === 0) this.#directory(path);
    else if (choice === 1) this.#say(path, 'symlink', { type: '2', link: '../target', mode: 0o777 });
    else this.#file(path);
    if (choice === 4) this.#say(`${path}-link`, 'file', { type: '1', link: path });
  }

  #file(path: string): void {
    const data = Buffer.alloc(this.#random(3000), `${path} `);
    this.#say(path, 'file', { data, mode: 0o600 + this.#random(0o200), uid: this.#random(70_000) });
  }

  #directory(path: string): void {
    this.#say(path, 'directory', { type: '5', mode: 0o700 + this.#random(0o100), gid: this.#random(5) });
  }

  /** A whiteout, of a tree as well as of a file. */
  #removeOne(): void {
    const path = this.#pick(this.#random(3) === 0 ? 'directory' : 'file');
    if (path === undefined || path === 'srv' || this.#touchedBelow(path)) return;
    const slash = path.lastIndexOf('/');
    this.#members.push({ path: `${path.slice(0, slash)}/.wh.${path.slice(slash + 1)}` });
    this.#said.add(path);
    this.#forget(path);
  }

  /** An opaque directory with something new in it. */
  #empty(): void {
    const path = this.#pick('directory');
    if (path === undefined || path === 'srv' || this.#touchedBelow(path)) return;
    this.#forget(path);
    this.#directory(path);
    this.#members.push({ path: `${path}/.wh..wh..opq` });
    this.#file(`${path}/first-${this.#index}`);
  }

  /** A file where a directory was, or the other way round, by nothing but being there. */
  #replaceOne(): void {
    const kind = this.#random(2) === 0 ? 'directory' : 'file';
    const path = this.#pick(kind);
    if (path === undefined || path === 'srv' || this.#touchedBelow(path)) return;
    this.#forget(path);
    if (kind === 'directory') this.#file(path);
    else this.#directory(path);
  }

  #pick(kind: Kind): string | undefined {
    const candidates = [...this.#tree].flatMap(([path, found]) => (found === kind ? [path] : []));
    const path = candidates[this.#random(candidates.length)];
    // What is below something that this layer has removed is not there any more; the tree knows that already.
    return path !== undefined && !this.#said.has(path) ? path : undefined;
  }

  #touchedBelow(path: string): boolean {
    return [...this.#said].some((said) => said.startsWith(`${path}/`));
  }

  #say(path: string, kind: Kind, member: Omit<TarMember, 'path'>): void {
    if (this.#said.has(path)) return;
    this.#said.add(path);
    this.#tree.set(path, kind);
    this.#members.push({ ...member, path, mtime: 1_000_000 * (this.#index + 1) + this.#members.length });
  }

  #forget(path: string): void {
    for (const known of [...this.#tree.keys()]) {
      if (known === path || known.startsWith(`${path}/`)) this.#tree.delete(known);
    }
  }
}
