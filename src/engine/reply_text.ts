/**
 * The text of one answer while it is put together: a growing buffer of JSON in UTF-8.
 *
 * One is reused for all answers of a database that are put together in one turn. Records are copied in from where they
 * live, and the whole becomes a string once, at memory speed, together with what the server puts around it: for that
 * there is room in front of the text. Strings that are concatenated are copied once more when they are sent.
 */
import { type AsciiText, COMMA } from "../protocol/ascii.ts";
import { DatabaseError } from "../protocol/errors.ts";
import { REPLY_BYTES_MAX } from "../protocol/limits.ts";
import type { AnswerBytes } from "./database.ts";
import type { Name } from "./name.ts";
import { neverInline } from "./never_inline.ts";
import type { RawText } from "./raw_text.ts";
import type { Slab } from "./slab.ts";
import { COPIED_HERE_BYTES_MAX, copyText } from "./text_copy.ts";
import { readUtf8 } from "./utf8.ts";

const BYTES_AT_FIRST = 64 * 1024;
/** A buffer that one large answer made grow beyond this is not kept. */
const BYTES_KEPT = 4 * 1024 * 1024;
/** The room in front: for an id of usual length, and the names of members. */
const FRONT_BYTES = 128;
const ASCII_MAX = 0x7f;

export class ReplyText implements AnswerBytes {
  bytes: Buffer = Buffer.allocUnsafeSlow(BYTES_AT_FIRST);
  /** The same memory. */
  view = new DataView(this.bytes.buffer);
  /** Where the text ends in the buffer. */
  end = FRONT_BYTES;

  readonly #bytesMax: number;
  /**
   * What was put in front of the text last, and is still there. Replies of one kind with ids of one length follow each
   * other, and to write it again takes 40 ns, as much as to make a string of a short reply.
   */
  #first: AsciiText | undefined;
  #head: AsciiText | undefined;
  #frontStart = 0;
  /** What has left the buffer already. */
  #cutText = "";
  #cutBytes = 0;

  constructor({ bytesMax = REPLY_BYTES_MAX }: { bytesMax?: number } = {}) {
    this.#bytesMax = bytesMax;
    // All questions about latest records come here, in ways of their own.
    neverInline(this.document);
  }

  /** How much there is in the buffer. */
  get length(): number {
    return this.end - FRONT_BYTES;
  }

  /** The bytes of the whole text. */
  get byteLength(): number {
    return this.#cutBytes + this.length;
  }

  /** Appends `source[start, end)`, which is long. */
  copy(source: Buffer, start: number, end: number): void {
    const size = end - start;
    this.reserve(size);
    source.copy(this.bytes, this.end, start, end);
    this.end += size;
  }

  /** Appends the bytes `[start, end)` of a slab, which are a record's or no more than a few. */
  copyShort(source: Slab, start: number, end: number): void {
    const size = end - start;
    this.reserve(size);
    if (size > COPIED_HERE_BYTES_MAX || size < 8) source.bytes.copy(this.bytes, this.end, start, end);
    else copyText(source.view, start, this.view, this.end, size);
    this.end += size;
  }

  /** Appends `,NAME:RECORD`; the record is the bytes `[start, end)` of a slab, with its comma. */
  document(name: Name, source: Slab, start: number, end: number): void {
    this.byte(COMMA);
    this.copyShort(name.slab, name.start - 1, name.end + 2);
    this.copyShort(source, start + 1, end);
  }

  /** Makes room for so many bytes at `end`, for whoever writes them into `bytes` and moves `end`. */
  reserve(size: number): void {
    if (this.end + size > this.bytes.length) this.#grow(size);
  }

  byte(value: number): void {
    if (this.end === this.bytes.length) this.#grow(1);
    this.bytes[this.end++] = value;
  }

