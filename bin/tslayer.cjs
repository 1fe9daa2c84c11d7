#!/usr/bin/env sh
':' //; exec node --min-semi-space-size=16 -- "$0" "$@"
/**
 * The executable. The line above is a shell's and, to JavaScript, a string and a comment: without the `--`, which a
 * portable `#!` cannot carry, Node would take `run --env-file FILE` for its own, and NODE_OPTIONS from that file, which
 * are meant for a container. And with room for young objects from the beginning, a short command ends before V8 has
 * collected any. The shell is found by env(1), one program more to start, because npm's tools (publint) take a file that
 * does not begin so for none to execute.
 *
 * Kept to syntax that Node 12 parses, so that an old Node gets a sentence instead of a SyntaxError;
 * everything else is behind one import. `--version` is answered here, before anything is loaded. CommonJS, because
 * the ESM facades of Node's own modules cost more than this whole file.
 */
'use strict';

// Without `node:`, which require() knows since 14.18 only.
/* biome-ignore-start lint/style/useNodejsImportProtocol: an old Node has to come as far as the sentence */
const { existsSync, readFileSync } = require('fs');
const nodeModule = require('module');
const { join } = require('path');
/* biome-ignore-end lint/style/useNodejsImportProtocol: see above */

const NEEDED = [22, 15];

function nodeIsTooOld() {
  const version = process.versions.node.split('.').map(Number);
  return version[0] < NEEDED[0] || (version[0] === NEEDED[0] && version[1] < NEEDED[1]);
}

function packageVersion() {
  return JSON.parse(readFileSync(join(__dirname, '../package.json'), 'utf8')).version;
}

/** Root of a user namespace, as for an ordinary user's containers, is not the one that /var belongs to. */
function isMachineRoot() {
  const uid = process.getuid ? process.getuid() : -1;
  if (uid !== 0) return false;
  try {
    return /^ *0 +0 +4294967295\n$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
  } catch (_) {
    return true;
  }
}

/**
 * Compiled code is cached between runs, but never in the shared temporary directory that Node would take: what lies
 * there could have been planted by another user, and it is run.
 */
function cacheDirectory() {
  if (isMachineRoot()) return '/var/cache/tslayer/node';
  const base = process.env.XDG_CACHE_HOME || (process.env.HOME && join(process.env.HOME, '.cache'));
  return base && join(base, 'tslayer', 'node');
}

function start() {
  const directory = process.env.NODE_DISABLE_COMPILE_CACHE ? undefined : cacheDirectory();
  if (directory && !process.env.NODE_COMPILE_CACHE) nodeModule.enableCompileCache(directory);
  const built = join(__dirname, '../dist/src-cli-main.cjs');
  if (!existsSync(built)) {
    process.stderr.write('tslayer: this copy was not built\nhint: run npm run build in its directory\n');
    process.exit(1);
  }
  const argv = process.argv.slice(2);
  require('./program.cjs').loadProgram(built, argv, directory).runProcess(argv);
}

if (nodeIsTooOld()) {
  process.stderr.write(
    `tslayer: Node ${NEEDED.join('.')} or newer is needed, this is ${process.versions.node} (${process.execPath})\n`,
  );
  process.exit(6);
} else if (process.argv.length === 3 && (process.argv[2] === '--version' || process.argv[2] === '-V')) {
  process.stdout.write(`tslayer ${packageVersion()}\n`);
} else {
  start();
}
