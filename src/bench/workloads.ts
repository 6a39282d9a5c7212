/**
 * What is measured: a row each. Those that write come first, and the others ask for what they have written.
 */
import {
  COLLECTION,
  collectionOf,
  type DataOptions,
  dataOf,
  documentName,
  FIRST_TS,
  recordAt,
  recordsOf,
} from "./data.ts";
import { messageFrame, type Workload } from "./runner.ts";

export const KEYS_COLLECTION = `${COLLECTION}-keys`;
const FAR_TS = 9e9;
const RECORDS_A_BATCH = 100;
const NEWEST = 100;
const KEYS = 10_000;
/** So many messages or units are enough to measure by. */
const SINGLES_MAX = 200_000;

export const WORKLOAD_NAMES = [
  "ins_batch100",
  "ins_single",
  "ins_lone",
  "qry_all",
  "qry_past",
  "qry_regex",
  "qry_one",
  "qry_lone",
  "qdoc_all",
  "qdoc_limit100_reverse",
  "qdoc_where_text",
  "qdoc_where_regex",
  "sval",
  "gval",
  "gvals",
] as const;
export type WorkloadName = (typeof WORKLOAD_NAMES)[number];

type Options = DataOptions & {
  /** Smaller than 1 for a shorter run. */
  readonly scale: number;
};

/** A lone client waits for each reply before it sends the next message. */
export const isLone = (name: WorkloadName): boolean => name.endsWith("_lone");

export function workloadOf(name: WorkloadName, options: Options): Workload {
  return { name, ...MAKERS[name](options) };
}

type Maker = (options: Options) => Omit<Workload, "name">;

/** How often to ask for about so many units, each message bringing some. */
const timesFor = (units: number, unitsPerMessage: number, { scale }: Options): number =>
  Math.max(1, Math.round((units * scale) / Math.max(1, unitsPerMessage)));

function insertSingles(options: Options, messages: number, depth: number): Omit<Workload, "name"> {
  // Later than all that is there: a device that sends what it measures now.
  const offset = Math.ceil(options.records / options.documents) + (depth === 1 ? SINGLES_MAX : 0);
  return {
    messages,
    differentFrames: messages,
    unitsPerMessage: 1,
    depth,
    frame: (index) => {
      const document = index % options.documents;
      const ts = FIRST_TS + offset + Math.floor(index / options.documents);
      const data = dataOf(index, options.kind);
      return messageFrame("ins", [
        { ts, doc: documentName(document), data, col: collectionOf(document, options) },
      ]);
    },
  };
}

/** One message for each of the documents in turn. */
function eachDocument(
  options: Options,
  { type, query, units, total, depth }: EachDocument,
): Omit<Workload, "name"> {
  return {
    messages: timesFor(total, units, options),
    differentFrames: options.documents,
    unitsPerMessage: units,
    depth,
    frame: (index) =>
      messageFrame(type, { col: collectionOf(index, options), doc: documentName(index), ...query }),
  };
}

type EachDocument = {
  readonly type: "qry" | "qdoc";
  readonly query: object;
  /** What one message brings, and how much of it is asked for. */
  readonly units: number;
  readonly total: number;
  readonly depth: number;
};

/** The same message again and again. */
function repeated(options: Options, message: Repeated): Omit<Workload, "name"> {
  const frame = messageFrame(message.type, message.query);
  return {
    messages: timesFor(message.total, message.units, options),
    differentFrames: 1,
    unitsPerMessage: message.units,
    depth: message.depth,
    frame: () => frame,
  };
}

type Repeated = Omit<EachDocument, "type"> & { readonly type: "qry" | "gvals" };

const documentsInFirst = ({ documents, collections }: Options): number => Math.ceil(documents / collections);

function expectEqual(found: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`Wrong answer: ${what} should be ${b}, and is ${a}`);
}

/** What `ins_batch100` has written of a document, without what others have added. */
const whole = (options: Options): object => ({ from: FIRST_TS, to: FIRST_TS + recordsOf(0, options) - 1 });
const BATCHES_DEPTH = 8;
const MANY = 64;
const FEW = 4;

