/**
 * What the server has promised by a moment of its recording: told by what it had sent until then, and by nothing else.
 */
import type { Durability } from "../../../src/storage/storage.ts";
import type { Device } from "./device.ts";
import type { Entry } from "./recording.ts";

const STATUS = /\{"id":"([^"]+\.status\.[0-9]+)","stat":.*?"acknowledged":([0-9]+),"durable":([0-9]+)\}/g;
const WRITTEN = /\{"id":"([^"]+\.write\.[0-9]+)"\}/g;

export class Promises {
  readonly #durability: Durability;
  readonly #written = new Set<string>();
  /** What `acknowledged` each status has told. */
  readonly #acknowledged = new Map<string, number>();
  #durable = -1;

  constructor(durability: Durability) {
    this.#durability = durability;
  }

  apply({ kind, payload }: Entry): void {
    if (kind !== "send") return;
    const text = payload.toString("latin1");
    for (const [, id] of text.matchAll(WRITTEN)) this.#written.add(id as string);
    for (const [, id, acknowledged, durable] of text.matchAll(STATUS)) {
      this.#acknowledged.set(id as string, Number(acknowledged));
      this.#durable = Math.max(this.#durable, Number(durable));
    }
  }

  /** So many of a device's first writes are there after a power cut. */
  writesOf(device: Device): number {
    let promised = 0;
    for (let count = device.writes.length; count > promised; count--) {
      const acknowledged = this.#acknowledged.get(device.statusId(count));
      if (acknowledged !== undefined && acknowledged <= this.#durable) promised = count;
    }
    if (this.#durability !== "always") return promised;
    while (this.#written.has(device.writeId(promised))) promised++;
    return promised;
  }
}
