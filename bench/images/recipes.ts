/** The images that everything is measured with, and what each is made of. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { BuiltLayer, LayoutBuilder } from './layout.ts';
import { debianBase, debianPackages, type Files, fileTar, gunzipped, nodeApplication, weights } from './tars.ts';

export interface Recipe {
  readonly name: string;
  readonly summary: string;
  layers(builder: LayoutBuilder): Promise<BuiltLayer[]>;
}

const PROJECT = resolve(import.meta.dirname, '../..');
const FIXTURES = process.env.TSLAYER_FIXTURES ?? resolve(PROJECT, '../shared/fixtures');

const PYTHON = [
  ...['python3.11', 'python3.11-minimal', 'libpython3.11-minimal', 'libpython3.11-stdlib', 'libpython3.11'],
  ...['python3-pip', 'python3-setuptools', 'python3-wheel', 'python3-pkg-resources', 'python3-requests'],
];

const ALPINE: Readonly<Record<string, string>> = { '3.18': '3.18.9', '3.19': '3.19.4', '3.20': '3.20.3' };

function alpine(builder: LayoutBuilder, version: string): Promise<BuiltLayer> {
  const file = join(FIXTURES, `alpine-minirootfs-${ALPINE[version]}-x86_64.tar.gz`);
  return builder.layer(`alpine-${version}`, () => gunzipped(file));
}

const debian = (builder: LayoutBuilder): Promise<BuiltLayer> => builder.layer('debian', debianBase);

async function python(builder: LayoutBuilder): Promise<BuiltLayer[]> {
  return [await debian(builder), await builder.layer('python', () => debianPackages(PYTHON))];
}

async function nodeApp(builder: LayoutBuilder): Promise<BuiltLayer[]> {
  const modules = join(PROJECT, 'node_modules');
  const application = await builder.layer('node-app', () => nodeApplication(modules, 30_900));
  const own = await builder.layer('node-app-own', () => fileTar({ 'app/package.json': '{}', 'app/index.js': '' }));
  return [await debian(builder), application, own];
}

/** A layer of the 60: adds a directory, takes two files of an earlier one away, now and then replaces one whole. */
function smallLayer(index: number): Files {
  const files: Record<string, string> = { [`srv/layer${index}/`]: '' };
  for (let i = 0; i < 30; i++) files[`srv/layer${index}/file${i}`] = `layer ${index} file ${i}\n`.repeat(20 + i);
  for (const i of index > 0 ? [0, 1] : []) files[`srv/layer${index - 1}/.wh.file${i}`] = '';
  if (index % 5 === 4) files[`srv/layer${index - 3}/.wh..wh..opq`] = '';
  return files;
}

async function manyLayers(builder: LayoutBuilder): Promise<BuiltLayer[]> {
  const layers = [await alpine(builder, '3.20')];
  for (let i = 0; i < 59; i++) layers.push(await builder.layer(`many-${i}`, () => fileTar(smallLayer(i))));
  return layers;
}

async function big(builder: LayoutBuilder): Promise<BuiltLayer[]> {
  return [await alpine(builder, '3.20'), await builder.layer('big', () => weights('weights', 530_000_000))];
}

async function service(builder: LayoutBuilder, index: number): Promise<BuiltLayer[]> {
  const files: Record<string, string | Uint8Array> = { 'opt/': '', 'opt/svc/': '' };
  for (let i = 0; i < 5; i++)
    files[`opt/svc/${index}-${i}`] = readFileSync(process.execPath).subarray(i * 100_000, i * 100_000 + 40_000 + index);
  return [...(await python(builder)), await builder.layer(`svc-${index}`, () => fileTar(files))];
}

export const RECIPES: readonly Recipe[] = [
  ...Object.keys(ALPINE).map((version) => ({
    name: `alpine-${version}`,
    summary: `the official root file system of Alpine ${version}, one layer`,
    layers: async (builder: LayoutBuilder) => [await alpine(builder, version)],
  })),
  { name: 'python-3', summary: 'Debian 12 by mmdebstrap, and a layer of Python packages', layers: python },
  { name: 'node-app', summary: 'the same base, node and 30,900 entries of node_modules', layers: nodeApp },
  {
    name: 'many-layers',
    summary: 'Alpine and 59 small layers with whiteouts and opaque directories',
    layers: manyLayers,
  },
  { name: 'big', summary: 'Alpine and one layer of 530 MB, of which gzip leaves seven tenths', layers: big },
  ...Array.from({ length: 10 }, (_, i) => ({
    name: `svc-${i + 1}`,
    summary: 'python-3 and a small layer of its own',
    layers: (builder: LayoutBuilder) => service(builder, i + 1),
  })),
];