  /** Puts another byte in the place of the text's first one, unless that has left the buffer. */
  replaceFirst(value: number): void {
    if (this.#cutBytes === 0 && this.end > FRONT_BYTES) this.bytes[FRONT_BYTES] = value;
  }

  /** Takes the text out, with others around it; the buffer is empty afterwards. */
  within(first: AsciiText, id: string | RawText, head: AsciiText, last: AsciiText): string {
    const text =
      this.#surround(first, id, head, last) ?? `${first.text}${id}${head.text}${this.take()}${last.text}`;
    this.clear();
    return text;
  }

  /** Takes the text out; the buffer is empty afterwards. */
  take(): string {
    const text = this.#cutText + readUtf8(this.bytes, FRONT_BYTES, this.end);
    this.clear();
    return text;
  }

  /** A text of its own with what is here so far, for an answer that takes longer; this one is empty afterwards. */
  moveOut(): ReplyText {
    const other = new ReplyText({ bytesMax: this.#bytesMax });
    const { bytes } = other;
    other.#use(this.bytes);
    other.end = this.end;
    this.#use(bytes);
    this.end = FRONT_BYTES;
    return other;
  }

  /**
   * Makes a string of what is in the buffer, so that a long text neither outgrows it nor becomes one all at once.
   *
   * @throws DatabaseError `reply_too_large`
   */
  cut(): void {
    if (this.byteLength > this.#bytesMax) this.#refuse();
    this.#cutBytes += this.length;
    this.#cutText += readUtf8(this.bytes, FRONT_BYTES, this.end);
    this.end = FRONT_BYTES;
  }

  clear(): void {
    this.end = FRONT_BYTES;
    this.#cutBytes = 0;
    this.#cutText = "";
    if (this.bytes.length > BYTES_KEPT) this.#use(Buffer.allocUnsafeSlow(BYTES_AT_FIRST));
  }

  /** The same in one piece; undefined where the room in front does not suffice, or the text is in pieces already. */
  #surround(first: AsciiText, id: string | RawText, head: AsciiText, last: AsciiText): string | undefined {
    const idStart = FRONT_BYTES - head.bytes.length - id.length;
    const start = idStart - first.bytes.length;
    if (this.#cutBytes > 0 || start < 0) return undefined;
    this.reserve(last.bytes.length);
    const { bytes, end } = this;
    if (start !== this.#frontStart || first !== this.#first || head !== this.#head) {
      this.#frontStart = start;
      this.#first = first;
      this.#head = head;
      writeAscii(bytes, start, first);
      writeAscii(bytes, FRONT_BYTES - head.bytes.length, head);
    }
    if (typeof id === "string") {
      if (!writeLetters(bytes, idStart, id)) return undefined;
    } else {
      const source = id.bytes;
      for (let from = id.start, at = idStart; from < id.end; from++, at++) bytes[at] = source[from] as number;
    }
    writeAscii(bytes, end, last);
    return readUtf8(bytes, start, end + last.bytes.length);
  }

  #grow(more: number): void {
    const needed = this.end + more;
    const most = this.#bytesMax + FRONT_BYTES;
    if (this.#cutBytes + needed > most) this.#refuse();
    const larger = Buffer.allocUnsafeSlow(Math.min(Math.max(needed, this.bytes.length * 2), most));
    this.bytes.copy(larger, 0, 0, this.end);
    this.#use(larger);
  }

  #use(bytes: Buffer): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
    this.#head = undefined;
  }

  #refuse(): never {
    this.clear();
    throw replyTooLarge(this.#bytesMax);
  }
}

export const replyTooLarge = (bytesMax: number): DatabaseError =>
  new DatabaseError(
    "reply_too_large",
    `The reply would be larger than ${bytesMax} bytes (--max-reply): ask for less with from, to or limit`,
  );

function writeAscii(target: Buffer, start: number, { bytes }: AsciiText): void {
  for (let at = 0; at < bytes.length; at++) target[start + at] = bytes[at] as number;
}

/** The same of any text; false where it is not ASCII. */
function writeLetters(target: Buffer, start: number, text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const letter = text.charCodeAt(at);
    if (letter > ASCII_MAX) return false;
    target[start + at] = letter;
  }
  return true;
}

// Of most requests the id is where it came.
neverInline(writeLetters);
