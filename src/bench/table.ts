/**
 * Tables for terminals: text to the left, numbers to the right.
 */

export type Cell = string | number | undefined;

const NUMBER = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });

/** Lines under a line of names; what is not known is a dash. */
export function renderTable(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => row.map(renderCell));
  const widths = head.map((name, column) =>
    Math.max(name.length, ...texts.map((row) => row[column]?.length ?? 0)),
  );
  const isNumber = head.map((_, column) => rows.some((row) => typeof row[column] === "number"));
  const line = (cells: readonly string[]): string =>
    cells
      .map((text, column) => {
        const width = widths[column] as number;
        return isNumber[column] ? text.padStart(width) : text.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return [line(head), ...texts.map(line)].map((text) => `${text}\n`).join("");
}

/** Three digits that count: `1,230,000`, `12.3`, `0.0123`. */
export function renderCell(cell: Cell): string {
  if (cell === undefined) return "–";
  return typeof cell === "number" ? NUMBER.format(cell) : cell;
}
