/**
 * Thrown by a write that is to be done again a little later: what it needs first takes several turns of the event loop.
 * Nothing of it is applied.
 */
export class NotReady extends Error {
  /** When it can be done; it does not reject. */
  readonly ready: Promise<void>;

  constructor(ready: Promise<void> = Promise.resolve()) {
    super("A write is to be done again when it is ready");
    this.ready = ready;
  }
}
