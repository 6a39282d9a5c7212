/**
 * First in, first out, at constant cost, however long it is.
 *
 * It is a list of short arrays: when something young is put into an old array, the next collection of garbage goes
 * through all of that array, and of a queue of a million that took 10 ms.
 */
const SEGMENT_LENGTH = 1024;

type Segment<Item> = { items: Item[]; next: Segment<Item> | undefined };

export class Queue<Item> {
  length = 0;
  #head: Segment<Item> = { items: [], next: undefined };
  #tail = this.#head;
  /** How many of the first segment's items are taken. */
  #taken = 0;

  push(item: Item): void {
    let tail = this.#tail;
    if (tail.items.length === SEGMENT_LENGTH) {
      tail.next = { items: [], next: undefined };
      tail = tail.next;
      this.#tail = tail;
    }
    tail.items.push(item);
    this.length++;
  }

  shift(): Item | undefined {
    if (this.length === 0) return undefined;
    const { items, next } = this.#head;
    const item = items[this.#taken] as Item;
    items[this.#taken++] = undefined as Item;
    this.length--;
    if (this.length === 0) {
      items.length = 0;
      this.#taken = 0;
    } else if (this.#taken === SEGMENT_LENGTH) {
      this.#head = next as Segment<Item>;
      this.#taken = 0;
    }
    return item;
  }
}
