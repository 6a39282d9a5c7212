/**
 * What is whole in a damaged collection's file, and what is not, in words.
 *
 * A chunk is whole when its row in the index, its document's row and its body are: each has its checksum.
 */
import { checksumOf, checksumOfNumbers } from "./checksum.ts";
import type { CollectionState } from "./collection_file.ts";
import { ForgivingReader, isUnread, notePageProblem, passes, type Unread } from "./forgiving_reader.ts";
import {
  CHUNK_BODY_BYTES,
  CHUNK_COLUMNS,
  CHUNK_COUNT,
  CHUNK_DOCUMENT,
  CHUNK_FIRST_HIGH,
  CHUNK_FIRST_LOW,
  CHUNK_ID,
  CHUNK_IS_NEWEST,
  CHUNK_IS_PACKED,
  CHUNK_LAST_HIGH,
  CHUNK_LAST_LOW,
  type CheckpointPortion,
} from "./storage.ts";
import { textListOf } from "./text_list.ts";

/** What the checksum of a chunk's row covers. */
const BODY_CHECKSUM = CHUNK_BODY_BYTES + 1;
const INDEX_COLUMNS = BODY_CHECKSUM + 1;

/** What a collection's file says of itself, if that is whole. */
export type SalvagedMeta = CollectionState & { readonly name: string };

export type SalvagedCollection = {
  readonly meta: SalvagedMeta | undefined;
  readonly counts: CollectionState["counts"];
  /** All that is whole, a document a portion; key-values are in the first one. */
  readonly portions: readonly CheckpointPortion[];
  /** What is left out; none when all is whole. */
  readonly leftOut: readonly string[];
};

type MetaRow = {
  name: string;
  journal_position: number;
  documents: number;
  chunks: number;
  records: number;
  key_values: number;
  checksum: number;
};
type ChunkRow = {
  id: number;
  document: number;
  count: number;
  first_ts: bigint;
  last_ts: bigint;
  bytes: number;
  body_checksum: number;
  checksum: number;
};
/** With times as text, which is exact. */
type StoredChunkRow = Omit<ChunkRow, "first_ts" | "last_ts"> & { first_ts: string; last_ts: string };
type WholeChunk = ChunkRow & { readonly body: Uint8Array; readonly isNewest: boolean };

const CHUNK_INDEX = `(SELECT id, document, count, CAST(first_ts AS TEXT) AS first_ts, CAST(last_ts AS TEXT) AS last_ts,
  bytes, body_checksum, checksum FROM chunks)`;

/** @throws when the file is no database */
export function salvageCollection(file: string): SalvagedCollection {
  using reader = new ForgivingReader(file);
  const leftOut: string[] = [];
  const meta = readMeta(reader);
  if (meta === undefined) leftOut.push("its meta table, so that it cannot be told what else is missing");
  const documents = readDocuments(reader, leftOut);
  const chunks = readChunks(reader, documents, leftOut);
  const values = readValues(reader, leftOut);
  const texts = values.flatMap(({ key, value }) => [key, value]);
  const portions: CheckpointPortion[] = [portionOf([], [], texts)];
  let records = 0;
  let kept = 0;
  let chunkCount = 0;
  for (const [id, name] of documents) {
    const whole = chunks.get(id) ?? [];
    if (whole.length === 0) {
      leftOut.push(`document ${JSON.stringify(name)}: nothing of it is left`);
      continue;
    }
    kept++;
    chunkCount += whole.length;
    for (const { count } of whole) records += count;
    portions.push(portionOf([{ id, name }], whole, []));
  }
  const counts = { documents: kept, chunks: chunkCount, records, values: values.length };
  if (meta !== undefined) {
    for (const what of ["documents", "records", "values"] as const) {
      if (counts[what] === meta.counts[what]) continue;
      leftOut.push(`in all ${meta.counts[what] - counts[what]} of ${meta.counts[what]} ${what}`);
    }
  }
  notePageProblem(reader, leftOut);
  return { meta, counts, portions, leftOut };
}

function readMeta(reader: ForgivingReader): SalvagedMeta | undefined {
  const row = reader.row<MetaRow>("SELECT * FROM meta");
  if (row === undefined || isUnread(row)) return undefined;
  const { name, journal_position, documents, chunks, records, key_values, checksum } = row;
  const said = [name, journal_position, documents, chunks, records, key_values].join(":");
  if (checksumOf(said) !== checksum) return undefined;
  const counts = { documents, chunks, records, values: key_values };
  return { name: unescapeText(name), journalPosition: journal_position, counts };
}

function readDocuments(reader: ForgivingReader, leftOut: string[]): Map<number, string> {
  type Row = { id: number; name: string; checksum: number };
  const { rows, problem } = reader.numberedRows<Row>("documents", "id");
  if (problem !== undefined) leftOut.push(`documents whose rows cannot be read: ${problem}`);
  const documents = new Map<number, string>();
  for (const { id, name, checksum } of rows) {
    if (checksumOf(`${id}:${name}`) === checksum) documents.set(id, unescapeText(name));
    else leftOut.push(`document ${id}, whose name fails its checksum`);
  }
  return documents;
}

