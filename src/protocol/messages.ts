/**
 * The table of messages: one row each, from which types, permission checks, dispatch and the README's table follow.
 *
 * Field types are zod schemas, and these schemas are the definition of what is accepted; the hand-written scanner of
 * `ins` (server/insert_scanner.ts) is tested against them. A field's error text completes "expected …".
 */
import { z } from "zod";
import { DATA_DEPTH_MAX, NAME_LENGTH_MAX } from "./limits.ts";
import type { Permission } from "./scope.ts";
import {
  compareTimestamps,
  readTimestamp,
  TIMESTAMP_MAX,
  TIMESTAMP_ZERO,
  type Timestamp,
} from "./timestamp.ts";

/** What a reply holds beside its `id`: nothing, one member of that name, or members that the handler names itself. */
type ReplyShape = "ok" | { readonly member: string } | "members";

type MessageRow<Schema extends z.ZodType, Shape extends ReplyShape> = {
  readonly permission: Permission | "master";
  readonly request: Schema;
  readonly reply: Shape;
  /** The README's columns: what `data` looks like, what the reply looks like, and what it does. */
  readonly docs: { readonly data: string; readonly reply: string; readonly does: string };
};

function message<Schema extends z.ZodType, Shape extends ReplyShape>(row: MessageRow<Schema, Shape>) {
  return row;
}

/** `fallback`, where given, stands for a missing or `null` timestamp. */
const timestampOr = (fallback?: Timestamp) =>
  z
    .unknown()
    .optional()
    .transform((value, context) => {
      const read = readTimestamp(value) ?? (value === undefined || value === null ? fallback : undefined);
      if (read !== undefined) return read;
      context.addIssue({ code: "custom", message: "a 64-bit integer" });
      return z.NEVER;
    });
const timestamp = timestampOr();

const text = z.string({ error: "a string" });
const boundedText = text.max(NAME_LENGTH_MAX, { error: `at most ${NAME_LENGTH_MAX} characters` });
/** The name of what is written to or deleted. */
const name = boundedText.min(1, { error: "a non-empty string" });
const integer = z.int({ error: "an integer" });
const flag = z.boolean({ error: "true or false" });

/** A field that may be missing or `null`, which mean the same. */
function optional<Schema extends z.ZodType, Default>(schema: Schema, fallback: Default) {
  return schema
    .nullish()
    .transform((value) => (value ?? fallback) as NonNullable<z.output<Schema>> | Default);
}

/** A record's `data`: a string as it is, any other JSON value as its compact text. */
const recordData = z
  .unknown()
  .optional()
  .transform((value, context) => {
    if (value === undefined) {
      context.addIssue({ code: "custom", message: "a string or a JSON value" });
      return z.NEVER;
    }
    if (typeof value === "string") return value;
    // Looked at first: JSON.stringify takes most of a second to find that the stack does not suffice.
    if (!isDeeperThan(value, DATA_DEPTH_MAX)) return JSON.stringify(value);
    context.addIssue({ code: "custom", message: `at most ${DATA_DEPTH_MAX} levels of nesting` });
    return z.NEVER;
  });

const object = <Shape extends z.core.$ZodLooseShape>(shape: Shape) => z.object(shape, { error: "an object" });

const recordKey = object({ ts: timestamp, doc: name, col: name });
const insertRecord = object({ ts: timestamp, doc: name, data: recordData, col: name });
/** Text predicates; the empty text is no predicate. */
const predicates = { where: optional(text, ""), filter: optional(text, "") };

const latestQuery = object({
  col: boundedText,
  ts: timestamp,
  doc: optional(text, ""),
  from: timestampOr(TIMESTAMP_ZERO),
  ...predicates,
});

const historyQuery = object({
  col: boundedText,
  doc: boundedText,
  from: timestampOr(TIMESTAMP_ZERO),
  to: timestampOr(TIMESTAMP_MAX),
  limit: optional(integer, 0),
  reverse: optional(flag, false),
  ...predicates,
}).refine(({ from, to }) => compareTimestamps(from, to) <= 0, { path: ["from"], error: "at most `to`" });

const recordRange = object({ doc: name, col: name, fromTs: timestamp, toTs: timestamp }).refine(
  ({ fromTs, toTs }) => compareTimestamps(fromTs, toTs) <= 0,
  { path: ["fromTs"], error: "at most `toTs`" },
);

