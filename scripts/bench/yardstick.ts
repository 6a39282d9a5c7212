/**
 * The yardstick: the plainest server that gives the measured messages' answers. In memory, an object a record, JSON in
 * and out, no checks. What a program of an afternoon does; a figure is a ratio to it, taken in the same run, since the
 * machines that benchmarks run on are too unsteady for times.
 */
type Row = { ts: number; data: string };
type Query = {
  col: string;
  doc: string;
  ts: number;
  from: number;
  to: number;
  limit?: number;
  reverse?: boolean;
  where?: string;
  filter?: string;
};
type Pair = { col: string; key: string; value: string };

const documents = new Map<string, Map<string, Row[]>>();
const pairs = new Map<string, Map<string, string>>();

function entry<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}

/** The first row for which a time is not before `ts`; behind all equal ones with `after`. */
function place(rows: readonly Row[], ts: number, after = false): number {
  let from = 0;
  let to = rows.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    const found = (rows[middle] as Row).ts;
    if (found < ts || (after && found === ts)) from = middle + 1;
    else to = middle;
  }
  return from;
}

function insert(records: readonly (Row & { col: string; doc: string })[]): void {
  for (const { col, doc, ts, data } of records) {
    const rows = entry(
      entry(documents, col, () => new Map<string, Row[]>()),
      doc,
      () => [],
    );
    const last = rows.at(-1);
    if (last === undefined || last.ts < ts) rows.push({ ts, data });
    else {
      const at = place(rows, ts);
      rows.splice(at, rows[at]?.ts === ts ? 1 : 0, { ts, data });
    }
  }
}

/** What tells whether a text is one that was asked for. */
function matcher(text: string | undefined): ((data: string) => boolean) | undefined {
  if (!text) return undefined;
  const pattern = /^\/(.*)\/([a-z]*)$/.exec(text);
  if (pattern === null) return (data) => data.includes(text);
  const compiled = new RegExp(pattern[1] as string, pattern[2]);
  return (data) => compiled.test(data);
}

function latest({ col, doc, ts, from }: Query): Record<string, Row> {
  const all = documents.get(col) ?? new Map<string, Row[]>();
  const isWanted = doc.startsWith("/") ? matcher(doc) : undefined;
  const names = doc === "" || isWanted !== undefined ? [...all.keys()] : [doc];
  const found: Record<string, Row> = {};
  for (const name of names) {
    if (isWanted !== undefined && !isWanted(name)) continue;
    const rows = all.get(name) ?? [];
    const row = rows[place(rows, ts, true) - 1];
    if (row !== undefined && row.ts >= from) found[name] = row;
  }
  return found;
}

function history({ col, doc, from, to, limit, reverse, where, filter }: Query): Row[] {
  const rows = documents.get(col)?.get(doc) ?? [];
  const [has, hasNot] = [matcher(where), matcher(filter)];
  let found = rows.slice(place(rows, from), place(rows, to, true));
  if (reverse) found.reverse();
  if (has !== undefined) found = found.filter(({ data }) => has(data));
  if (hasNot !== undefined) found = found.filter(({ data }) => !hasNot(data));
  return limit ? found.slice(0, limit) : found;
}

function answer(type: string, data: unknown): object {
  switch (type) {
    case "ins":
      insert(data as Parameters<typeof insert>[0]);
      return {};
    case "qry":
      return { records: latest(data as Query) };
    case "qdoc":
      return { records: history(data as Query) };
    case "cols":
      return { collections: [...new Set([...documents.keys(), ...pairs.keys()])] };
    case "sval": {
      const { col, key, value } = data as Pair;
      entry(pairs, col, () => new Map<string, string>()).set(key, value);
      return {};
    }
    case "gval": {
      const { col, key } = data as Pair;
      return { value: pairs.get(col)?.get(key) ?? "" };
    }
    case "gvals":
      return { values: Object.fromEntries(pairs.get((data as Pair).col) ?? []) };
    default:
      return { error: `The yardstick knows no ${type}` };
  }
}

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: (request, self) => (self.upgrade(request) ? undefined : new Response(null, { status: 426 })),
  websocket: {
    maxPayloadLength: 2 ** 28,
    backpressureLimit: 2 ** 30,
    open: (socket) => {
      socket.send('{"message":"Authentication successful","type":"ready"}');
    },
    message: (socket, text) => {
      const { id, type, data } = JSON.parse(String(text));
      socket.send(JSON.stringify({ id, ...answer(type, JSON.parse(data)) }));
    },
  },
});
console.error(`Ready: ws://127.0.0.1:${server.port}, a yardstick`);

// Nothing to import; a module of its own all the same.
export {};
