/**
 * Reads a file line by line, of any size, in bounded memory.
 *
 * Line breaks are LF or CRLF, a mark of UTF-8 at the beginning is passed over, and so are empty lines.
 */
import { isUtf8 } from "node:buffer";
import { closeSync, openSync, readSync } from "node:fs";
import { BadInput } from "./record_line.ts";

const BLOCK_BYTES = 1024 * 1024;
const LINE_FEED = 10;
const BYTE_ORDER_MARK = "\ufeff";

export type Line = {
  /** From 1 on. */
  readonly number: number;
  /** Or what is wrong with it. */
  readonly text: string | BadInput;
};

/** What was read at once: its lines, and how many bytes that was. */
export type LineBlock = { readonly lines: readonly Line[]; readonly bytes: number };

/** `lineBytesMax`: longer lines are passed over, and told. */
export function* readLines(
  file: string,
  { lineBytesMax }: { readonly lineBytesMax: number },
): Generator<LineBlock> {
  const handle = openSync(file, "r");
  try {
    let rest = Buffer.alloc(0);
    let lineNumber = 0;
    let isTooLong = false;
    for (;;) {
      const block = Buffer.allocUnsafe(rest.length + BLOCK_BYTES);
      rest.copy(block);
      const bytes = readSync(handle, block, rest.length, BLOCK_BYTES, null);
      const filled = block.subarray(0, rest.length + bytes);
      const isEnd = bytes === 0;
      const end = isEnd ? filled.length : filled.lastIndexOf(LINE_FEED) + 1;
      const lines: Line[] = [];
      for (const text of textsOf(filled.subarray(0, end))) {
        lineNumber++;
        lines.push({ number: lineNumber, text: isTooLong ? tooLong(lineBytesMax) : clean(text, lineNumber) });
        isTooLong = false;
      }
      rest = filled.subarray(end);
      if (rest.length > lineBytesMax) {
        isTooLong = true;
        rest = Buffer.alloc(0);
      }
      yield { lines: lines.filter(({ text }) => text !== ""), bytes };
      if (!isEnd) continue;
      if (isTooLong) yield { lines: [{ number: lineNumber + 1, text: tooLong(lineBytesMax) }], bytes: 0 };
      return;
    }
  } finally {
    closeSync(handle);
  }
}

/** The lines of a piece that ends with one. */
function textsOf(piece: Buffer): (string | BadInput)[] {
  if (piece.length === 0) return [];
  const whole = piece.at(-1) === LINE_FEED ? piece.subarray(0, -1) : piece;
  if (isUtf8(whole)) return whole.toString("utf8").split("\n");
  const texts: (string | BadInput)[] = [];
  for (let start = 0; start <= whole.length; ) {
    const next = whole.indexOf(LINE_FEED, start);
    const end = next < 0 ? whole.length : next;
    const line = whole.subarray(start, end);
    texts.push(isUtf8(line) ? line.toString("utf8") : new BadInput("expected UTF-8, got other bytes"));
    start = end + 1;
  }
  return texts;
}

function clean(text: string | BadInput, number: number): string | BadInput {
  if (typeof text !== "string") return text;
  const marked = number === 1 && text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  return marked.endsWith("\r") ? marked.slice(0, -1) : marked;
}

const tooLong = (bytes: number): BadInput =>
  new BadInput(`expected a line of at most ${bytes / 2 ** 20} MiB, got a longer one`);
