/**
 * A database whose answers are promises: writes are applied at once and acknowledged by `commit`, as with a journal;
 * `collections` is answered by `answer`, as by a database on another machine.
 */
import type { Answer, Database, Written } from "../../src/engine/database.ts";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";

type Call = keyof Database;

export class DelayedDatabase implements Database {
  readonly #memory = new MemoryDatabase();
  #commit: PromiseWithResolvers<void> | undefined;
  #answers: PromiseWithResolvers<string>[] = [];
  readonly #calls: Call[] = [];
  #watchers: { count: number; resolve: () => void }[] = [];

  /** How many continuations the promises of its commits got. */
  continuations = 0;

  insert: Database["insert"] = (batch) => this.#write("insert", this.#memory.insert(batch));
  deleteDocument: Database["deleteDocument"] = (request) =>
    this.#write("deleteDocument", this.#memory.deleteDocument(request));
  deleteCollection: Database["deleteCollection"] = (request) =>
    this.#write("deleteCollection", this.#memory.deleteCollection(request));
  deleteRecords: Database["deleteRecords"] = (records) =>
    this.#write("deleteRecords", this.#memory.deleteRecords(records));
  deleteRange: Database["deleteRange"] = (range) =>
    this.#write("deleteRange", this.#memory.deleteRange(range));
  setValue: Database["setValue"] = (request) => this.#write("setValue", this.#memory.setValue(request));
  removeValue: Database["removeValue"] = (request) =>
    this.#write("removeValue", this.#memory.removeValue(request));

  latest: Database["latest"] = (query) => this.#read("latest", this.#memory.latest(query));
  history: Database["history"] = (query) => this.#read("history", this.#memory.history(query));
  value: Database["value"] = (query) => this.#read("value", this.#memory.value(query));
  valuesMatching: Database["valuesMatching"] = (query) =>
    this.#read("valuesMatching", this.#memory.valuesMatching(query));
  values: Database["values"] = (query) => this.#read("values", this.#memory.values(query));
  valueKeys: Database["valueKeys"] = (query) => this.#read("valueKeys", this.#memory.valueKeys(query));

  collections(): Answer {
    const answer = Promise.withResolvers<string>();
    this.#answers.push(answer);
    this.#note("collections");
    return answer.promise;
  }

  /** Resolves when so many calls have come in all. */
  called(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#watchers.push({ count, resolve });
      this.#look();
    });
  }

  get callCount(): number {
    return this.#calls.length;
  }

  /** Acknowledges all writes since the last commit. */
  commit(): void {
    this.#commit?.resolve();
    this.#commit = undefined;
  }

  fail(error: unknown): void {
    this.#commit?.reject(error);
    this.#commit = undefined;
  }

  /** Answers the oldest `collections` that waits. */
  answer(text: string): void {
    this.#answers.shift()?.resolve(text);
  }

  answerFailure(error: unknown): void {
    this.#answers.shift()?.reject(error);
  }

  #write(call: Call, _written: Written): Promise<void> {
    this.#commit ??= this.#newCommit();
    this.#note(call);
    return this.#commit.promise;
  }

  #newCommit(): PromiseWithResolvers<void> {
    const commit = Promise.withResolvers<void>();
    const { promise } = commit;
    const register = promise.then.bind(promise);
    // biome-ignore lint/suspicious/noThenProperty: it is a promise, and this counts who waits for it.
    Object.defineProperty(promise, "then", {
      value: (...handlers: Parameters<typeof register>) => {
        this.continuations++;
        return register(...handlers);
      },
    });
    return commit;
  }

  #read(call: Call, answer: Answer): Answer {
    this.#note(call);
    return answer;
  }

  #note(call: Call): void {
    this.#calls.push(call);
    this.#look();
  }

  #look(): void {
    for (const { count, resolve } of this.#watchers) if (this.#calls.length >= count) resolve();
    this.#watchers = this.#watchers.filter(({ count }) => this.#calls.length < count);
  }
}
