/**
 * Records from standard input: NDJSON or CSV, line by line, with the number of the line for whatever is wrong with one.
 */
import { Readable } from "node:stream";
import { CsvError, type InfoCallback, type InfoRecord, parse } from "csv-parse";
import {
  BadInput,
  checkName,
  checkSize,
  checkTime,
  compactJson,
  parseObject,
} from "../archive/record_line.ts";
import type { Timestamp } from "../client/types.ts";
import { parseJson, rawNumber } from "../protocol/json.ts";
import { FRAME_BYTES_MAX } from "../protocol/limits.ts";
import { CommandError, usageError } from "./command_error.ts";
import { EXIT_FAILED, EXIT_USAGE } from "./exit_code.ts";
import { type Clock, readTime } from "./time_value.ts";

export const INPUT_FORMATS = ["ndjson", "csv"] as const;
export type InputFormat = (typeof INPUT_FORMATS)[number];

export type InputFields = {
  /** The names of the fields. */
  readonly ts: string;
  readonly doc: string;
  readonly data: string;
  /** Where there is no such field; of documents, whatever there is. */
  readonly defaultDocument: string | undefined;
  readonly defaultTime: bigint | undefined;
  /** For times that are no numbers. */
  readonly clock: Clock;
};

export type InputRecord =
  | { readonly record: { readonly document: string; readonly ts: Timestamp; readonly data: string } }
  | { readonly line: number; readonly problem: string };

type Row = Readonly<Record<string, unknown>>;
type Source = { readonly line: number; readonly read: () => Row };

/** A JSON number, which a cell of CSV then is, digit for digit. */
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
/** Escapes take more room than what they stand for, though hardly twice as much. */
const LINE_LENGTH_MAX = 2 * FRAME_BYTES_MAX;

/** `format` undefined: JSON when it begins with a brace. */
export async function* readInput(
  input: Readable,
  format: InputFormat | undefined,
  fields: InputFields,
): AsyncGenerator<InputRecord> {
  const { known, stream } = await look(input, format);
  for await (const { line, read } of known === "csv" ? readCsv(stream, fields) : readNdjson(stream)) {
    try {
      yield { record: toRecord(read(), fields) };
    } catch (error) {
      // The latter of a time that cannot be read.
      if (!(error instanceof BadInput || error instanceof CommandError)) throw error;
      yield { line, problem: error.message };
    }
  }
}

async function look(
  input: Readable,
  format: InputFormat | undefined,
): Promise<{ known: InputFormat; stream: Readable }> {
  if (format !== undefined) return { known: format, stream: input };
  const chunks: AsyncIterator<Uint8Array> = input[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done) return { known: "ndjson", stream: Readable.from([]) };
  const text = new TextDecoder().decode(first.value).trimStart();
  const known = text === "" || text.startsWith("{") ? "ndjson" : "csv";
  // Not `unshift`: in Bun a redirected file then never comes to its end.
  return { known, stream: Readable.from(chained(first.value, chunks)) };
}

async function* chained(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

/** Not by `readline`, which reads ahead of who takes its lines: all of a large file would be in memory. */
async function* readNdjson(stream: Readable): AsyncGenerator<Source> {
  // It passes over a mark of UTF-8 at the beginning.
  const decoder = new TextDecoder();
  let rest = "";
  let line = 0;
  for await (const chunk of stream) {
    const texts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = texts.pop() as string;
    for (const text of texts) {
      line++;
      if (text.trim() !== "") yield { line, read: () => parseObject(text, parseJson) };
    }
    if (rest.length > LINE_LENGTH_MAX) {
      const limit = `${LINE_LENGTH_MAX / 2 ** 20} MiB`;
      throw usageError(`standard input, line ${line + 1}: expected at most ${limit}, got a longer line`);
    }
  }
  const last = rest + decoder.decode();
  if (last.trim() !== "") yield { line: line + 1, read: () => parseObject(last, parseJson) };
}

async function* readCsv(stream: Readable, fields: InputFields): AsyncGenerator<Source> {
  const parser = stream.pipe(
    parse({
      bom: true,
      record_delimiter: ["\r\n", "\n"],
      columns: true,
      info: true,
      skip_empty_lines: true,
      max_record_size: LINE_LENGTH_MAX,
      // A line with too few or too many is judged here: an error of the parser would be its end. Quotes are left to
      // it, since nobody knows where a cell ends that is quoted wrongly.
      relax_column_count: true,
    }),
  );
  stream.on("error", (error) => parser.destroy(error));
  try {
    for await (const { record, info } of parser) {
      yield { line: info.lines, read: () => withNumbers(checkCount(record, info), fields) };
    }
  } catch (cause) {
    // After it the parser has no place to go on from: what follows may be in a cell that does not end.
    const exitCode = cause instanceof CsvError ? EXIT_USAGE : EXIT_FAILED;
    throw new CommandError(`standard input: ${(cause as Error).message}`, { cause, exitCode });
  }
}

type Cells = Readonly<Record<string, string>>;

/** @throws BadInput */
function checkCount(
  cells: Cells,
  { error, columns }: Pick<InfoRecord & InfoCallback, "error" | "columns">,
): Cells {
  if (error === undefined) return cells;
  const { length } = columns as readonly unknown[];
  throw new BadInput(`expected ${length} cells, got ${(error.record as readonly unknown[]).length}`);
}

function toRecord(row: Row, fields: InputFields) {
  const document = fields.defaultDocument ?? checkName(row[fields.doc], fields.doc);
  return { document, ts: timeOf(row, fields), data: checkSize(dataOf(row, fields)) };
}

function timeOf(row: Row, { ts, defaultTime, clock }: InputFields): Timestamp {
  const value = row[ts];
  if (value === undefined && defaultTime !== undefined) return defaultTime;
  if (typeof value !== "string") return checkTime(value, ts);
  return NUMBER.test(value) ? checkTime(rawNumber(value), ts) : readTime(value, ts, clock);
}

function dataOf(row: Row, fields: InputFields): string {
  const data = row[fields.data];
  if (typeof data === "string") return data;
  if (data !== undefined) return compactJson(data, fields.data);
  const rest = Object.entries(row).filter(([name]) => name !== fields.ts && name !== fields.doc);
  if (rest.length === 0) return compactJson(undefined, fields.data);
  return compactJson(Object.fromEntries(rest), fields.data);
}

/** CSV has text only: in the cells that become a JSON object, what looks like a number is one. */
function withNumbers(row: Readonly<Record<string, string>>, { ts, doc, data }: InputFields): Row {
  const isTaken = (name: string): boolean => name === ts || name === doc || name === data;
  return Object.fromEntries(
    Object.entries(row).map(([name, text]) => [
      name,
      !isTaken(name) && NUMBER.test(text) ? parseJson(text) : text,
    ]),
  );
}
