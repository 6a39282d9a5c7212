/**
 * What the scanner and the schema make of an `ins`.
 */
import { expect } from "bun:test";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { parseJson } from "../../src/protocol/json.ts";
import { checkRequest } from "../../src/protocol/messages.ts";
import { FrameScanner, SCANNED_INS } from "../../src/server/frame_scanner.ts";
import { recordsOf } from "../engine/batch_records.ts";

const SCANNER = new FrameScanner();
const scanned = new InsertBatch();
const expected = new InsertBatch();

type Outcome = { id: string; records: unknown[] } | undefined;

function bySchema(frame: string): Outcome {
  try {
    const message = parseJson(frame) as { id?: unknown; type?: unknown; data?: unknown };
    if (typeof message.id !== "string" || message.id === "" || message.type !== "ins") return undefined;
    const payload = typeof message.data === "string" ? parseJson(message.data) : message.data;
    const checked = checkRequest("ins", payload);
    if ("problem" in checked) return undefined;
    expected.clear();
    for (const record of checked.request) expected.add(record);
    return { id: JSON.stringify(message.id), records: recordsOf(expected) };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function byScanner(frame: string, scanner: FrameScanner): Outcome {
  return scanner.scan(frame, scanned) === SCANNED_INS
    ? { id: scanner.idText, records: recordsOf(scanned) }
    : undefined;
}

/** Whatever the scanner takes must be what the schema makes of it. Returns whether it took it. */
export function checkFrame(frame: string, scanner = SCANNER): boolean {
  const fast = byScanner(frame, scanner);
  if (fast !== undefined) expect(fast).toEqual(bySchema(frame) as NonNullable<Outcome>);
  return fast !== undefined;
}

/** The frame with some of its characters changed, removed or doubled: each mutation is a place and what is put there. */
export function mangled(
  frame: string,
  mutations: readonly (readonly [place: number, insertion: string])[],
): string {
  let mangling = frame;
  for (const [place, insertion] of mutations) {
    const at = place % mangling.length;
    mangling = mangling.slice(0, at) + insertion + mangling.slice(at + (place % 2));
  }
  return mangling.toWellFormed();
}
