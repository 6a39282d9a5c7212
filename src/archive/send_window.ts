/**
 * Sends records in batches, several at a time, in order, and never more than the server keeps up with.
 *
 * The first call that gets no reply in time gives up all others: each would wait as long again.
 */
import { FluxionError } from "../client/fluxion_error.ts";
import type { FluxionDB } from "../client/fluxiondb.ts";
import type { CallOptions, NewRecord } from "../client/types.ts";

const BATCH_RECORDS = 1000;
/** Of data, in UTF-16 code units. */
const BATCH_LENGTH = 512 * 1024;
const BATCHES_UNDER_WAY = 8;
const CALLS_UNDER_WAY = 256;

export class SendWindow {
  readonly #client: Pick<FluxionDB, "insert">;
  readonly #onFailure: () => void;
  readonly #giveUp = new AbortController();
  #batch: NewRecord[] = [];
  #length = 0;
  #batches = 0;
  #calls = 0;
  #waiting: (() => void) | undefined;
  /** For other calls that are tracked. */
  readonly call: CallOptions;
  /** Why the first call failed. */
  failure: { readonly error: unknown } | undefined;
  /** How many are acknowledged. */
  records = 0;

  /** `onFailure`: for who waits for something else than this. */
  constructor(
    client: Pick<FluxionDB, "insert">,
    { signal, ...call }: CallOptions,
    { onFailure = () => {} }: { readonly onFailure?: () => void } = {},
  ) {
    this.#client = client;
    this.#onFailure = onFailure;
    const given = signal === undefined ? [] : [signal];
    this.call = { ...call, signal: AbortSignal.any([...given, this.#giveUp.signal]) };
  }

  /** Returns true when a batch has been sent: then `room()` is to be awaited. */
  add(record: NewRecord): boolean {
    this.#batch.push(record);
    this.#length += (record.data as string).length;
    if (this.#batch.length < BATCH_RECORDS && this.#length < BATCH_LENGTH) return false;
    this.#send();
    return true;
  }

  /** Sends what waits for company, unless a call has failed. */
  flush(): void {
    if (this.#batch.length > 0 && this.failure === undefined) this.#send();
  }

  /** Another call that is under way. */
  track(call: Promise<unknown>): void {
    this.#calls++;
    call
      .catch((error: unknown) => {
        this.failure ??= { error };
        if (error instanceof FluxionError && error.code === "timeout") this.#giveUp.abort();
        this.#onFailure();
      })
      .finally(() => {
        this.#calls--;
        this.#waiting?.();
      });
  }

  /** Resolves when more may be sent. @throws what a call has thrown */
  async room(): Promise<void> {
    while (this.#batches >= BATCHES_UNDER_WAY || this.#calls >= CALLS_UNDER_WAY) await this.#change();
    if (this.failure !== undefined) throw this.failure.error;
  }

  /** Sends the rest and waits for all. @throws what a call has thrown */
  async finish(): Promise<void> {
    this.flush();
    while (this.#calls > 0) await this.#change();
    if (this.failure !== undefined) throw this.failure.error;
  }

  #send(): void {
    const batch = this.#batch;
    this.#batch = [];
    this.#length = 0;
    this.#batches++;
    const sent = this.#client.insert(batch, this.call).then(() => {
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
