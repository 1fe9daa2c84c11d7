/** Tables without lines, as docker prints them: easy to read, easy to cut(1). */
import { printable } from './format.ts';

const GAP = '   ';

/** Columns are as wide as their widest cell; a line ends after its last word. */
export function renderTable(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headers, ...rows].map((row) => row.map(printable));
  const widths = headers.map((_, column) => Math.max(...lines.map((row) => widthOf(row[column] ?? ''))));
  const text = lines.map((row) =>
    row
      .map((cell, column) => pad(cell, widths[column] ?? 0))
      .join(GAP)
      .trimEnd(),
  );
  return `${text.join('\n')}\n`;
}

function pad(cell: string, width: number): string {
  return cell + ' '.repeat(width - widthOf(cell));
}

const ASCII = /^[\x20-\x7e]*$/;

/** Characters, not UTF-16 units. */
function widthOf(text: string): number {
  return ASCII.test(text) ? text.length : [...text].length;
}
