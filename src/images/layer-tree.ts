/**
 * One layer as a tree of names, built from its index or its tar: what it adds, what it hides. Names are byte strings
 * (each character one byte), so that names that are not UTF-8 stay whole and sort as bytes do.
 */
import type { TarEntry } from '../archive/entry.ts';
import { TslayerError } from '../errors.ts';

/** A file's attributes. All names of a hard-linked file share one object. */
export interface FileInfo {
  readonly entry: TarEntry;
  /** Of a file's stored bytes, where an index told: other sums are other bytes, equal ones prove nothing. */
  readonly crc32?: number | undefined;
  /** Names it has in its layer. */
  links: number;
}

export interface LayerNode {
  /** Undefined for a directory that the layer only implies, and for a whiteout. */
  info: FileInfo | undefined;
  /** The lower layers' file of this name is hidden. */
  whiteout: boolean;
  /** Nothing that lower layers have in this directory shows through. */
  opaque: boolean;
  /** Present on directories. */
  children: Map<string, LayerNode> | undefined;
  /** A hard link whose target this layer does not have: found below when layers are put together. */
  linkBelow: string | undefined;
}

/** As many links as the kernel follows. */
const MAX_LINKS = 40;

/** Bytes as a string of characters 0 to 255. */
export function byteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

export function bytesOf(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}

/** Takes the calls of a LayerSink, in the tar's order. */
export class LayerTree {
  readonly root: LayerNode = newDirectory();

  entry(entry: TarEntry, crc32?: number): void {
    const path = byteString(entry.path);
    if (path === '') {
      this.root.info = { entry, links: 1 };
      return;
    }
    const { parent, name } = this.#locate(path);
    if (entry.type === 'hardlink') {
      this.#link(parent, name, byteString(entry.linkname), entry);
      return;
    }
    const before = parent.get(name);
    const isDirectory = entry.type === 'directory';
    const keeps = isDirectory && before?.children !== undefined;
    if (!keeps) unlink(before);
    parent.set(name, {
      info: { entry, crc32, links: 1 },
      // A whiteout of the same layer stays: what lies below it is hidden, and so a directory is opaque.
      whiteout: before?.whiteout ?? false,
      // In place of something else of this layer it hides what lies below that too.
      opaque: keeps ? before.opaque : isDirectory && before !== undefined,
      children: keeps ? before.children : isDirectory ? new Map() : undefined,
      linkBelow: undefined,
    });
  }

  whiteout(path: Uint8Array): void {
    const { parent, name } = this.#locate(byteString(path));
    const node = parent.get(name);
    if (node) node.whiteout = true;
    else
      parent.set(name, { info: undefined, whiteout: true, opaque: false, children: undefined, linkBelow: undefined });
  }

  opaque(path: Uint8Array): void {
    this.#directory(byteString(path).split('/').filter(Boolean)).opaque = true;
  }

  #link(parent: Map<string, LayerNode>, name: string, target: string, entry: TarEntry): void {
    const found = this.find(target);
    const node = newDirectory();
    node.children = undefined;
    node.whiteout = parent.get(name)?.whiteout ?? false;
    if (found?.info) {
      if (found === parent.get(name)) return;
      node.info = found.info;
      found.info.links++;
    } else {
      node.info = { entry, links: 1 };
      node.linkBelow = target;
    }
    unlink(parent.get(name));
    parent.set(name, node);
  }

  /** What the layer itself has under a name, its own links in the middle followed. */
  find(path: string): LayerNode | undefined {
    let node: LayerNode | undefined = this.root;
    for (const part of this.#resolve(path.split('/'), 0)) node = node?.children?.get(part);
    return node;
  }

  #locate(path: string): { readonly parent: Map<string, LayerNode>; readonly name: string } {
    const parts = path.split('/');
    const name = parts.pop() ?? '';
    const directory = this.#directory(parts);
    directory.children ??= new Map();
    return { parent: directory.children, name };
  }

  /** A directory of the layer, made where it is only implied. */
  #directory(parts: readonly string[]): LayerNode {
    let node: LayerNode = this.root;
    for (const part of this.#resolve([...parts, ''], 0).slice(0, -1)) {
      node.children ??= new Map();
      let next: LayerNode | undefined = node.children.get(part);
      if (!next?.children) {
        const hidden = next?.whiteout ?? false;
        unlink(next);
        next = { ...newDirectory(), whiteout: hidden };
        node.children.set(part, next);
      }
      node = next;
    }
    return node;
  }

  /** The path with the layer's own symbolic links in its directories followed; the last part is left as it is. */
  #resolve(parts: readonly string[], followed: number): string[] {
    if (followed > MAX_LINKS) throw new TslayerError('MALFORMED', 'the layer has a loop of links');
    const resolved: string[] = [];
    let node: LayerNode | undefined = this.root;
    for (const [i, part] of parts.entries()) {
      const next: LayerNode | undefined = node?.children?.get(part);
      if (next?.info?.entry.type === 'symlink' && i < parts.length - 1) {
        const target = joinTarget(resolved, byteString(next.info.entry.linkname));
        return this.#resolve([...target, ...parts.slice(i + 1)], followed + 1);
      }
      resolved.push(part);
      node = next;
    }
    return resolved;
  }
}

/** Where a link leads, seen from the directory it lies in; `..` never leaves the root. */
export function joinTarget(directory: readonly string[], target: string): string[] {
  const parts = target.startsWith('/') ? [] : [...directory];
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return parts;
}

function newDirectory(): LayerNode {
  return { info: undefined, whiteout: false, opaque: false, children: new Map(), linkBelow: undefined };
}

function unlink(node: LayerNode | undefined): void {
  if (node?.info) node.info.links--;
}
