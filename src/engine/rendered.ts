/**
 * A record on its way into a page.
 */
import type { Slab } from "./slab.ts";
import { COPIED_HERE_BYTES_MAX, copyText } from "./text_copy.ts";

/** Its text is `source[from, to)`, and `view` is the same memory. */
export type Rendered = {
  source: Buffer;
  view: DataView;
  from: number;
  to: number;
  high: number;
  low: number;
};

export function noRecord(): Rendered {
  const source = Buffer.alloc(0);
  return { source, view: new DataView(source.buffer), from: 0, to: 0, high: 0, low: 0 };
}

/** Says where the records come from that are to be pointed out next. */
export function takeSource(record: Rendered, source: Buffer): void {
  record.source = source;
  record.view = new DataView(source.buffer, source.byteOffset, source.byteLength);
}

/** Copies its text to a place in a slab. */
export function writeRendered({ source, view, from, to }: Rendered, slab: Slab, target: number): void {
  const size = to - from;
  if (size > COPIED_HERE_BYTES_MAX) source.copy(slab.bytes, target, from, to);
  else copyText(view, from, slab.view, target, size);
}
