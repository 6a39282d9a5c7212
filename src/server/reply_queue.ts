/**
 * The replies of one connection that can't be sent yet, in the order of its requests.
 *
 * In columns, since most of what waits is the id of a write: an object each would cost more than the write's reply.
 */
import type { CommitGates, Gate, GateKeeper } from "./commit_gate.ts";
import { failureReply, okReply } from "./reply.ts";

/** A reply whose text is still to come, with its gate. */
type Promised = Gate & { text: string };

export type ReplyQueueOptions = {
  readonly gates: CommitGates;
  /** Called when the first reply has become ready. */
  readonly onReady: () => void;
};

/** So many places are kept when all are free; and the used-up front is cut off when it is longer, and half of all. */
const PLACES_KEPT = 1024;

export class ReplyQueue implements GateKeeper {
  readonly #options: ReplyQueueOptions;
  /** What each waits for; undefined for a reply that only waits for those before it. */
  #gates: (Gate | undefined)[] = [];
  /** The reply, or the id as JSON of a write that is answered when its gate opens. */
  #texts: string[] = [];
  #sizes: number[] = [];
  /** The place of the first one. */
  #first = 0;
  #bytes = 0;
  #promisedCount = 0;
  /** The newest gate that a write waits for. */
  #gate: Gate | undefined;

  constructor(options: ReplyQueueOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#first === this.#texts.length;
  }

  get length(): number {
    return this.#texts.length - this.#first;
  }

  /** What the replies hold in memory, and the requests that their commits hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the first reply may be sent. */
  get isReady(): boolean {
    return !this.isEmpty && this.#gates[this.#first]?.isOpen !== false;
  }

  /** Whether the text of a reply is still to come. */
  get hasPromised(): boolean {
    return this.#promisedCount > 0;
  }

  /** A reply that is known, and waits for those before it. */
  add(text: string): void {
    this.#push(undefined, text, text.length);
  }

  /** The reply to a write of `requestBytes`: its acknowledgement, or its error. */
  addAfter(written: Promise<void>, id: string, requestBytes: number): void {
    this.#gate = this.#options.gates.gateOf(written, this, this.#gate);
    this.#push(this.#gate, id, requestBytes + id.length);
  }

  /** A reply whose text is still to come, and counts from then on; the promise must not reject. */
  addPromised(reply: Promise<string>): void {
    const promised: Promised = { isOpen: false, error: undefined, text: "" };
    void reply.then((text) => {
      // Cleared meanwhile: until it is settled, a promised reply is in the queue.
      if (this.isEmpty) return;
      this.#promisedCount--;
      promised.text = text;
      promised.isOpen = true;
      this.#bytes += text.length;
      this.gateOpened();
    });
    this.#promisedCount++;
    this.#push(promised, "", 0);
  }

  /** Takes the first reply out; only when `isReady`. */
  shift(): string {
    const at = this.#first++;
    const gate = this.#gates[at];
    const text = this.#texts[at] as string;
    this.#bytes -= this.#sizes[at] as number;
    if (this.isEmpty) this.#reset();
    else if (at >= PLACES_KEPT && at * 2 >= this.#texts.length) this.#cutFront();
    if (gate === undefined) return text;
    if (isPromised(gate)) {
      this.#bytes -= gate.text.length;
      return gate.text;
    }
    return gate.error === undefined ? okReply(text) : failureReply(text, gate.error);
  }

  clear(): void {
    this.#reset();
    this.#bytes = 0;
    this.#promisedCount = 0;
  }

  gateOpened(): void {
    if (this.isReady) this.#options.onReady();
  }

  #push(gate: Gate | undefined, text: string, size: number): void {
    this.#gates.push(gate);
    this.#texts.push(text);
    this.#sizes.push(size);
    this.#bytes += size;
  }

  #cutFront(): void {
    this.#gates = this.#gates.slice(this.#first);
    this.#texts = this.#texts.slice(this.#first);
    this.#sizes = this.#sizes.slice(this.#first);
    this.#first = 0;
  }

  #reset(): void {
    this.#first = 0;
    if (this.#texts.length > PLACES_KEPT) {
      this.#gates = [];
      this.#texts = [];
      this.#sizes = [];
    } else {
      this.#gates.length = 0;
      this.#texts.length = 0;
      this.#sizes.length = 0;
    }
  }
}

const isPromised = (gate: Gate): gate is Promised => "text" in gate;
