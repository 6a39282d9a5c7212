/**
 * Lets large replies go one after another, and others have their turn in between.
 *
 * A large text is pieces, which become one when somebody reads it. That takes as long as to hand it to the network, half a
 * millisecond a megabyte each, and neither can be divided.
 */
import { nextTurn } from "../engine/next_turn.ts";

export class LargeReplies {
  #last: Promise<void> = Promise.resolve();

  /** Resolves when the text is one, and it is its turn to be sent: at once, before anybody else has one. */
  async join(text: string): Promise<void> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    text.charCodeAt(0);
    await nextTurn();
    setImmediate(resolve);
  }
}
