/**
 * All collections, and what the commands that a start may have to repeat do to them.
 */
import type { Request } from "../protocol/messages.ts";
import { Collection, type CollectionOptions } from "./collection.ts";
import type { Command } from "./journal_entry.ts";
import type { LongWork } from "./long_work.ts";
import { Name } from "./name.ts";
import { NameTable } from "./name_table.ts";
import { neverInline } from "./never_inline.ts";
import { RawText, unescapeText } from "./raw_text.ts";

/** Whether a collection has not seen a command yet: its checkpoint may be ahead of the journal. */
export type IsNewFor = (collection: Collection) => boolean;

export class Collections {
  /** The names of deleted collections that still have a file. */
  readonly dropped = new Set<string>();

  readonly #options: Omit<CollectionOptions, "name">;
  readonly #totals = { documents: 0 };
  readonly #table = new NameTable<Collection>();
  /** The one that was found last: mostly the next one is the same, which takes a third of looking for it. */
  #last: Collection | undefined;

  constructor(options: Omit<CollectionOptions, "name" | "totals">) {
    this.#options = { ...options, totals: this.#totals };
    neverInline(this.getByBytes);
  }

  /** Of all collections. */
  get documentCount(): number {
    return this.#totals.documents;
  }

  get size(): number {
    return this.#table.size;
  }

  /** By name, in code unit order. */
  sorted(): readonly Collection[] {
    return this.#table.sorted();
  }

  /** See NameTable. */
  prepareSorted(longWork: LongWork): Promise<void> | undefined {
    return this.#table.prepareSorted(longWork);
  }

  /** All of them, in no order: those that come and go later are in it or not. */
  all(): readonly Collection[] {
    return this.#table.all();
  }

  get(name: string | RawText): Collection | undefined {
    return typeof name === "string"
      ? this.#table.get(name)
      : this.getByBytes(name.bytes, name.start, name.end);
  }

  /** The name is the inside of a JSON string. */
  getByBytes(names: Buffer, start: number, end: number): Collection | undefined {
    const last = this.#last;
    if (last?.name.equals(names, start, end) === true) return last;
    const collection = this.#table.getByBytes(names, start, end);
    if (collection !== undefined) this.#last = collection;
    return collection;
  }

  getOrAdd(names: Buffer, start: number, end: number): Collection {
    return this.getByBytes(names, start, end) ?? this.add(unescapeText(names, start, end));
  }

  add(name: string): Collection {
    const collection = new Collection({ ...this.#options, name: new Name(name, this.#options.chunks.slabs) });
    this.#table.add(collection);
    return collection;
  }

  setValue(col: RawText, key: RawText, value: RawText): void {
    (this.get(col) ?? this.add(col.toString())).setValue(key, value);
  }

  apply(command: Command, isNewFor: IsNewFor): void {
    switch (command.type) {
      case "ddoc":
        this.#applyDocumentDeletion(command.request, isNewFor);
        break;
      case "dcol":
        this.#applyCollectionDeletion(command.request, isNewFor);
        break;
      case "dmrec":
        for (const { col, doc, ts } of command.request) {
          this.#applyRangeDeletion({ col, doc, fromTs: ts, toTs: ts }, isNewFor);
        }
        break;
      case "drrng":
        this.#applyRangeDeletion(command.request, isNewFor);
        break;
      case "sval":
        this.#applyValue(command.request, isNewFor);
        break;
      case "rval":
        this.#applyValueRemoval(command.request, isNewFor);
        break;
    }
  }

  #applyCollectionDeletion({ col }: Request<"dcol">, isNewFor: IsNewFor): void {
    const collection = this.#table.get(col);
    if (collection !== undefined && isNewFor(collection)) this.#drop(collection);
  }

  #applyValue({ col, key, value }: Request<"sval">, isNewFor: IsNewFor): void {
    const collection = this.#table.get(col) ?? this.add(col);
    if (isNewFor(collection)) collection.setValue(RawText.of(key), RawText.of(value));
  }

  #applyValueRemoval({ col, key }: Request<"rval">, isNewFor: IsNewFor): void {
    const collection = this.#table.get(col);
    if (collection === undefined || !isNewFor(collection)) return;
    collection.removeValue(RawText.of(key));
    this.#dropIfEmpty(collection);
  }

  #applyDocumentDeletion({ doc, col }: Request<"ddoc">, isNewFor: IsNewFor): void {
    const one = this.#table.get(col);
    const collections = col === "" ? this.all() : one === undefined ? [] : [one];
    const name = RawText.of(doc);
    for (const collection of collections) {
      const series = collection.documents.get(name);
      if (series === undefined || !isNewFor(collection)) continue;
      collection.removeDocument(series);
      this.#dropIfEmpty(collection);
    }
  }

  #applyRangeDeletion({ col, doc, fromTs, toTs }: Request<"drrng">, isNewFor: IsNewFor): void {
    const collection = this.#table.get(col);
    const series = collection?.documents.get(doc);
    if (collection === undefined || series === undefined || !isNewFor(collection)) return;
    collection.recordCount -= series.remove(fromTs, toTs);
    if (series.chunkCount > 0) return;
    collection.removeDocument(series);
    this.#dropIfEmpty(collection);
  }

  #dropIfEmpty(collection: Collection): void {
    if (collection.isEmpty) this.#drop(collection);
  }

  #drop(collection: Collection): void {
    this.#table.delete(collection);
    if (this.#last === collection) this.#last = undefined;
    if (collection.isSaved) this.dropped.add(collection.name.text);
    collection.end();
  }
}
