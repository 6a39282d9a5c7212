/**
 * The text of one answer while it is put together: a growing buffer of JSON in UTF-8.
 *
 * One is reused for all answers of a database that are put together in one turn. Records are copied in from where they
 * live, and the whole becomes a string once, at memory speed.
 */
import { DatabaseError } from "../protocol/errors.ts";
import { REPLY_BYTES_MAX } from "../protocol/limits.ts";

const BYTES_AT_FIRST = 64 * 1024;
/** A buffer that one large answer made grow beyond this is not kept. */
const BYTES_KEPT = 4 * 1024 * 1024;

export class ReplyText {
  length = 0;
  bytes: Buffer = Buffer.allocUnsafeSlow(BYTES_AT_FIRST);

  readonly #bytesMax: number;
  /** What has left the buffer already. */
  #cutText = "";
  #cutBytes = 0;

  constructor({ bytesMax = REPLY_BYTES_MAX }: { bytesMax?: number } = {}) {
    this.#bytesMax = bytesMax;
  }

  /** The bytes of the whole text; `length` is what is in the buffer. */
  get totalLength(): number {
    return this.#cutBytes + this.length;
  }

  /** Appends `source[start, end)`. */
  copy(source: Buffer, start: number, end: number): void {
    const size = end - start;
    if (this.length + size > this.bytes.length) this.#grow(size);
    source.copy(this.bytes, this.length, start, end);
    this.length += size;
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) this.#grow(1);
    this.bytes[this.length++] = value;
  }

  /** Takes the text out; the buffer is empty afterwards. */
  take(): string {
    const text = this.#cutText + this.bytes.toString("utf8", 0, this.length);
    this.clear();
    return text;
  }

  /** A text of its own with what is here so far, for an answer that takes longer; this one is empty afterwards. */
  moveOut(): ReplyText {
    const other = new ReplyText({ bytesMax: this.#bytesMax });
    const { bytes } = other;
    other.bytes = this.bytes;
    other.length = this.length;
    this.bytes = bytes;
    this.length = 0;
    return other;
  }

  /**
   * Makes a string of what is in the buffer, so that a long text neither outgrows it nor becomes one all at once.
   *
   * @throws DatabaseError `reply_too_large`
   */
  cut(): void {
    if (this.totalLength > this.#bytesMax) this.#refuse();
    this.#cutBytes += this.length;
    this.#cutText += this.bytes.toString("utf8", 0, this.length);
    this.length = 0;
  }

  clear(): void {
    this.length = 0;
    this.#cutBytes = 0;
    this.#cutText = "";
    if (this.bytes.length > BYTES_KEPT) this.bytes = Buffer.allocUnsafeSlow(BYTES_AT_FIRST);
  }

  #grow(more: number): void {
    const needed = this.length + more;
    if (this.#cutBytes + needed > this.#bytesMax) this.#refuse();
    const larger = Buffer.allocUnsafeSlow(Math.min(Math.max(needed, this.bytes.length * 2), this.#bytesMax));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  #refuse(): never {
    this.clear();
    throw new DatabaseError(
      "reply_too_large",
      `The reply would be larger than ${this.#bytesMax} bytes: ask for less with from, to or limit`,
    );
  }
}
