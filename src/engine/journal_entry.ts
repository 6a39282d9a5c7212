/**
 * What the journal's groups are made of. A group holds the commands of one commit and needs no other to be read:
 *
 *     group    = { entry }
 *     entry    = kind:u8 size:u32 payload[size]                       integers are little-endian
 *     document = 1: collectionBytes:u32 collection document           names it for the inserts of this group; the
 *                                                                     first is number 0
 *     insert   = 2: count:u32 { document:u32 textBytes:u32 } text     text = { ',{"ts":' … '"}' }
 *     command  = 3: JSON of any other write, as it stands in the table of messages
 *
 * Names are the insides of JSON strings; a record's time is read from its text.
 */
import { quoteText } from "../protocol/json.ts";
import type { MessageType, Request } from "../protocol/messages.ts";
import { readTimestamp, timestampToText } from "../protocol/timestamp.ts";

export const ENTRY_DOCUMENT = 1;
export const ENTRY_INSERT = 2;
export const ENTRY_COMMAND = 3;
export const ENTRY_HEAD_BYTES = 5;
/** What an insert's payload holds a record, before the text. */
export const INSERT_ROW_BYTES = 8;

/** The writes that are kept as JSON. */
export const COMMAND_TYPES = [
  "ddoc",
  "dcol",
  "dmrec",
  "drrng",
  "sval",
  "rval",
] as const satisfies MessageType[];
export type CommandType = (typeof COMMAND_TYPES)[number];
export type Command = { [Type in CommandType]: { type: Type; request: Request<Type> } }[CommandType];

type Timed = { high: number; low: number };

/** A command's JSON; timestamps become their digits. */
export function writeCommand({ type, request }: Command): string {
  if (type === "sval") {
    // The most frequent one, in a fifth of the time that JSON.stringify takes for objects.
    const { col, key, value } = request;
    return `["sval",{"col":${quoteText(col)},"key":${quoteText(key)},"value":${quoteText(value)}}]`;
  }
  // A function costs more than the rest of it, and only these two hold timestamps.
  if (type !== "dmrec" && type !== "drrng") return JSON.stringify([type, request]);
  return JSON.stringify([type, request], (_key, value: unknown) =>
    typeof value === "object" && value !== null && "high" in value ? timestampToText(value as Timed) : value,
  );
}

const TIMESTAMP_FIELDS = new Set(["ts", "fromTs", "toTs"]);

export function readCommand(json: string): Command {
  const [type, request] = JSON.parse(json, (key, value: unknown) =>
    TIMESTAMP_FIELDS.has(key) ? readTimestamp(value) : value,
  ) as [CommandType, never];
  return { type, request };
}

/** What a group does, in order. */
export interface GroupReader {
  insert(record: { collection: string; document: string; text: Buffer; from: number; to: number }): void;
  command(command: Command): void;
}

/** @throws RangeError when the bytes are not such a group. */
export function readGroup(group: Buffer, reader: GroupReader): void {
  const documents: { collection: string; document: string }[] = [];
  let at = 0;
  while (at < group.length) {
    const kind = group.readUInt8(at);
    const size = group.readUInt32LE(at + 1);
    const start = at + ENTRY_HEAD_BYTES;
    at = start + size;
    if (at > group.length) throw new RangeError("an entry ends beyond its group");
    const payload = group.subarray(start, at);
    if (kind === ENTRY_DOCUMENT) documents.push(readDocument(payload));
    else if (kind === ENTRY_INSERT) readInsert(payload, documents, reader);
    else if (kind === ENTRY_COMMAND) reader.command(readCommand(payload.toString("utf8")));
    else throw new RangeError(`an entry is of unknown kind ${kind}`);
  }
}

function readDocument(payload: Buffer): { collection: string; document: string } {
  const collectionBytes = payload.readUInt32LE(0);
  const readText = (start: number, end: number): string =>
    JSON.parse(`"${payload.toString("utf8", start, end)}"`) as string;
  return {
    collection: readText(4, 4 + collectionBytes),
    document: readText(4 + collectionBytes, payload.length),
  };
}

function readInsert(
  payload: Buffer,
  documents: readonly { collection: string; document: string }[],
  reader: GroupReader,
): void {
  const count = payload.readUInt32LE(0);
  let from = 4 + count * INSERT_ROW_BYTES;
  for (let row = 0; row < count; row++) {
    const named = documents[payload.readUInt32LE(4 + row * INSERT_ROW_BYTES)];
    if (named === undefined) throw new RangeError("an insert is for a document that its group does not name");
    const to = from + payload.readUInt32LE(8 + row * INSERT_ROW_BYTES);
    if (to > payload.length) throw new RangeError("a record ends beyond its entry");
    reader.insert({ ...named, text: payload, from, to });
    from = to;
  }
}
