/**
 * What replies to writes wait for: one gate a commit, for all connections.
 *
 * All writes of a commit share a promise, so ten thousand replies that wait for it cost one continuation.
 */
import type { DatabaseError } from "../protocol/errors.ts";

/** `error` is set when it failed. */
export type Gate = { isOpen: boolean; error: DatabaseError | undefined };

/** Whoever has replies behind gates. */
export interface GateKeeper {
  gateOpened(): void;
}

type CommitGate = Gate & { readonly keepers: GateKeeper[] };

export class CommitGates {
  readonly #toDatabaseError: (error: unknown) => DatabaseError;
  /** The newest gate that is still closed, and the promise that opens it. */
  #gate: CommitGate | undefined;
  #written: Promise<void> | undefined;

  /** `toDatabaseError` makes of whatever a write failed with what its clients are told. */
  constructor(toDatabaseError: (error: unknown) => DatabaseError) {
    this.#toDatabaseError = toDatabaseError;
  }

  /** The gate that opens when a write is done; `keeper` is told, unless `known` is that gate. */
  gateOf(written: Promise<void>, keeper: GateKeeper, known: Gate | undefined): Gate {
    let gate = this.#gate;
    if (gate === undefined || this.#written !== written) {
      gate = this.#begin(written);
      gate.keepers.push(keeper);
    } else if (gate !== known) gate.keepers.push(keeper);
    return gate;
  }

  #begin(written: Promise<void>): CommitGate {
    const gate: CommitGate = { isOpen: false, error: undefined, keepers: [] };
    this.#gate = gate;
    this.#written = written;
    written.then(
      () => this.#open(gate),
      (error: unknown) => {
        gate.error = this.#toDatabaseError(error);
        this.#open(gate);
      },
    );
    return gate;
  }

  #open(gate: CommitGate): void {
    gate.isOpen = true;
    if (this.#gate === gate) {
      // Forgotten, since a promise that has settled must open another gate for whoever comes later.
      this.#gate = undefined;
      this.#written = undefined;
    }
    for (const keeper of gate.keepers) keeper.gateOpened();
  }
}
