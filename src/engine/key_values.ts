/**
 * A collection's key-values, and lists of them.
 *
 * The whole list's text is kept until something changes: configuration is read far more often than written. A list that
 * takes long is put together between other requests: each value is as it was when its part was, and what comes or goes
 * meanwhile may be in it or not.
 */
import { quoteText } from "../protocol/json.ts";
import type { TextWriter } from "../storage/text_list.ts";
import { gatherKeys } from "./key_list.ts";
import type { LongWork, Task } from "./long_work.ts";
import { Queue } from "./queue.ts";
import { RawText } from "./raw_text.ts";
import { type ReplyText, replyTooLarge } from "./reply_text.ts";
import { compareTexts, mergeSorted } from "./sorting.ts";
import { ROW_BYTES, ValueTable } from "./value_table.ts";

/** What a checkpoint has taken to save. */
export type TakenValues = { readonly hashes: readonly number[]; readonly removed: readonly string[] };

export type RenderTools = {
  readonly longWork: LongWork;
  /** @throws DatabaseError `reply_too_large` beyond */
  readonly replyBytesMax: number;
};

/** What a key and its value cost, in LongWork's units. */
const KEY_UNITS = 4;
/** So many keys that are gone are left in the lists, beside as many as there are. */
const GONE_MAX = 1000;
/** A string in the list of keys. */
const KEY_OBJECT_BYTES = 40;
/** What it takes to know that a key was set, and that it was removed. */
const CHANGED_BYTES = 12;
const REMOVED_BYTES = 64;

/** Where a key of a list is put to look it up. */
const LISTED = new RawText();
/** Before somebody asks for the list, none are noted. */
const NO_KEYS = Object.freeze([]) as unknown as string[];

export class KeyValues {
  readonly #table: ValueTable;
  /** The memory that all is counted in. */
  readonly #memory: { objectBytes: number };
  readonly #isSaved: boolean;
  /** Keys that were removed since a checkpoint has taken such. */
  #removed: Queue<string> | undefined;
  /** In order, with some that are gone, once somebody has asked for them; and what has come since, in no order. */
  #sortedKeys: readonly string[] | undefined;
  #newKeys: string[] = NO_KEYS;
  #goneCount = 0;
  /** Whether the list is put together, and its end where that takes long. */
  #isGathering = false;
  #gathering: Promise<void> | undefined;
  #isGone = false;
  /** Another number after each change. */
  #version = 0;
  #rendered: string | undefined;
  /** What they take in memory. */
  #bytes = 0;
  #keysBytes = 0;

  constructor(memory: { objectBytes: number }, { isSaved }: { readonly isSaved: boolean }) {
    this.#memory = memory;
    this.#table = new ValueTable({ isSaved });
    this.#isSaved = isSaved;
  }

  get size(): number {
    return this.#table.size;
  }

