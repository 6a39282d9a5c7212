/**
 * A collection's key-values. Values are kept as the JSON strings they are sent as.
 *
 * The whole list's text is kept until something changes: configuration is read far more often than written.
 */
export class KeyValues {
  /** Key to value, the value as a JSON string with its quotes. */
  readonly #values = new Map<string, string>();
  #sortedKeys: string[] | undefined;
  #rendered: string | undefined;

  /** What they take in memory, about. */
  bytes = 0;

  get size(): number {
    return this.#values.size;
  }

  /** `value` is a JSON string with its quotes. */
  set(key: string, value: string): void {
    const before = this.#values.get(key);
    if (before === undefined) this.#sortedKeys = undefined;
    this.bytes += before === undefined ? sizeOf(key, value) : value.length - before.length;
    this.#values.set(key, value);
    this.#rendered = undefined;
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
    this.#sortedKeys = undefined;
    this.#rendered = undefined;
    return true;
  }

  /** All keys, in code unit order. */
  keys(): readonly string[] {
    // Without a function, sort() compares UTF-16 code units.
    this.#sortedKeys ??= [...this.#values.keys()].sort();
    return this.#sortedKeys;
  }

  /** `{KEY:STRING,…}` of all keys, in order. */
  render(): string {
    this.#rendered ??= this.renderOnly(this.keys());
    return this.#rendered;
  }

  /** The same of some keys, as far as they are there. */
  renderOnly(keys: readonly string[]): string {
    const parts: string[] = [];
    for (const key of keys) {
      const value = this.#values.get(key);
      if (value !== undefined) parts.push(`${JSON.stringify(key)}:${value}`);
    }
    // Joined at once: a string that grew piece by piece stays a tree of its pieces, and each reply would walk it.
    return `{${parts.join(",")}}`;
  }
}

/** Two strings and their place in a map. */
const ENTRY_BYTES = 120;

function sizeOf(key: string, value: string): number {
  return ENTRY_BYTES + key.length + value.length;
}