const documentName = object({ doc: name, col: optional(boundedText, "") });
const collectionName = object({ col: name });
const collectionQuery = object({ col: boundedText });
const keyName = object({ col: name, key: boundedText });
const keyQuery = object({ col: boundedText, key: text });
const keyValue = object({ col: name, key: boundedText, value: text });
/** Errors of `keys` have texts of their own, which clients know; so its fields are checked by its handler. */
const anything = z.unknown().optional();
const keyAction = object({
  action: anything,
  key: anything,
  scope: anything,
  expiresAt: anything,
  collections: anything,
});

export const MESSAGES = {
  ins: message({
    permission: "write",
    request: z.array(insertRecord, { error: "an array of records" }),
    reply: "ok",
    docs: {
      data: '`[{"ts","doc","data","col"},…]`',
      reply: '`{"id"}`',
      does: "stores records; one at the same `(col, doc, ts)` is replaced; all of them or none",
    },
  }),
  qry: message({
    permission: "read",
    request: latestQuery,
    reply: { member: "records" },
    docs: {
      data: '`{"col","ts","doc"?,"from"?,"where"?,"filter"?}`',
      reply: '`{"id","records":{DOC:RECORD,…}}`',
      does: "the latest record at or before `ts` of one document, of those that match a `/pattern/`, or of all",
    },
  }),
  cols: message({
    permission: "read",
    request: anything,
    reply: { member: "collections" },
    docs: {
      data: "anything",
      reply: '`{"id","collections":[NAME,…]}`',
      does: "the names of all collections",
    },
  }),
  qdoc: message({
    permission: "read",
    request: historyQuery,
    reply: { member: "records" },
    docs: {
      data: '`{"col","doc","from"?,"to"?,"limit"?,"reverse"?,"where"?,"filter"?}`',
      reply: '`{"id","records":[RECORD,…]}`',
      does: "one document's records with `from <= ts <= to`, oldest first, or newest first with `reverse`",
    },
  }),
  ddoc: message({
    permission: "delete",
    request: documentName,
    reply: "ok",
    docs: {
      data: '`{"doc","col"?}`',
      reply: '`{"id"}`',
      does: "deletes a document; without `col`, the documents of that name in every collection",
    },
  }),
  dcol: message({
    permission: "delete",
    request: collectionName,
    reply: "ok",
    docs: { data: '`{"col"}`', reply: '`{"id"}`', does: "deletes a collection, records and key-values" },
  }),
  drec: message({
    permission: "delete",
    request: recordKey,
    reply: "ok",
    docs: { data: '`{"doc","col","ts"}`', reply: '`{"id"}`', does: "deletes one record, if it is there" },
  }),
  dmrec: message({
    permission: "delete",
    request: z.array(recordKey, { error: "an array of records' keys" }),
    reply: "ok",
    docs: { data: '`[{"doc","col","ts"},…]`', reply: '`{"id"}`', does: "deletes many records" },
  }),
  drrng: message({
    permission: "delete",
    request: recordRange,
    reply: "ok",
    docs: {
      data: '`{"doc","col","fromTs","toTs"}`',
      reply: '`{"id"}`',
      does: "deletes a document's records with `fromTs <= ts <= toTs`",
    },
  }),
  sval: message({
    permission: "write",
    request: keyValue,
    reply: "ok",
    docs: { data: '`{"col","key","value"}`', reply: '`{"id"}`', does: "sets a key's value" },
  }),
  gval: message({
    permission: "read",
    request: keyQuery,
    reply: { member: "value" },
    docs: {
      data: '`{"col","key"}`',
      reply: '`{"id","value":STRING}`',
      does: 'a key\'s value, `""` when there is none',
    },
  }),
  gvalues: message({
    permission: "read",
    request: keyQuery,
    reply: { member: "values" },
    docs: {
      data: '`{"col","key"}`',
      reply: '`{"id","values":{KEY:STRING,…}}`',
      does: 'the values of a literal key (`""` when it is not there) or of those that match a `/pattern/`',
    },
  }),
  rval: message({
    permission: "delete",
    request: keyName,
    reply: "ok",
    docs: { data: '`{"col","key"}`', reply: '`{"id"}`', does: "removes a key" },
  }),
  gvals: message({
    permission: "read",
    request: collectionQuery,
    reply: { member: "values" },
    docs: {
      data: '`{"col"}`',
      reply: '`{"id","values":{KEY:STRING,…}}`',
      does: "all keys and values of a collection",
    },
  }),
  gkeys: message({
    permission: "read",
    request: collectionQuery,
    reply: { member: "keys" },
    docs: { data: '`{"col"}`', reply: '`{"id","keys":[KEY,…]}`', does: "all keys of a collection" },
  }),
  keys: message({
    permission: "master",
    request: keyAction,
    reply: "members",
    docs: {
      data: '`{"action":"add","key","scope","expiresAt"?,"collections"?}`, `{"action":"remove","key"}`, `{"action":"list"}`',
      reply:
        '`{"id","scope":S,"status":"ok","expiresAt"?,"collections"?}`, `{"id","status":"ok"}`, `{"id","keys":[{"deletable","key","scope","expiresAt"?,"collections"?},…],"status":"ok"}`',
      does: "adds, changes, removes and lists API keys; the master key only",
    },
  }),
  conn: message({
    permission: "read",
    request: anything,
    reply: { member: "connections" },
    docs: {
      data: "anything",
      reply: '`{"id","connections":[{"ip","since":MS_CONNECTED,"name","self"},…]}`',
      does: "who is connected",
    },
  }),
  stat: message({
    permission: "read",
    request: anything,
    reply: { member: "stat" },
    docs: {
      data: "anything",
      reply: '`{"id","stat":{"version","uptimeMs","records",…}}`',
      does: "how the server is: version, uptime, counts, memory, disk, durability, how far writes are on the disk, the last checkpoint",
    },
  }),
} as const;

