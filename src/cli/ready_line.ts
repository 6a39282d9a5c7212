/**
 * The line that says that the server is ready: where it listens, and what it has loaded.
 *
 *     Ready: ws://127.0.0.1:8080, data in ./data (durability everysec), 3 collections, 1,002 documents, 1,234,567
 *     records, loaded in 0.12 s
 */
import type { Durability } from "../storage/storage.ts";

export type Ready = {
  readonly host: string;
  readonly port: number;
  readonly data: string | undefined;
  /** With any, clients connect to wss://. */
  readonly tlsFiles?: unknown;
  readonly durability: Durability;
  readonly counts: { readonly collections: number; readonly documents: number; readonly records: number };
  readonly loadedMs: number;
};

const NUMBER = new Intl.NumberFormat("en-US");

export function describeReady({ host, port, tlsFiles, data, durability, counts, loadedMs }: Ready): string {
  const protocol = tlsFiles === undefined ? "ws" : "wss";
  const address = `Ready: ${protocol}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (data === undefined) return `${address}, in memory only: nothing is saved`;
  return [
    address,
    `data in ${data} (durability ${durability})`,
    count(counts.collections, "collection"),
    count(counts.documents, "document"),
    count(counts.records, "record"),
    `loaded in ${(loadedMs / 1000).toFixed(2)} s`,
  ].join(", ");
}

const count = (number: number, noun: string): string =>
  `${NUMBER.format(number)} ${noun}${number === 1 ? "" : "s"}`;
