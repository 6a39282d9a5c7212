/**
 * The replies of one connection that can't be sent yet, in the order of its requests.
 *
 * All writes of one commit share a promise, and here one gate: a thousand replies that wait for it cost one
 * continuation.
 */
import { Queue } from "../engine/queue.ts";
import type { DatabaseError } from "../protocol/errors.ts";
import { failureReply, okReply } from "./reply.ts";

/** What replies wait for; `error` is set when it failed. */
type Gate = { isOpen: boolean; error: DatabaseError | undefined };

type Entry = {
  /** Undefined for a reply that only waits for those before it. */
  readonly gate: Gate | undefined;
  /** The request's id as JSON; only a reply that can fail needs it. */
  readonly id: string;
  text: string;
  bytes: number;
};

export type ReplyQueueOptions = {
  /** Called when the first reply has become ready. */
  readonly onReady: () => void;
  /** Makes of whatever a write failed with what its clients are told. */
  readonly toDatabaseError: (error: unknown) => DatabaseError;
};

export class ReplyQueue {
  readonly #options: ReplyQueueOptions;
  /** The first entry; the others are in `#rest`. */
  #first: Entry | undefined;
  #rest = new Queue<Entry>();
  #bytes = 0;
  #promisedCount = 0;
  /** The newest gate that is still closed, and the promise that opens it. */
  #gate: Gate | undefined;
  #gatePromise: Promise<void> | undefined;

  constructor(options: ReplyQueueOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  get length(): number {
    return this.#first === undefined ? 0 : this.#rest.length + 1;
  }

  /** What the replies hold in memory, and the requests that their commits hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the first reply may be sent. */
  get isReady(): boolean {
    return this.#first !== undefined && this.#first.gate?.isOpen !== false;
  }

  /** Whether the text of a reply is still to come. */
  get hasPromised(): boolean {
    return this.#promisedCount > 0;
  }

  /** A reply that is known, and waits for those before it. */
  add(text: string): void {
    this.#push({ gate: undefined, id: "", text, bytes: text.length });
  }

  /** The reply to a write of `requestBytes`: its acknowledgement, or its error. */
  addAfter(written: Promise<void>, id: string, requestBytes: number): void {
    const gate = this.#gateOf(written);
    this.#push({ gate, id, text: okReply(id), bytes: requestBytes + id.length });
  }

  /** A reply whose text is still to come, and counts from then on; the promise must not reject. */
  addPromised(reply: Promise<string>): void {
    const gate: Gate = { isOpen: false, error: undefined };
    const entry: Entry = { gate, id: "", text: "", bytes: 0 };
    void reply.then((text) => {
      // Cleared meanwhile: until it is settled, a promised reply is in the queue.
      if (this.isEmpty) return;
      this.#promisedCount--;
      entry.text = text;
      entry.bytes = text.length;
      this.#bytes += text.length;
      this.#open(gate);
    });
    this.#promisedCount++;
    this.#push(entry);
  }

  /** Takes the first reply out; only when `isReady`. */
  shift(): string {
    const entry = this.#first as Entry;
    this.#first = this.#rest.shift();
    this.#bytes -= entry.bytes;
    const error = entry.gate?.error;
    return error === undefined ? entry.text : failureReply(entry.id, error);
  }

  clear(): void {
    this.#first = undefined;
    this.#rest = new Queue();
    this.#bytes = 0;
    this.#promisedCount = 0;
  }

  #push(entry: Entry): void {
    this.#bytes += entry.bytes;
    if (this.#first === undefined) this.#first = entry;
    else this.#rest.push(entry);
  }

  #gateOf(written: Promise<void>): Gate {
    if (this.#gate !== undefined && this.#gatePromise === written) return this.#gate;
    const gate: Gate = { isOpen: false, error: undefined };
    this.#gate = gate;
    this.#gatePromise = written;
    written.then(
      () => this.#open(gate),
      (error: unknown) => {
        gate.error = this.#options.toDatabaseError(error);
        this.#open(gate);
      },
    );
    return gate;
  }

  #open(gate: Gate): void {
    gate.isOpen = true;
    if (this.#gate === gate) {
      // Forgotten, since a promise that has settled must open another gate for whoever comes later.
      this.#gate = undefined;
      this.#gatePromise = undefined;
    }
    if (this.isReady) this.#options.onReady();
  }
}
