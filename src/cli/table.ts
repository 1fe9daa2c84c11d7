/** Tables without lines, as docker prints them: easy to read, easy to cut(1). */
import { printable } from './format.ts';

const GAP = '   ';
const ASCII = /^[\x20-\x7e]*$/;

/** Columns are as wide as their widest cell; a line ends after its last word. */
export function renderTable(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headers, ...rows].map((row) => row.map(harmless));
  const widths = headers.map(() => 0);
  for (const line of lines) {
    for (let column = 0; column < widths.length; column++) {
      const cell = line[column] ?? '';
      // Never fewer UTF-16 units than characters.
      if (cell.length > (widths[column] as number)) widths[column] = Math.max(widths[column] as number, widthOf(cell));
    }
  }
  let table = '';
  for (const line of lines) {
    let text = '';
    for (let column = 0; column < line.length; column++) text += pad(line[column] as string, widths[column] ?? 0) + GAP;
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