  set(key: RawText, value: RawText): void {
    const { size } = this.#table;
    this.#table.set(key, value);
    if (this.#table.size > size && this.#isListed) this.#newKeys.push(key.toString());
    this.#changed();
  }

  /** Sets a value that is saved already, before anybody has asked for the list. */
  load(key: RawText, value: RawText): void {
    this.#table.load(key, value);
    this.#changed();
  }

  has(key: RawText): boolean {
    return this.#table.has(key);
  }

  /** Appends the value as a JSON string to a reply; returns false when there is none. */
  write(key: RawText, reply: ReplyText): boolean {
    return this.#table.write(key, reply);
  }

  /** `KEY:VALUE`, both as JSON strings, or undefined. */
  entryText(key: RawText): string | undefined {
    return this.#table.entryText(key);
  }

  /** How many changes wait to be saved. */
  get changeCount(): number {
    return this.#table.changedCount + (this.#removed?.length ?? 0);
  }

  /** Adds changes that wait to a checkpoint's rows, until these have so many bytes. */
  takeChanges(rows: TextWriter, bytesMax: number): TakenValues {
    const waiting = this.#removed;
    const removed: string[] = [];
    while (waiting !== undefined && waiting.length > 0) {
      // Also those that are passed over take their time.
      if (rows.byteLength + removed.length * ROW_BYTES >= bytesMax) break;
      const text = waiting.shift() as string;
      const key = LISTED.take(text);
      removed.push(text);
      // One that came back is with those that were set.
      if (this.#table.has(key)) continue;
      rows.add(key.bytes, key.start, key.end);
      rows.addNone();
    }
    if (waiting?.length === 0) this.#removed = undefined;
    const hashes = this.#table.takeChanged(rows, bytesMax);
    this.#count();
    return { removed, hashes };
  }

  /** What was taken was not saved. */
  giveBackChanges({ hashes, removed }: TakenValues): void {
    for (const key of removed) this.#noteRemoval(key);
    this.#table.giveBack(hashes);
    this.#count();
  }

  #noteRemoval(key: string): void {
    this.#removed ??= new Queue();
    this.#removed.push(key);
  }

  delete(key: RawText): boolean {
    if (!this.#table.delete(key)) return false;
    if (this.#isSaved) this.#noteRemoval(key.toString());
    // Whoever only sets and deletes is not to fill memory with what is gone.
    if (this.#isListed) this.#goneCount++;
    if (this.#goneCount > this.size + GONE_MAX && !this.#isGathering) this.keys();
    this.#changed();
    return true;
  }

  /** Forgets all, for good. */
  end(): void {
    this.#table.clear();
    this.#removed = undefined;
    this.#isGone = true;
    this.#sortedKeys = [];
    this.#goneCount = 0;
    this.#newKeys = [];
    this.#keysBytes = 0;
    this.#changed();
  }

  /** Resolves when `keys` has no more than little to do; undefined when it has not. */
  prepareKeys(longWork: LongWork): Promise<void> | undefined {
    if (this.#sortedKeys !== undefined) return undefined;
    if (this.#gathering !== undefined) return this.#gathering;
    const list: { keys: readonly string[] } = { keys: [] };
    this.#newKeys = [];
    this.#goneCount = 0;
    this.#isGathering = true;
    const end = (): void => {
      this.#isGathering = false;
      this.#gathering = undefined;
    };
    const keep = (): void => {
      end();
      if (!this.#isGone) this.#keepKeys(list.keys);
    };
    const refuse = (error: unknown): never => {
      end();
      throw error;
    };
    const rest = longWork.begin(gatherKeys(this.#table, longWork, list));
    if (rest === undefined) keep();
    else this.#gathering = rest.then(keep, refuse);
    return this.#gathering;
  }

  /** All keys, in code unit order. The array stays as it is: a change makes another one. */
  keys(): readonly string[] {
    const sorted = this.#sortedKeys;
    if (sorted !== undefined && this.#newKeys.length === 0 && this.#goneCount === 0) return sorted;
    const all = sorted ?? this.#table.keys().sort();
    const kept = this.#goneCount > 0 ? all.filter((key) => this.#isThere(key)) : all;
    const added = this.#newKeys;
    const there = this.#goneCount > 0 ? [...new Set(added.filter((key) => this.#isThere(key)))] : added;
    // Without a function, sort() compares UTF-16 code units.
    const keys = mergeSorted(kept, there.sort(), compareTexts);
    this.#newKeys = [];
    this.#goneCount = 0;
    this.#keepKeys(keys);
    return keys;
  }

  /** `{KEY:STRING,…}` of all keys, in order. */
  render(tools: RenderTools): string | Promise<string> {
    if (this.#rendered !== undefined) return this.#rendered;
    const prepared = this.prepareKeys(tools.longWork);
    if (prepared !== undefined) return prepared.then(() => this.render(tools));
    const version = this.#version;
    const keep = (text: string): string => {
      if (version === this.#version) {
        this.#rendered = text;
        this.#count();
      }
      return text;
    };
    const text = this.renderOnly(this.keys(), tools);
    return text instanceof Promise ? text.then(keep) : keep(text);
  }

  /** The same of some keys, as far as they are there. */
  renderOnly(keys: readonly string[], tools: RenderTools): string | Promise<string> {
    const partOf = (key: string): string | undefined => this.entryText(LISTED.take(key));
    return renderList(keys, partOf, tools, (text) => `{${text}}`);
  }

  /** `[KEY,…]` of all keys, in order. */
  renderKeys(tools: RenderTools): string | Promise<string> {
    const prepared = this.prepareKeys(tools.longWork);
    if (prepared !== undefined) return prepared.then(() => this.renderKeys(tools));
    return renderList(this.keys(), quoteText, tools, (text) => `[${text}]`);
  }

  #keepKeys(keys: readonly string[]): void {
    this.#sortedKeys = keys;
    this.#keysBytes = keys.reduce((bytes, { length }) => bytes + length + KEY_OBJECT_BYTES, 0);
    this.#count();
  }

  /** Whether what comes and goes is to be noted for the list of keys. */
  get #isListed(): boolean {
    return this.#sortedKeys !== undefined || this.#isGathering;
  }

  #isThere(key: string): boolean {
    return this.#table.has(LISTED.take(key));
  }

  #changed(): void {
    this.#version++;
    this.#rendered = undefined;
    this.#count();
  }

  #count(): void {
    const waitingBytes =
      this.#table.changedCount * CHANGED_BYTES + (this.#removed?.length ?? 0) * REMOVED_BYTES;
    const bytes = this.#table.bytes + this.#keysBytes + (this.#rendered?.length ?? 0) + waitingBytes;
    this.#memory.objectBytes += bytes - this.#bytes;
    this.#bytes = bytes;
  }
}

function renderList(
  keys: readonly string[],
  partOf: (key: string) => string | undefined,
  tools: RenderTools,
  within: (text: string) => string,
): string | Promise<string> {
  const list = { text: "" };
  const rest = tools.longWork.begin(writeList(list, keys, partOf, tools));
  return rest === undefined ? within(list.text) : rest.then(() => within(list.text));
}

function* writeList(
  list: { text: string },
  keys: readonly string[],
  partOf: (key: string) => string | undefined,
  { longWork, replyBytesMax }: RenderTools,
): Task {
  let parts: string[] = [];
  // Joined a portion at a time: a string that grew part by part would be a tree of all of them, which each reply walks.
  const join = (): void => {
    const text = parts.join(",");
    list.text = list.text === "" ? text : `${list.text},${text}`;
    if (list.text.length > replyBytesMax) throw replyTooLarge(replyBytesMax);
    parts = [];
  };
  for (const key of keys) {
    const part = partOf(key);
    if (part !== undefined) parts.push(part);
    if (!longWork.isTurnOver(KEY_UNITS) || parts.length === 0) continue;
    join();
    yield;
  }
  if (parts.length > 0) join();
}
