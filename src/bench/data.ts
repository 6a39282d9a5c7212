/**
 * The records of a load: any of them is known from its number, so nothing has to be kept to check an answer.
 */

/** `sensor`: regular readings. `flight`: noisy floats. `text`: escapes, line breaks, emoji. */
export const DATA_KINDS = ["sensor", "flight", "text"] as const;
export type DataKind = (typeof DATA_KINDS)[number];

/** In which order the times of a document come. `overwrite`: in order, and then all of them once more. */
export const ORDERS = ["ascending", "descending", "random", "overwrite"] as const;
export type Order = (typeof ORDERS)[number];

export type DataOptions = {
  readonly records: number;
  readonly documents: number;
  readonly collections: number;
  readonly kind: DataKind;
  readonly order: Order;
};

export type BenchRecord = {
  readonly ts: number;
  readonly doc: string;
  readonly data: string;
  readonly col: string;
};

export const COLLECTION = "fluxiondb-bench";
export const FIRST_TS = 1_700_000_000;
const WORDS = ["ok", 'low "B"', "l1\nl2", "C:\\temp", "grün", "東京", "🚁 lands", "a/b\t"];

export function collectionName(number: number): string {
  return number === 0 ? COLLECTION : `${COLLECTION}-${number}`;
}

/** Documents are dealt out to the collections in turn. */
export function collectionOf(document: number, { collections }: Pick<DataOptions, "collections">): string {
  return collectionName(document % collections);
}

export const documentName = (document: number): string => `device-${document}`;

/** How many records a document gets; they are dealt out in turn. */
export function recordsOf(document: number, { records, documents }: DataOptions): number {
  return Math.floor(records / documents) + (document < records % documents ? 1 : 0);
}

/** The record that is sent as number `index`. */
export function recordAt(index: number, options: DataOptions): BenchRecord {
  const document = index % options.documents;
  const count = recordsOf(document, options);
  const place = placeOf(Math.floor(index / options.documents), count, options.order);
  return {
    ts: FIRST_TS + place,
    doc: documentName(document),
    data: dataOf(place * options.documents + document, options.kind),
    col: collectionOf(document, options),
  };
}

/** Where in time a document's record stands that is sent as its number `index` of `count`. */
export function placeOf(index: number, count: number, order: Order): number {
  if (order === "descending") return count - 1 - index;
  // A step that has no divisor in common with the count visits each place once.
  if (order === "random") return (index * stepFor(count)) % count;
  return index;
}

function stepFor(count: number): number {
  let step = Math.max(1, Math.floor(count * 0.618));
  while (divisor(step, count) !== 1) step++;
  return step;
}

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));

export function dataOf(number: number, kind: DataKind): string {
  if (kind === "sensor") {
    return JSON.stringify({
      temperature: 18 + (number % 120) / 10,
      humidity: 35 + (number % 41),
      state: number % 7 === 0 ? "landed" : "flying",
      seq: number,
    });
  }
  const noise = (salt: number): number =>
    ((Math.imul(number + salt, 0x9e3779b1) ^ (number >>> 7)) >>> 0) / 2 ** 32;
  if (kind === "flight") {
    return JSON.stringify({
      lat: Number((46 + noise(1) * 3).toFixed(7)),
      lon: Number((7 + noise(2) * 5).toFixed(7)),
      alt: Number((noise(3) * 3000).toFixed(2)),
      roll: Number((noise(4) * 60 - 30).toFixed(3)),
      state: number % 7 === 0 ? "landed" : "flying",
      seq: number,
    });
  }
  const word = (salt: number): string => WORDS[Math.floor(noise(salt) * WORDS.length)] as string;
  return JSON.stringify({
    note: `${word(1)} ${word(2)}; ${word(3)}`,
    state: number % 7 === 0 ? "landed" : "flying",
    seq: number,
  });
}
