/**
 * Runs a bundled program with the code that V8 made of it in an earlier run. Node's own compile cache keeps what is
 * compiled before anything runs, the outermost functions: what a command really executes would be parsed and compiled
 * at every start, which is a fifth of all that `run` computes. Here the code is kept as it is at the end of a run that
 * went well, by the name of the command, since each executes another part.
 *
 *     CACHE/code/BUILD/COMMAND          BUILD: the program's file as it is now, and the Node that ran it
 *     CACHE/code/BUILD/COMMAND.PART     a part of the program that lies in a file of its own, MAIN-PART.cjs
 *
 * V8 refuses code of another version of itself, but believes what it reads: a file is whole, or not there.
 */
'use strict';

const fs = require('node:fs');
const { createRequire } = require('node:module');
const { dirname, join } = require('node:path');
const vm = require('node:vm');

const DAY_MS = 86400000;
/** How long a build's code is kept after it was last added to, once there is another build. */
const KEPT_DAYS = 30;

/** The global options that are followed by a value: src/cli/globals.ts. One that is missing here costs time only. */
const WITH_VALUE = new Set(['--root', '--driver', '--config', '--log-level']);

function commandOf(argv) {
  for (let i = 0; i < argv.length; i++) {
    if (WITH_VALUE.has(argv[i])) i++;
    else if (!argv[i].startsWith('-')) return /^[a-z]+$/.test(argv[i]) ? argv[i] : undefined;
  }
  return undefined;
}

function readIfThere(file) {
  try {
    return fs.readFileSync(file);
  } catch {
    return undefined;
  }
}

function save(script, file) {
  const directory = dirname(file);
  if (fs.mkdirSync(directory, { recursive: true, mode: 0o700 })) removeOld(dirname(directory));
  const unfinished = `${file}.${process.pid}`;
  const fd = fs.openSync(unfinished, 'wx', 0o600);
  try {
    fs.writeFileSync(fd, script.createCachedData());
    fs.fdatasyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(unfinished, file);
}

function removeOld(builds) {
  for (const name of fs.readdirSync(builds)) {
    const build = join(builds, name);
    if (Date.now() - fs.statSync(build).mtimeMs > KEPT_DAYS * DAY_MS) fs.rmSync(build, { recursive: true });
  }
}

/** Keeps the code of a script when the process ends well. */
function saveAtExit(script, saved, isNew) {
  process.on('exit', (status) => {
    try {
      // An ordinary user's command starts over as root of a namespace: that one has done the work, and saved it.
      const isLate = isNew && fs.existsSync(saved);
      if (status === 0 && !isLate) save(script, saved);
    } catch {
      // Without it the next start takes longer, no more: the directory is not there to be written, the disk is full.
    }
  });
}

// A script's own import() would be experimental, and say so.
const load = (specifier) => import(specifier);

/** What the script in `file` exports. @param saved where its code is kept @param part gives what another part exports */
function runScript(file, saved, part) {
  // The bundler writes ASCII only.
  const source = fs.readFileSync(file, 'latin1');
  const cachedData = saved && readIfThere(saved);
  const script = new vm.Script(`(function (exports, require, module, __filename, __import, __part) {${source}\n})`, {
    filename: file,
    cachedData,
  });
  if (saved && (cachedData === undefined || script.cachedDataRejected)) {
    saveAtExit(script, saved, cachedData === undefined);
  }
  const program = { exports: {} };
  script.runInThisContext().call(undefined, program.exports, createRequire(file), program, file, load, part);
  return program.exports;
}

/** What the program in `file` exports. @param cache a directory that nobody else can write to; undefined: no cache */
exports.loadProgram = (file, argv, cache) => {
  const { ino, size, ctimeMs } = fs.statSync(file);
  const command = commandOf(argv);
  const build = [process.version, process.arch, ino, size, Math.trunc(ctimeMs)].join('-');
  const saved = cache && command && join(cache, 'code', build, command);
  const parts = new Map();
  const part = (name) => {
    if (!parts.has(name)) {
      parts.set(name, runScript(file.replace(/\.cjs$/, `-${name}.cjs`), saved && `${saved}.${name}`, part));
    }
    return parts.get(name);
  };
  const program = runScript(file, saved, part);
  parts.set('core', program);
  return program;
};
