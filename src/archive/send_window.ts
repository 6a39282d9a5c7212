/**
 * Sends records in batches, several at a time, in order, and never more than the server keeps up with.
 */
import type { FluxionDB } from "../client/fluxiondb.ts";
import type { CallOptions, NewRecord } from "../client/types.ts";

const BATCH_RECORDS = 1000;
/** Of data, in UTF-16 code units. */
const BATCH_LENGTH = 512 * 1024;
const BATCHES_UNDER_WAY = 8;
const CALLS_UNDER_WAY = 256;

export class SendWindow {
  readonly #client: Pick<FluxionDB, "insert">;
  readonly #call: CallOptions;
  #batch: NewRecord[] = [];
  #length = 0;
  #batches = 0;
  #calls = 0;
  #failure: { readonly error: unknown } | undefined;
  #waiting: (() => void) | undefined;
  /** How many are acknowledged. */
  records = 0;

  constructor(client: Pick<FluxionDB, "insert">, call: CallOptions) {
    this.#client = client;
    this.#call = call;
  }

  /** Returns true when a batch has been sent: then `room()` is to be awaited. */
  add(record: NewRecord): boolean {
    this.#batch.push(record);
    this.#length += (record.data as string).length;
    if (this.#batch.length < BATCH_RECORDS && this.#length < BATCH_LENGTH) return false;
    this.#send();
    return true;
  }

  /** Sends what waits for company. */
  flush(): void {
    if (this.#batch.length > 0) this.#send();
  }

  /** Another call that is under way. */
  track(call: Promise<unknown>): void {
    this.#calls++;
    call
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#calls--;
        this.#waiting?.();
      });
  }

  /** Resolves when more may be sent. @throws what a call has thrown */
  async room(): Promise<void> {
    while (this.#batches >= BATCHES_UNDER_WAY || this.#calls >= CALLS_UNDER_WAY) await this.#change();
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Sends the rest and waits for all. @throws what a call has thrown */
  async finish(): Promise<void> {
    this.flush();
    while (this.#calls > 0) await this.#change();
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #send(): void {
    const batch = this.#batch;
    this.#batch = [];
    this.#length = 0;
    this.#batches++;
    const sent = this.#client.insert(batch, this.#call).then(() => {
      this.records += batch.length;
    });
    this.track(
      sent.finally(() => {
        this.#batches--;
      }),
    );
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}
