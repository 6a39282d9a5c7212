/**
 * What a batch holds, as objects.
 */
import {
  COLUMN_COLLECTION_START,
  COLUMN_DOCUMENT_START,
  COLUMN_TEXT_END,
  COLUMN_TS_HIGH,
  COLUMN_TS_LOW,
  COLUMNS,
  type InsertBatch,
} from "../../src/engine/insert_batch.ts";
import { unescapeText } from "../../src/engine/raw_text.ts";
import { timestampToBigInt } from "../../src/protocol/timestamp.ts";

export type BatchRecord = { col: string; doc: string; ts: bigint; text: string };

export function recordsOf(batch: InsertBatch): BatchRecord[] {
  return Array.from({ length: batch.count }, (_, index) => {
    const row = batch.columns.subarray(index * COLUMNS, (index + 1) * COLUMNS);
    const name = (column: number) =>
      unescapeText(batch.names, row[column] as number, row[column + 1] as number);
    const textStart = index === 0 ? 0 : (batch.columns[(index - 1) * COLUMNS + COLUMN_TEXT_END] as number);
    return {
      col: name(COLUMN_COLLECTION_START),
      doc: name(COLUMN_DOCUMENT_START),
      ts: timestampToBigInt({ high: row[COLUMN_TS_HIGH] as number, low: row[COLUMN_TS_LOW] as number }),
      text: batch.text.toString("utf8", textStart, row[COLUMN_TEXT_END]),
    };
  });
}
