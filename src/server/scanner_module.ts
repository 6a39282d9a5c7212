/**
 * What src/assembly is compiled to, made ready to be called: the scanner of frames. A thread has one, whose memory is of a
 * fixed size, for one frame after the other.
 *
 * To read records it needs vectors, which the engine has on every arm64, and on x64 with AVX; where it has none a smaller
 * module does the rest.
 */
import { NAME_LENGTH_MAX } from "../protocol/limits.ts";
import { FRAME_CODE } from "./frame_code.ts";
import { JsonValueWriter } from "./json_value.ts";
import { MESSAGE_CODE } from "./message_code.ts";

/** What is exported by src/assembly/message.ts, which says what it is. */
type MessageExports = {
  readonly memory: WebAssembly.Memory;
  useTypes(count: number): void;
  begin(frameEnd: number, isDirect: 0 | 1): number;
  goOn(at: number, frameEnd: number, ahead: number): number;
  scanPayload(end: number): number;
} & Places<
  | "WINDOW_BYTES"
  | "WINDOW"
  | "PAYLOAD"
  | "TYPES"
  | "MESSAGE"
  | "BY_LETTERS"
  | "NAMES"
  | "NAMES_MAX"
  | "NAME_ROW_BYTES"
  | "VALUES"
  | "HASH_KEY"
>;
/** The same of src/assembly/records.ts. */
type RecordExports = {
  scan(start: number, quoteBytes: number, frameAhead: number, textAhead: number): number;
} & Places<"TEXT_BYTES" | "TEXT" | "ROWS_MAX" | "ROWS" | "STOPPED" | "WRITTEN">;
type Places<Name extends string> = { readonly [Each in Name]: { readonly value: number } };

/* What stands before and behind a text: a quote, or in JSON that is itself in a string, an escaped one. */
export const PLAIN_QUOTE_BYTES = 1;
export const ESCAPED_QUOTE_BYTES = 2;

/** What the records' scanner calls: see src/assembly/host.ts. */
class Host {
  readonly nameBytesMax = NAME_LENGTH_MAX;
  readonly #values = new JsonValueWriter();
  #bytes = new Uint8Array();
  #view = new DataView(new ArrayBuffer());
  #written = new Int32Array(1);

  use(memory: ArrayBuffer, written: number): void {
    this.#bytes = new Uint8Array(memory);
    this.#view = new DataView(memory);
    this.#written = new Int32Array(memory, written, 1);
  }

  readonly writeValue = (at: number, to: number, quoteBytes: number): number => {
    const values = this.#values;
    const isEscaped = quoteBytes === ESCAPED_QUOTE_BYTES;
    if (!values.write(this.#bytes, this.#view, at, isEscaped, this.#bytes, this.#view, to)) return 0;
    this.#written[0] = values.targetEnd;
    return values.sourceEnd;
  };
}

const host = new Host();

function instantiate<Exports>(code: Buffer<ArrayBuffer>): Exports {
  const { nameBytesMax, writeValue } = host;
  const imports = { host: { nameBytesMax, writeValue } };
  return new WebAssembly.Instance(new WebAssembly.Module(code), imports).exports as Exports;
}

const frameCode = Buffer.from(FRAME_CODE, "base64");
const withRecords = WebAssembly.validate(frameCode)
  ? instantiate<MessageExports & RecordExports>(frameCode)
  : undefined;
if (withRecords !== undefined) host.use(withRecords.memory.buffer as ArrayBuffer, withRecords.WRITTEN.value);

/** Reads all of a message but records. */
export const MESSAGE_MODULE: MessageExports =
  withRecords ?? instantiate<MessageExports>(Buffer.from(MESSAGE_CODE, "base64"));
/** Reads records; undefined where the engine has no vectors. */
export const RECORD_MODULE: RecordExports | undefined = withRecords;

/** All memory of the module. Places are addresses, which is where they stand here. */
export const MODULE_MEMORY = Buffer.from(MESSAGE_MODULE.memory.buffer);
/** The same as a plain array. */
export const MODULE_BYTES = new Uint8Array(MODULE_MEMORY.buffer);
/** Where the window begins, into which a frame is put, or a part of one. */
export const WINDOW_START = MESSAGE_MODULE.WINDOW.value;
export const WINDOW_BYTES = MESSAGE_MODULE.WINDOW_BYTES.value;
export const FRAME_WINDOW = Buffer.from(MODULE_MEMORY.buffer, WINDOW_START, WINDOW_BYTES);

/** Puts as much of `source[start, size)` into the window as there is room for. */
export function fillWindow(source: Uint8Array, start: number, size: number): void {
  const end = Math.min(size, start + WINDOW_BYTES);
  MODULE_BYTES.set(source.subarray(start, end), WINDOW_START);
  MODULE_BYTES[WINDOW_START + end - start] = 0;
}

const NAME_BYTES_MAX = 8;

/**
 * Fills a row of a table of names, see src/assembly/name_table.ts.
 *
 * @throws RangeError when there is no room for it
 */
export function describeName(table: number, index: number, name: string, use = 0): void {
  const { NAMES_MAX, NAME_ROW_BYTES } = MESSAGE_MODULE;
  if (index >= NAMES_MAX.value || name.length > NAME_BYTES_MAX) throw new RangeError(`no room for ${name}`);
  const row = table + index * NAME_ROW_BYTES.value;
  MODULE_MEMORY.write(name, row, "latin1");
  MODULE_MEMORY.fill(0xff, row + NAME_BYTES_MAX, row + NAME_BYTES_MAX + name.length);
  MODULE_MEMORY.writeUInt32LE(name.length, row + 2 * NAME_BYTES_MAX);
  MODULE_MEMORY.writeUInt32LE(use, row + 2 * NAME_BYTES_MAX + 4);
}