/** Whole chunks by document. */
function readChunks(
  reader: ForgivingReader,
  documents: ReadonlyMap<number, string>,
  leftOut: string[],
): Map<number, WholeChunk[]> {
  const { rows, problem } = reader.numberedRows<StoredChunkRow>(CHUNK_INDEX, "id");
  if (problem !== undefined) leftOut.push(`chunks whose rows cannot be read: ${problem}`);
  const byDocument = new Map<number, WholeChunk[]>();
  for (const stored of rows) {
    const row = wholeRow(stored);
    if (row === undefined) {
      leftOut.push(`chunk ${stored.id}, whose row fails its checksum`);
      continue;
    }
    const name = documents.get(row.document);
    const body = name === undefined ? "its document is left out" : readBody(reader, row);
    if (typeof body === "string") {
      const place = name === undefined ? `document ${row.document}` : `document ${JSON.stringify(name)}`;
      leftOut.push(
        `${place}: ${row.count} records from ${row.first_ts} to ${row.last_ts} (chunk ${row.id}): ${body}`,
      );
      continue;
    }
    const whole = byDocument.get(row.document);
    if (whole === undefined) byDocument.set(row.document, [{ ...row, ...body }]);
    else whole.push({ ...row, ...body });
  }
  return byDocument;
}

function wholeRow(stored: StoredChunkRow): ChunkRow | undefined {
  let row: ChunkRow | undefined;
  const isWhole = passes(() => {
    row = { ...stored, first_ts: BigInt(stored.first_ts), last_ts: BigInt(stored.last_ts) };
    return checksumOfNumbers(indexColumns(row), 0, INDEX_COLUMNS) === row.checksum;
  });
  return isWhole ? row : undefined;
}

/** The body, or what is wrong with it. */
function readBody(
  reader: ForgivingReader,
  { id, body_checksum }: ChunkRow,
): { readonly body: Uint8Array; readonly isNewest: boolean } | string {
  type Row = { body: Uint8Array };
  let found: Row | Unread | undefined;
  for (const table of ["bodies", "growing"]) {
    found = reader.row<Row>(`SELECT body FROM ${table} WHERE id = ?`, id) ?? found;
    if (found === undefined || isUnread(found)) continue;
    const { body } = found;
    if (!passes(() => Bun.hash.crc32(body) === body_checksum)) return "it fails its checksum";
    return { body, isNewest: table === "growing" };
  }
  return found === undefined ? "it is missing" : (found as Unread).problem;
}

/** As they are stored, the insides of JSON strings. */
function readValues(reader: ForgivingReader, leftOut: string[]): { key: string; value: string }[] {
  type Row = { key: string; value: string; checksum: number };
  const { rows, problem } = reader.rows<Row>("key_values", "key");
  if (problem !== undefined) leftOut.push(`key-values that cannot be read: ${problem}`);
  const whole: { key: string; value: string }[] = [];
  for (const { key, value, checksum } of rows) {
    if (checksumOf(`${key}:${value}`) === checksum) whole.push({ key, value });
    else leftOut.push(`the value of key "${key}", which fails its checksum`);
  }
  return whole;
}

/** `values`: keys and values in turn. */
function portionOf(
  documents: readonly { readonly id: number; readonly name: string }[],
  chunks: readonly WholeChunk[],
  values: readonly string[],
): CheckpointPortion {
  const columns = new Float64Array(chunks.length * CHUNK_COLUMNS);
  for (const [index, chunk] of chunks.entries()) {
    const row = index * CHUNK_COLUMNS;
    columns.set(indexColumns(chunk).subarray(0, CHUNK_BODY_BYTES), row);
    columns[row + CHUNK_BODY_BYTES] = chunk.body.length;
    columns[row + CHUNK_IS_PACKED] = 1;
    columns[row + CHUNK_IS_NEWEST] = chunk.isNewest ? 1 : 0;
  }
  const bodies = Buffer.concat(chunks.map(({ body }) => body));
  return {
    removedDocuments: new Float64Array(),
    removedChunks: new Float64Array(),
    newDocuments: {
      ids: Float64Array.from(documents, ({ id }) => id),
      names: textListOf(documents.map(({ name }) => JSON.stringify(name).slice(1, -1))),
    },
    chunks: { columns, bodies },
    values: textListOf(values),
  };
}

function indexColumns(row: ChunkRow): Float64Array {
  const columns = new Float64Array(INDEX_COLUMNS);
  columns[CHUNK_ID] = row.id;
  columns[CHUNK_DOCUMENT] = row.document;
  columns[CHUNK_COUNT] = row.count;
  columns[CHUNK_FIRST_HIGH] = Number(row.first_ts >> 32n);
  columns[CHUNK_FIRST_LOW] = Number(BigInt.asIntN(32, row.first_ts));
  columns[CHUNK_LAST_HIGH] = Number(row.last_ts >> 32n);
  columns[CHUNK_LAST_LOW] = Number(BigInt.asIntN(32, row.last_ts));
  columns[CHUNK_BODY_BYTES] = row.bytes;
  columns[BODY_CHECKSUM] = row.body_checksum;
  return columns;
}

const unescapeText = (text: string): string => JSON.parse(`"${text}"`) as string;
