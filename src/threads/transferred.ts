/**
 * What a thread hands over to the main one instead of having it copied.
 */

/** A call's result; its buffers are gone here afterwards. */
export class Transferred<Value> {
  constructor(
    readonly value: Value,
    readonly buffers: readonly ArrayBuffer[],
  ) {}
}
