/**
 * A collection's key-values. Values are kept as the JSON strings they are sent as.
 *
 * The whole list's text is kept until something changes: configuration is read far more often than written. A list that
 * takes long is put together between other requests: each value is as it was when its part was, and what is added
 * meanwhile is not in it.
 */
import { quoteText } from "../protocol/json.ts";
import type { LongWork, Task } from "./long_work.ts";
import { replyTooLarge } from "./reply_text.ts";

export type RenderTools = {
  readonly longWork: LongWork;
  /** @throws DatabaseError `reply_too_large` beyond */
  readonly replyBytesMax: number;
};

/** What a key and its value cost, in LongWork's units. */
const KEY_UNITS = 4;
/** So many keys that are gone are left in the lists, beside as many as there are. */
const GONE_MAX = 1000;

export class KeyValues {
  /** Key to value, the value as a JSON string with its quotes. */
  readonly #values = new Map<string, string>();
  /** In order, with some that are gone; and what has come since, in no order. */
  #sortedKeys: readonly string[] = [];
  #newKeys: string[] = [];
  #goneCount = 0;
  /** Another number after each change. */
  #version = 0;
  #rendered: string | undefined;

  /** What they take in memory, about. */
  bytes = 0;

  get size(): number {
    return this.#values.size;
  }

  /** `value` is a JSON string with its quotes. */
  set(key: string, value: string): void {
    const before = this.#values.get(key);
    if (before === undefined) this.#newKeys.push(key);
    this.bytes += before === undefined ? sizeOf(key, value) : value.length - before.length;
    this.#values.set(key, value);
    this.#changed();
  }

  /** The value as a JSON string, or undefined when there is none. */
  get(key: string): string | undefined {
    return this.#values.get(key);
  }

  delete(key: string): boolean {
    const value = this.#values.get(key);
    if (value === undefined) return false;
    this.#values.delete(key);
    this.bytes -= sizeOf(key, value);
    // Whoever only sets and deletes is not to fill memory with what is gone.
    if (++this.#goneCount > this.size + GONE_MAX) this.keys();
    this.#changed();
    return true;
  }

  /** All keys, in code unit order. The array stays as it is: a change makes another one. */
  keys(): readonly string[] {
    if (this.#newKeys.length > 0 || this.#goneCount > 0) {
      const kept = this.#goneCount > 0 ? this.#sortedKeys.filter(this.#isThere) : this.#sortedKeys;
      const added = this.#goneCount > 0 ? [...new Set(this.#newKeys.filter(this.#isThere))] : this.#newKeys;
      // Without a function, sort() compares UTF-16 code units.
      this.#sortedKeys = mergeSorted(kept, added.sort());
      this.#newKeys = [];
      this.#goneCount = 0;
    }
    return this.#sortedKeys;
  }

  /** `{KEY:STRING,…}` of all keys, in order. */
  render(tools: RenderTools): string | Promise<string> {
    if (this.#rendered !== undefined) return this.#rendered;
    const version = this.#version;
    const keep = (text: string): string => {
      if (version === this.#version) this.#rendered = text;
      return text;
    };
    const text = this.renderOnly(this.keys(), tools);
    return text instanceof Promise ? text.then(keep) : keep(text);
  }

  /** The same of some keys, as far as they are there. */
  renderOnly(keys: readonly string[], tools: RenderTools): string | Promise<string> {
    const partOf = (key: string): string | undefined => {
      const value = this.#values.get(key);
      return value === undefined ? undefined : `${quoteText(key)}:${value}`;
    };
    return renderList(keys, partOf, tools, (text) => `{${text}}`);
  }

  /** `[KEY,…]` of all keys, in order. */
  renderKeys(tools: RenderTools): string | Promise<string> {
    return renderList(this.keys(), quoteText, tools, (text) => `[${text}]`);
  }

  readonly #isThere = (key: string): boolean => this.#values.has(key);

  #changed(): void {
    this.#version++;
    this.#rendered = undefined;
  }
}

/** Two strings and their place in a map. */
const ENTRY_BYTES = 120;

function sizeOf(key: string, value: string): number {
  return ENTRY_BYTES + key.length + value.length;
}

/** One that was gone and has come again may be in both. */
function mergeSorted(a: readonly string[], b: readonly string[]): readonly string[] {
  if (b.length === 0) return a;
  if (a.length === 0) return b;
  const merged: string[] = [];
  let next = 0;
  for (const key of a) {
    for (; next < b.length && (b[next] as string) < key; next++) merged.push(b[next] as string);
    if (b[next] === key) next++;
    merged.push(key);
  }
  for (; next < b.length; next++) merged.push(b[next] as string);
  return merged;
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