const MAKERS: Readonly<Record<WorkloadName, Maker>> = {
  ins_batch100: (options) => {
    const rounds = options.order === "overwrite" ? 2 : 1;
    const batches = Math.ceil(options.records / RECORDS_A_BATCH);
    return {
      messages: batches * rounds,
      differentFrames: batches,
      unitsPerMessage: RECORDS_A_BATCH,
      depth: BATCHES_DEPTH,
      frame: (index) => {
        const first = index * RECORDS_A_BATCH;
        const count = Math.min(RECORDS_A_BATCH, options.records - first);
        return messageFrame(
          "ins",
          Array.from({ length: count }, (_, place) => recordAt(first + place, options)),
        );
      },
    };
  },
  ins_single: (options) => insertSingles(options, timesFor(SINGLES_MAX, 1, options), MANY),
  ins_lone: (options) => insertSingles(options, timesFor(5_000, 1, options), 1),
  qry_all: (options) => {
    const units = documentsInFirst(options);
    const query = { col: COLLECTION, ts: FAR_TS, doc: "", from: 0 };
    return {
      ...repeated(options, { type: "qry", query, units, total: 2e6, depth: FEW }),
      check: async (ask) => {
        const { records } = (await ask("qry", query)) as { records: object };
        expectEqual(Object.keys(records).length, units, "the number of documents");
      },
    };
  },
  qry_past: (options) => {
    const units = documentsInFirst(options);
    const span = recordsOf(0, options);
    return {
      messages: timesFor(1e6, units, options),
      differentFrames: 200,
      unitsPerMessage: units,
      depth: FEW,
      frame: (index) =>
        messageFrame("qry", {
          col: COLLECTION,
          ts: FIRST_TS + Math.floor((span * index) / 200),
          doc: "",
          from: 0,
        }),
    };
  },
  qry_regex: (options) =>
    repeated(options, {
      type: "qry",
      query: { col: COLLECTION, ts: FAR_TS, doc: "/device-1.*7/", from: 0 },
      units: 1,
      total: 5_000,
      depth: FEW,
    }),
  qry_one: (options) =>
    eachDocument(options, {
      type: "qry",
      query: { ts: FAR_TS, from: 0 },
      units: 1,
      total: 400_000,
      depth: MANY,
    }),
  qry_lone: (options) =>
    eachDocument(options, { type: "qry", query: { ts: FAR_TS, from: 0 }, units: 1, total: 10_000, depth: 1 }),
  qdoc_all: (options) => {
    const units = recordsOf(0, options);
    return {
      ...eachDocument(options, { type: "qdoc", query: whole(options), units, total: 4e6, depth: FEW }),
      check: async (ask) => {
        const query = { col: COLLECTION, doc: documentName(0), ...whole(options) };
        const { records } = (await ask("qdoc", query)) as { records: { ts: number; data: string }[] };
        expectEqual(records.length, units, "the number of a document's records");
        const last = (units - 1) * options.documents;
        const expected = { ts: FIRST_TS + units - 1, data: dataOf(last, options.kind) };
        expectEqual(records.at(-1), expected, "a document's last record");
      },
    };
  },
  qdoc_limit100_reverse: (options) =>
    eachDocument(options, {
      type: "qdoc",
      query: { ...whole(options), limit: NEWEST, reverse: true },
      units: Math.min(NEWEST, recordsOf(0, options)),
      total: 4e6,
      depth: 16,
    }),
  qdoc_where_text: (options) =>
    eachDocument(options, {
      type: "qdoc",
      query: { ...whole(options), where: 'state":"landed', filter: 'seq":7' },
      units: recordsOf(0, options),
      total: 3e6,
      depth: FEW,
    }),
  qdoc_where_regex: (options) =>
    eachDocument(options, {
      type: "qdoc",
      query: { ...whole(options), where: '/state":"(landed|parked)/' },
      units: recordsOf(0, options),
      total: 1e6,
      depth: FEW,
    }),
  sval: (options) => {
    const messages = Math.max(KEYS, timesFor(50_000, 1, options));
    return {
      messages,
      differentFrames: messages,
      unitsPerMessage: 1,
      depth: MANY,
      frame: (index) =>
        messageFrame("sval", { col: KEYS_COLLECTION, key: `key.${index % KEYS}`, value: `value-${index}` }),
    };
  },
  gval: (options) => ({
    messages: timesFor(400_000, 1, options),
    differentFrames: 1000,
    unitsPerMessage: 1,
    depth: MANY,
    frame: (index) => messageFrame("gval", { col: KEYS_COLLECTION, key: `key.${index}` }),
  }),
  gvals: (options) => ({
    ...repeated(options, {
      type: "gvals",
      query: { col: KEYS_COLLECTION },
      units: KEYS,
      total: 2e6,
      depth: BATCHES_DEPTH,
    }),
    check: async (ask) => {
      const { values } = (await ask("gvals", { col: KEYS_COLLECTION })) as { values: object };
      expectEqual(Object.keys(values).length, KEYS, "the number of keys");
    },
  }),
};
