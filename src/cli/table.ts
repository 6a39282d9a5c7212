/**
 * Tables for terminals: text to the left, numbers to the right, by the width of characters as a terminal shows them.
 */

export type Cell = string | number | undefined;

export type TableOptions = {
  /** The last column is cut where a line would be wider. */
  readonly widthMax?: number;
};

const NUMBER = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const GAP = "  ";
const CUT = "…";
/** What a terminal might obey; and what changes the direction or the order of what follows. */
const UNSAFE = /[\p{Cc}\p{Cs}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Lines under a line of names; what is not known is a dash. */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  options: TableOptions = {},
): string {
  const layout = new TableLayout(head, rows, options);
  return layout.line(head) + rows.map((row) => layout.line(row)).join("");
}

/** The widths of a table's columns, from its first lines: for one that is written while it is read. */
export class TableLayout {
  readonly #widths: readonly number[];
  readonly #isNumber: readonly boolean[];
  readonly #widthMax: number;

  constructor(
    head: readonly string[],
    rows: readonly (readonly Cell[])[],
    { widthMax = Number.POSITIVE_INFINITY }: TableOptions = {},
  ) {
    this.#widthMax = widthMax;
    this.#widths = head.map((name, column) =>
      rows.reduce((width, row) => Math.max(width, widthOf(renderCell(row[column]))), widthOf(name)),
    );
    this.#isNumber = head.map((_, column) => rows.some((row) => typeof row[column] === "number"));
  }

  line(cells: readonly Cell[]): string {
    const texts = cells.map((cell, column) => {
      const text = renderCell(cell);
      const gap = " ".repeat(Math.max(0, (this.#widths[column] as number) - widthOf(text)));
      return this.#isNumber[column] ? gap + text : text + gap;
    });
    return `${cutTo(texts.join(GAP).trimEnd(), this.#widthMax)}\n`;
  }
}

/** Three digits that count: `1,230,000`, `12.3`, `0.0123`. Text is made harmless. */
export function renderCell(cell: Cell): string {
  if (cell === undefined) return "–";
  return typeof cell === "number" ? NUMBER.format(cell) : escapeControls(cell);
}

/** Text from elsewhere as it may be shown: what a terminal would obey is written as JSON escapes it. */
export const escapeControls = (text: string): string => text.replaceAll(UNSAFE, escapeCharacter);

function escapeCharacter(character: string): string {
  const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[character];
  return short ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

const widthOf = (text: string): number => Bun.stringWidth(text);

function cutTo(line: string, widthMax: number): string {
  if (line.length * 2 <= widthMax || widthOf(line) <= widthMax) return line;
  let shown = "";
  let width = widthOf(CUT);
  for (const { segment } of GRAPHEMES.segment(line)) {
    width += widthOf(segment);
    if (width > widthMax) break;
    shown += segment;
  }
  return shown + CUT;
}

const GRAPHEMES = new Intl.Segmenter();
