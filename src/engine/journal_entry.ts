/**
 * What the journal's groups are made of: the commands of one commit.
 *
 *     group    = { entry }
 *     entry    = kind:u8 size:u32 payload[size]                       integers are little-endian
 *     document = 1: collectionBytes:u32 collection document           names it for the inserts to come; the first one
 *                                                                     after a reset is number 0
 *     insert   = 2: count:u32 { document:u32 textBytes:u32 } text     text = { ',{"ts":' … '"}' }
 *     command  = 3: JSON of any other write, as it stands in the table of messages
 *     reset    = 4:                                                   forgets the documents that were named
 *     value    = 5: JSON of three strings with commas between them: collection, key, value
 *
 * Names are the insides of JSON strings; a record's time is read from its text. What a checkpoint leaves of the journal
 * begins with a reset before its first insert.
 */
import type { MessageType, Request } from "../protocol/messages.ts";
import { readTimestamp, timestampToText } from "../protocol/timestamp.ts";
import { unescapeText } from "./raw_text.ts";

export const ENTRY_DOCUMENT = 1;
export const ENTRY_INSERT = 2;
export const ENTRY_COMMAND = 3;
export const ENTRY_RESET = 4;
export const ENTRY_VALUE = 5;
export const ENTRY_HEAD_BYTES = 5;
/** What an insert's payload holds a record, before the text. */
export const INSERT_ROW_BYTES = 8;

/** The writes that are kept as JSON; `sval` only in journals of catalog.db's format 1. */
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

/** A command's JSON; timestamps become their digits, as text. */
export function writeCommand({ type, request }: Command): string {
  // A function that JSON calls for each value costs twice as much, and only these two hold timestamps.
  if (type === "dmrec") {
    const keys = request.map(({ col, doc, ts }) => ({ col, doc, ts: timestampToText(ts) }));
    return JSON.stringify([type, keys]);
  }
  if (type === "drrng") {
    const { fromTs, toTs, ...document } = request;
    const times = { fromTs: timestampToText(fromTs), toTs: timestampToText(toTs) };
    return JSON.stringify([type, { ...document, ...times }]);
  }
  return JSON.stringify([type, request]);
}

const TIMESTAMP_FIELDS = new Set(["ts", "fromTs", "toTs"]);

export function readCommand(json: string): Command {
  const [type, request] = JSON.parse(json, (key, value: unknown) =>
    TIMESTAMP_FIELDS.has(key) ? readTimestamp(value) : value,
  ) as [CommandType, never];
  return { type, request };
}

/** What a group does, in order. Documents are told by their numbers since the last reset. */
export interface GroupReader {
  reset(): void;
  document(collection: string, document: string): void;
  /** A record of `text[from, to)`. */
  insert(document: number, text: Buffer, from: number, to: number): void;
  command(command: Command): void;
}

/** @throws RangeError when the bytes are not such a group. */
export function readGroup(group: Buffer, reader: GroupReader): void {
  let at = 0;
  while (at < group.length) {
    const kind = group.readUInt8(at);
    const size = group.readUInt32LE(at + 1);
    const start = at + ENTRY_HEAD_BYTES;
    at = start + size;
    if (at > group.length) throw new RangeError("an entry ends beyond its group");
    if (kind === ENTRY_INSERT) readInsert(group, start, at, reader);
    else if (kind === ENTRY_DOCUMENT) readDocument(group.subarray(start, at), reader);
    else if (kind === ENTRY_COMMAND) reader.command(readCommand(group.toString("utf8", start, at)));
    else if (kind === ENTRY_VALUE) reader.command(readValue(group.toString("utf8", start, at)));
    else if (kind === ENTRY_RESET) reader.reset();
    else throw new RangeError(`an entry is of unknown kind ${kind}`);
  }
}

function readDocument(payload: Buffer, reader: GroupReader): void {
  const collectionEnd = 4 + payload.readUInt32LE(0);
  reader.document(
    unescapeText(payload, 4, collectionEnd),
    unescapeText(payload, collectionEnd, payload.length),
  );
}

function readValue(text: string): Command {
  const [col, key, value] = JSON.parse(`[${text}]`) as [string, string, string];
  return { type: "sval", request: { col, key, value } };
}

function readInsert(group: Buffer, start: number, end: number, reader: GroupReader): void {
  const count = group.readUInt32LE(start);
  let row = start + 4;
  let from = row + count * INSERT_ROW_BYTES;
  for (let index = 0; index < count; index++) {
    const to = from + group.readUInt32LE(row + 4);
    if (to > end) throw new RangeError("a record ends beyond its entry");
    reader.insert(group.readUInt32LE(row), group, from, to);
    row += INSERT_ROW_BYTES;
    from = to;
  }
}
