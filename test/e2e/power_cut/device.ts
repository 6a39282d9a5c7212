/**
 * A device that writes known values, and what the database is after the first so many of its writes.
 *
 * Its writes are done in order, so after whatever happens to the server the database must be as after some number of
 * them: never one in part, never one without those before it.
 */
import type { TestClient } from "../../support/test_client.ts";

/** Both get each batch. */
const SHARED = ["one", "two"] as const;
const TIMES_A_BATCH = 100;
const BATCH_MAX = 30;
const BURST_MAX = 6;
const PAUSE_MS_MAX = 12;

type Write =
  | { readonly type: "batch"; readonly size: number }
  | { readonly type: "delete"; readonly batch: number }
  | { readonly type: "value" | "own" | "drop own" };

/** What the database holds of a device, a text for each of its collections. */
export type Facets = readonly [one: string, two: string, own: string];

export class Device {
  readonly writes: Write[] = [];
  readonly #name: string;
  readonly #random: () => number;

  constructor(name: string, random: () => number) {
    this.#name = name;
    this.#random = random;
  }

  /** Writes until the connection closes. `onStatus` hears what `stat` says, and how many writes were answered before. */
  async run(client: TestClient, onStatus: (text: string, answered: number) => void): Promise<never> {
    for (;;) {
      const burst = 1 + Math.floor(this.#random() * BURST_MAX);
      for (let each = 0; each < burst; each++) this.#send(client);
      for (let each = 0; each < burst; each++) {
        const reply = await client.next();
        if (reply.includes('"error"')) throw new Error(`${this.#name}: a write was refused: ${reply}`);
      }
      const answered = this.writes.length;
      client.send(frame(this.statusId(answered), "stat", {}));
      onStatus(await client.next(), answered);
      // No faster than what can be compared with every one of its states.
      await Bun.sleep(this.#random() * PAUSE_MS_MAX);
    }
  }

  writeId = (number: number): string => `${this.#name}.write.${number}`;
  statusId = (answered: number): string => `${this.#name}.status.${answered}`;

  /** What there is of it. */
  async read(client: TestClient): Promise<Facets> {
    const records = async (col: string): Promise<string> => {
      const reply = await client.request("qdoc", { col, doc: this.#name, from: 0, to: 1e15 });
      if (reply.error !== undefined) throw new Error(`Cannot read from ${col}: ${reply.error}`);
      return JSON.stringify(reply.records);
    };
    const { value } = await client.request("gval", { col: "one", key: this.#name });
    const [one, two, own] = await Promise.all([...SHARED, this.#name].map(records));
    return [`${one} ${value}`, two as string, own as string];
  }

  /** What there should be of it after none of its writes, after one, and so on. */
  *states(): Generator<Facets> {
    const batches = new Map<number, string>();
    let value = "";
    let own: string[] = [];
    for (let number = 0; ; number++) {
      const shared = `[${[...batches.values()].join(",")}]`;
      yield [`${shared} ${value}`, shared, `[${own.join(",")}]`];
      const write = this.writes[number];
      if (write === undefined) return;
      if (write.type === "batch") batches.set(number, textOf(recordsOf(number, write.size)));
      else if (write.type === "delete") batches.delete(write.batch);
      else if (write.type === "value") value = String(number);
      else if (write.type === "own") own.push(textOf([recordAt(number, number)]));
      else own = [];
    }
  }

  #send(client: TestClient): void {
    const number = this.writes.length;
    const write = this.#next();
    this.writes.push(write);
    const doc = this.#name;
    const send = (type: string, data: unknown): void => client.send(frame(this.writeId(number), type, data));
    if (write.type === "batch") {
      const records = recordsOf(number, write.size);
      send(
        "ins",
        SHARED.flatMap((col) => records.map((record) => ({ ...record, col, doc }))),
      );
    } else if (write.type === "delete") {
      // Of both collections in one write: there is no other that deletes a range of two.
      send(
        "dmrec",
        SHARED.flatMap((col) => this.#recordsOf(write.batch).map(({ ts }) => ({ ts, col, doc }))),
      );
    } else if (write.type === "value") send("sval", { col: "one", key: doc, value: String(number) });
    else if (write.type === "own") send("ins", [{ ...recordAt(number, number), col: doc, doc }]);
    else send("dcol", { col: doc });
  }

  #recordsOf(batch: number): ReturnType<typeof recordsOf> {
    const write = this.writes[batch] as Write & { type: "batch" };
    return recordsOf(batch, write.size);
  }

  #next(): Write {
    const share = this.#random();
    if (share < 0.1) return { type: "value" };
    if (share < 0.35) return { type: "own" };
    if (share < 0.43) return { type: "drop own" };
    const batch = Math.floor(this.#random() * this.writes.length);
    if (share < 0.5 && this.writes[batch]?.type === "batch") return { type: "delete", batch };
    return { type: "batch", size: 1 + Math.floor(this.#random() * BATCH_MAX) };
  }
}

const frame = (id: string, type: string, data: unknown): string => JSON.stringify({ id, type, data });

type TimedRecord = { ts: number; data: string };

const recordAt = (ts: number, number: number): TimedRecord => ({ ts, data: `write ${number}` });

const recordsOf = (number: number, size: number): TimedRecord[] =>
  Array.from({ length: size }, (_, index) => recordAt(number * TIMES_A_BATCH + index, number));

/** As JSON without the brackets. */
const textOf = (records: readonly TimedRecord[]): string => JSON.stringify(records).slice(1, -1);
