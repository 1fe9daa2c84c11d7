/** The live display as text: a line a layer, and a total. Pure, so that it can be looked at without a terminal. */
import { duration, shortDigest, size, speed } from '../format.ts';
import { isFinished, type LayerProgress, type ProgressModel } from './model.ts';

const BAR_CELLS = 24;
const NARROW = 80;

/** Lines of at most `columns` characters, at most `rows` of them; the total comes last. */
export function renderFrame(model: ProgressModel, now: number, columns: number, rows: number): string[] {
  const layers = [...model.layers];
  const room = Math.max(1, rows - 1);
  const shown = layers.length <= room ? layers : selectLayers(layers, room);
  const lines = shown.map((layer) => layerLine(layer, now, columns));
  if (layers.length > 0) lines.push(totalLine(model, now));
  if (model.message) lines.push(model.message);
  return lines.slice(-Math.max(1, rows)).map((line) => line.slice(0, columns));
}

/** Where not all fit: the ones that move, then those that wait. */
function selectLayers(layers: readonly LayerProgress[], room: number): LayerProgress[] {
  const active = layers.filter((layer) => !isFinished(layer) && layer.state !== 'planned');
  const planned = layers.filter((layer) => layer.state === 'planned');
  return [...active, ...planned].slice(0, room);
}

function layerLine(layer: LayerProgress, now: number, columns: number): string {
  const name = shortDigest(layer.digest).padEnd(12);
  if (isFinished(layer)) return `${name}  ${statusOf(layer)}  ${size(layer.size)}`;
  const progress = `${size(layer.bytes)} / ${size(layer.size)}`;
  const rest = layer.state === 'transferring' && layer.bytes < layer.size ? pace(layer, now) : statusOf(layer);
  return `${name}  ${bar(layer.bytes, layer.size, columns)}  ${progress.padEnd(19)}  ${rest}`.trimEnd();
}

/** Speed and time left. */
function pace({ speed: meter, bytes, size: whole }: LayerProgress, now: number): string {
  const rate = meter.at(now);
  return rate > 0 ? `${speed(rate).padEnd(11)}  ${duration((whole - bytes) / rate)} left` : '';
}

function statusOf(layer: LayerProgress): string {
  switch (layer.state) {
    case 'planned':
      return 'queued';
    case 'transferring':
    case 'downloaded':
      return unpacking(layer);
    case 'waiting':
      return 'waiting for another process';
    case 'exists':
      return 'already here';
    default:
      return layer.state;
  }
}

function unpacking(layer: LayerProgress): string {
  return layer.unpacked > 0 ? `unpacking ${size(layer.unpacked)}` : 'verifying';
}

function totalLine(model: ProgressModel, now: number): string {
  const { bytes, size: whole, finished, layers } = model.totals();
  const rate = model.speed(now);
  const left = rate > 0 && bytes < whole ? `  ${duration((whole - bytes) / rate)} left` : '';
  const moving = rate > 0 ? `  ${speed(rate)}` : '';
  return `${'total'.padEnd(12)}  ${finished}/${layers} layers  ${size(bytes)} / ${size(whole)}${moving}${left}`;
}

function bar(value: number, total: number, columns: number): string {
  const cells = columns < NARROW ? BAR_CELLS / 2 : BAR_CELLS;
  const full = total > 0 ? Math.floor((Math.min(value, total) / total) * cells) : 0;
  return `[${'#'.repeat(full)}${'-'.repeat(cells - full)}]`;
}
