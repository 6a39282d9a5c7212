/**
 * A text as bytes: the inside of its JSON string in UTF-8, which is how it arrives, how it is kept and how it is sent.
 *
 * These bytes are canonical (what JSON.stringify makes, without the quotes), so two texts are equal exactly when their
 * bytes are. A string of each name in a request costs more than all that is done with it.
 */
import { BACKSLASH, QUOTE, SPACE } from "../protocol/ascii.ts";
import { readUtf8, writeUtf8 } from "./utf8.ts";

/** Longer texts have a buffer made for them. */
const OWN_BYTES = 256;
/** A UTF-16 code unit takes this many bytes at most. */
const UTF8_BYTES_MAX = 3;
const PRINTABLE_MAX = 0x7e;
const NO_BYTES = Buffer.alloc(0);

/**
 * Reused from request to request: it is what it is until the next one comes, and whoever keeps it copies its bytes.
 */
export class RawText {
  /** Where the text is: `bytes[start, end)`. */
  bytes: Buffer = NO_BYTES;
  start = 0;
  end = 0;
  /** By which it is looked up, a name in name.ts, a key in value_table.ts; 0 where it is not known. */
  hash = 0;

  #own: Buffer | undefined;

  static of(text: string): RawText {
    return new RawText().take(text);
  }

  /** Its length in bytes, which is no less than the string's. */
  get length(): number {
    return this.end - this.start;
  }

  /** Takes what stands somewhere, and is canonical. */
  point(bytes: Buffer, start: number, end: number, hash = 0): this {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.hash = hash;
    return this;
  }

  /** Takes a copy of a string. */
  take(text: string): this {
    if (text.length > OWN_BYTES / UTF8_BYTES_MAX) return this.#takeEscaped(text);
    this.#own ??= Buffer.allocUnsafeSlow(OWN_BYTES);
    const bytes = this.#own;
    const size = writeUtf8(bytes, text, 0);
    for (let at = 0; at < size; at++) {
      const byte = bytes[at] as number;
      if (byte < SPACE || byte === QUOTE || byte === BACKSLASH || byte > PRINTABLE_MAX) {
        return this.#takeEscaped(text);
      }
    }
    return this.point(bytes, 0, size);
  }

  toString(): string {
    return unescapeText(this.bytes, this.start, this.end);
  }

  #takeEscaped(text: string): this {
    const bytes = escapeText(text);
    return this.point(bytes, 0, bytes.length);
  }
}

/** The canonical bytes of a text. */
export function escapeText(text: string): Buffer {
  return Buffer.from(JSON.stringify(text).slice(1, -1));
}

/** The text in the inside of a JSON string, whichever escapes it uses. */
export function unescapeText(bytes: Buffer, start: number, end: number): string {
  const text = readUtf8(bytes, start, end);
  return text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
}