export type MessageType = keyof typeof MESSAGES;
/** Its place here is a type's number, by which messages are counted. */
export const MESSAGE_TYPES = Object.keys(MESSAGES) as readonly MessageType[];
/** A request's `data` as its handler gets it: checked, defaults filled in, timestamps read. */
export type Request<Type extends MessageType> = z.output<(typeof MESSAGES)[Type]["request"]>;

export const isMessageType = (text: string): text is MessageType => Object.hasOwn(MESSAGES, text);

/**
 * Checks a request's `data` against its message's schema.
 *
 * @returns the request, or the text of what is wrong, which names the field: `ins[3].ts: expected …, got "abc"`.
 */
export function checkRequest<Type extends MessageType>(
  type: Type,
  data: unknown,
): { request: Request<Type> } | { problem: string } {
  const schema: z.ZodType = MESSAGES[type].request;
  if (schema instanceof z.ZodArray && Array.isArray(data))
    return checkArray(type, schema.element as z.ZodType, data);
  const result = schema.safeParse(data);
  if (result.success) return { request: result.data as Request<Type> };
  return { problem: describeProblem(type, data, result.error.issues[0] as z.core.$ZodIssue) };
}

/** Element by element, up to the first that is wrong: an array's schema would describe millions of them, for seconds. */
function checkArray<Type extends MessageType>(
  type: Type,
  element: z.ZodType,
  data: readonly unknown[],
): { request: Request<Type> } | { problem: string } {
  const request: unknown[] = [];
  for (const [index, value] of data.entries()) {
    const result = element.safeParse(value);
    if (!result.success) {
      const [issue] = result.error.issues as [z.core.$ZodIssue];
      return { problem: describeProblem(type, data, { ...issue, path: [index, ...issue.path] }) };
    }
    request.push(result.data);
  }
  return { request: request as Request<Type> };
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  // Without a list of the values or a function for each: a frame may hold millions of them, and took five seconds.
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      if (isDeeperThan(value[index], levels - 1)) return true;
    }
    return false;
  }
  for (const key in value) {
    if (isDeeperThan((value as Record<string, unknown>)[key], levels - 1)) return true;
  }
  return false;
}

function describeProblem(type: string, data: unknown, issue: z.core.$ZodIssue): string {
  let place: string = type;
  let value: unknown = data;
  for (const step of issue.path) {
    place += typeof step === "number" ? `[${step}]` : `.${String(step)}`;
    value = (value as Record<PropertyKey, unknown> | undefined)?.[step];
  }
  return `${place}: expected ${issue.message}, got ${showValue(value)}`;
}

const SHOWN_LENGTH_MAX = 60;

/** A value as an error text quotes it: short, and never a whole payload. */
export function showValue(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "[]" : `an array of ${value.length}`;
  if (typeof value === "string" && value.length > SHOWN_LENGTH_MAX)
    return `a string of ${value.length} characters`;
  if (typeof value === "object" && value !== null && !("rawJSON" in value)) return "an object";
  return JSON.stringify(value).slice(0, SHOWN_LENGTH_MAX + 2);
}
