/**
 * What is whole in a damaged catalog, and what is not, in words.
 */
import { APPLICATION_ID, describeKey, FORMAT_VERSION, newerFormat, unescapeText } from "./catalog.ts";
import { checksumOf } from "./checksum.ts";
import { ForgivingReader, isUnread, notePageProblem, passes } from "./forgiving_reader.ts";
import type { StoredApiKey } from "./storage.ts";

export type SalvagedCatalog = {
  /** The group that was cut off last; undefined when nothing says which. */
  readonly cutGroup: number | undefined;
  readonly collections: readonly string[];
  /** Whether these are all that there should be. */
  readonly isListWhole: boolean;
  readonly apiKeys: readonly StoredApiKey[];
  /** Of format 1, which had the journal here. Without gaps: a group that is left out is an empty one. */
  readonly groups: readonly { readonly number: number; readonly body: Uint8Array }[];
  readonly leftOut: readonly string[];
};

/** @throws when the file is no database */
export function salvageCatalog(file: string): SalvagedCatalog {
  using reader = new ForgivingReader(file);
  checkFormat(reader, file);
  const leftOut: string[] = [];
  const meta = reader.row<{ last_group: number; collections: number }>("SELECT * FROM meta");
  if (isUnread(meta)) throw new Error(meta.problem);
  const collections = readCollections(reader, leftOut);
  const isListWhole = meta !== undefined && meta.collections === collections.length;
  if (!isListWhole) leftOut.push("a part of the list of collections");
  const apiKeys = readApiKeys(reader, leftOut);
  const { groups, cutGroup } = readGroups(reader, meta?.last_group, leftOut);
  notePageProblem(reader, leftOut);
  return { cutGroup, collections, isListWhole, apiKeys, groups, leftOut };
}

function checkFormat(reader: ForgivingReader, file: string): void {
  const version = reader.row<{ user_version: number }>("PRAGMA user_version");
  const application = reader.row<{ application_id: number }>("PRAGMA application_id");
  if (isUnread(version)) throw new Error(version.problem);
  if (isUnread(application) || application?.application_id !== APPLICATION_ID) {
    throw new Error("it is no FluxionDB catalog");
  }
  const found = version?.user_version ?? 0;
  if (found > FORMAT_VERSION) throw newerFormat(file, found);
}

function readCollections(reader: ForgivingReader, leftOut: string[]): string[] {
  const { rows, problem } = reader.rows<{ name: string }>("collections", "name");
  if (problem !== undefined) leftOut.push(`collections whose names cannot be read: ${problem}`);
  const names: string[] = [];
  for (const { name } of rows) {
    try {
      names.push(unescapeText(name));
    } catch {
      leftOut.push(`a collection whose name cannot be read: ${name}`);
    }
  }
  return names;
}

function readApiKeys(reader: ForgivingReader, leftOut: string[]): StoredApiKey[] {
  type Row = Partial<StoredApiKey> & { readonly checksum: number };
  const { rows, problem } = reader.rows<Row>("api_keys", "digest");
  if (problem !== undefined) leftOut.push(`API keys that cannot be read: ${problem}`);
  const keys: StoredApiKey[] = [];
  for (const { checksum, ...row } of rows) {
    const key = { limits: null, ...row } as StoredApiKey;
    const { digest, sealed } = key;
    if (passes(() => checksumOf(describeKey(key), sealed) === checksum)) keys.push(key);
    else {
      const hex = digest instanceof Uint8Array ? Buffer.from(digest).toString("hex") : "without a digest";
      leftOut.push(`API key ${hex.slice(0, 16)}, which fails its checksum`);
    }
  }
  return keys;
}

/** `cut` is what the meta table says, if it says anything. */
function readGroups(
  reader: ForgivingReader,
  cut: number | undefined,
  leftOut: string[],
): Pick<SalvagedCatalog, "groups" | "cutGroup"> {
  type Row = { number: number; is_packed: number; checksum: number; body: Uint8Array };
  const table = reader.row("SELECT 1 FROM sqlite_schema WHERE name = 'journal'");
  if (table === undefined) return { groups: [], cutGroup: cut };
  const { rows, problem } = reader.numberedRows<Row>("journal", "number");
  if (problem !== undefined) leftOut.push(`groups of the journal that cannot be read: ${problem}`);
  const first = rows[0]?.number;
  const cutGroup = cut ?? (first === undefined ? undefined : first - 1);
  if (cutGroup === undefined) return { groups: [], cutGroup };
  const whole = new Map<number, Uint8Array>();
  for (const { number, is_packed, checksum, body } of rows) {
    const isWhole = passes(() => checksumOf(`${number}:${is_packed}`, body) === checksum);
    if (isWhole) whole.set(number, is_packed === 1 ? Bun.zstdDecompressSync(body) : body);
    else leftOut.push(`group ${number} of the journal, which fails its checksum`);
  }
  const seen = new Set(rows.map(({ number }) => number));
  const last = [...whole.keys()].reduce((max, number) => Math.max(max, number), cutGroup);
  const groups: { number: number; body: Uint8Array }[] = [];
  for (let number = cutGroup + 1; number <= last; number++) {
    if (!seen.has(number)) leftOut.push(`group ${number} of the journal, which is missing`);
    groups.push({ number, body: whole.get(number) ?? new Uint8Array(0) });
  }
  return { groups, cutGroup };
}
