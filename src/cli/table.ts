/** Tables without lines, as docker prints them: easy to read, easy to cut(1). */
import { printable } from './format.ts';

const GAP = '   ';
const ASCII = /^[\x20-\x7e]*$/;

/** Columns are as wide as their widest cell; a line ends after its last word. */
export function renderTable(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = printableLines(headers, rows);
  return asText(lines, widthsOf(lines));
}

/** The same for a screen: columns that find no room are left out, and so are lines, which are counted. */
export function renderScreen(
  headers: readonly string[],
  rows: readonly (readonly string[])[],
  screen: { readonly rows: number; readonly columns: number },
): string {
  // The first line is the headers', the last one the cursor's.
  const room = Math.max(screen.rows - 2, 1);
  const shown = rows.length <= room ? rows : rows.slice(0, room - 1);
  const lines = printableLines(headers, shown);
  const widths = widthsThatFit(widthsOf(lines), screen.columns);
  const rest = rows.length - shown.length;
  return asText(lines, widths) + (rest === 0 ? '' : `and ${rest} more\n`);
}

function widthsThatFit(widths: readonly number[], columns: number): readonly number[] {
  const ends = widths.map((_, i) =>
    widths.slice(0, i + 1).reduce((end, width) => end + GAP.length + width, -GAP.length),
  );
  return widths.slice(0, Math.max(ends.filter((end) => end <= columns).length, 1));
}

function printableLines(headers: readonly string[], rows: readonly (readonly string[])[]): string[][] {
  return [headers, ...rows].map((row) => row.map(harmless));
}

function widthsOf(lines: readonly (readonly string[])[]): number[] {
  const widths = lines[0]!.map(() => 0);
  for (const line of lines) {
    for (let column = 0; column < widths.length; column++) {
      const cell = line[column] ?? '';
      // Never fewer UTF-16 units than characters.
      if (cell.length > widths[column]!) widths[column] = Math.max(widths[column]!, widthOf(cell));
    }
  }
  return widths;
}

/** As many columns as there are widths. */
function asText(lines: readonly (readonly string[])[], widths: readonly number[]): string {
  let table = '';
  for (const line of lines) {
    let text = '';
    for (let column = 0; column < widths.length; column++) text += pad(line[column] ?? '', widths[column]!) + GAP;
    table += `${text.trimEnd()}\n`;
  }
  return table;
}

function pad(cell: string, width: number): string {
  return cell + ' '.repeat(width - widthOf(cell));
}

function harmless(cell: string): string {
  return ASCII.test(cell) ? cell : printable(cell);
}

/** Characters, not UTF-16 units. */
function widthOf(text: string): number {
  return ASCII.test(text) ? text.length : [...text].length;
}
