/**
 * Texts as their bytes, one after another: cheaper to make than strings, and to hand to another thread.
 *
 * The bytes are those of the insides of JSON strings, in UTF-8, which is how texts are kept in memory and on disk.
 */
export type TextList = {
  /** How many bytes each has, or NO_TEXT. */
  readonly lengths: Int32Array;
  readonly bytes: Uint8Array;
};

/** The length of a text that is not there. */
const NO_TEXT = -1;

const BYTES_AT_FIRST = 256;
/** A UTF-16 code unit takes this many bytes at most. */
const UTF8_BYTES_MAX = 3;

/** Makes lists of texts, one at a time. */
export class TextWriter {
  #bytes = Buffer.allocUnsafeSlow(BYTES_AT_FIRST);
  #end = 0;
  #lengths: number[] = [];

  /** Of the list that is being made. */
  get byteLength(): number {
    return this.#end;
  }

  add(source: Buffer, start: number, end: number): void {
    const size = end - start;
    if (this.#end + size > this.#bytes.length) this.#grow(size);
    source.copy(this.#bytes, this.#end, start, end);
    this.#end += size;
    this.#lengths.push(size);
  }

  addText(text: string): void {
    const most = text.length * UTF8_BYTES_MAX;
    if (this.#end + most > this.#bytes.length) this.#grow(most);
    const size = this.#bytes.write(text, this.#end);
    this.#end += size;
    this.#lengths.push(size);
  }

  addNone(): void {
    this.#lengths.push(NO_TEXT);
  }

  /** The list; the next one is empty. */
  take(): TextList {
    const list = {
      lengths: Int32Array.from(this.#lengths),
      // A view would be handed to another thread with all that is behind it.
      bytes: new Uint8Array(this.#bytes.subarray(0, this.#end)),
    };
    this.#lengths = [];
    this.#end = 0;
    return list;
  }

  #grow(size: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, this.#end + size));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }
}

/** A list of strings that are the insides of JSON strings already. */
export function textListOf(texts: readonly string[]): TextList {
  const writer = new TextWriter();
  for (const text of texts) writer.addText(text);
  return writer.take();
}

/** The texts of a list, in order; undefined for one that is not there. */
export function* textsIn({ lengths, bytes }: TextList): Generator<string | undefined, void> {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  for (const length of lengths) {
    if (length === NO_TEXT) yield undefined;
    else {
      yield source.toString("utf8", at, at + length);
      at += length;
    }
  }
}
