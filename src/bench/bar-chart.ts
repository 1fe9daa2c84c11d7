/**
 * A grouped bar chart as SVG, for a README: horizontal bars, a group of them for each thing that was measured, the
 * spread from the least to the most as a thin line. Plain shapes and system fonts, readable on light and dark pages.
 */

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly min?: number;
  readonly max?: number;
  /** Ours stands out. */
  readonly highlight?: boolean;
}

export interface BarGroup {
  readonly title: string;
  readonly bars: readonly Bar[];
}

export interface BarChart {
  readonly title: string;
  /** Below the title: what the bars are, on what machine, when. */
  readonly notes: readonly string[];
  readonly unit: string;
  readonly groups: readonly BarGroup[];
}

const WIDTH = 860;
const LABELS = 250;
const VALUES = 90;
const ROW = 20;
const GAP = 34;
const PLOT = WIDTH - LABELS - VALUES;

export function barChart(chart: BarChart): string {
  const top = 52 + chart.notes.length * 16;
  const parts: string[] = [];
  let y = top;
  for (const group of chart.groups) {
    parts.push(groupParts(group, y, chart.unit));
    y += GAP + group.bars.length * ROW;
  }
  const height = y + 10;
  const notes = chart.notes.map((note, i) => text(16, 44 + i * 16, note, 'class="note"'));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<style>${STYLE}</style>`,
    `<rect class="page" width="${WIDTH}" height="${height}"/>`,
    text(16, 26, chart.title, 'class="title"'),
    ...notes,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

const STYLE = [
  '.page{fill:#fff}text{fill:#24292f}.note{fill:#57606a;font-size:11px}.title{font-size:16px;font-weight:600}',
  '.group{font-weight:600}.bar{fill:#8c959f}.ours{fill:#1f6feb}.spread{stroke:#24292f;stroke-width:1}',
].join('');

/** Each group has a scale of its own: what is compared is the tools, not the images. */
function groupParts({ title, bars }: BarGroup, top: number, unit: string): string {
  const most = Math.max(...bars.map((bar) => bar.max ?? bar.value), Number.MIN_VALUE);
  const x = (value: number): number => LABELS + (value / most) * PLOT;
  const rows = bars.map((bar, index) => {
    const y = top + 24 + index * ROW;
    const { label, value, min = value, max = value, highlight } = bar;
    const width = Math.max(1, x(value) - LABELS).toFixed(1);
    const spread = `<line class="spread" x1="${x(min).toFixed(1)}" x2="${x(max).toFixed(1)}" y1="${y - 4}" y2="${y - 4}"/>`;
    return [
      text(LABELS - 8, y, label, 'text-anchor="end"'),
      `<rect class="bar${highlight ? ' ours' : ''}" x="${LABELS}" y="${y - 11}" width="${width}" height="14"/>`,
      max > min ? spread : '',
      text(x(max) + 6, y, `${formatNumber(value)} ${unit}`),
    ].join('');
  });
  return [text(16, top + 6, title, 'class="group"'), ...rows].join('\n');
}

function formatNumber(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toPrecision(value >= 1 ? 3 : 2);
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y}" ${attributes}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
