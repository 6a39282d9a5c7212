/**
 * What the hostile clients of the benchmark ask for.
 */

/** A document whose history is one large reply. */
export const LARGE = { col: "large", doc: "document" };
export const LARGE_REPLY_BYTES = 100_000_000;

/** A document of many records. */
export const SCANNED = { col: "scanned", doc: "document" };
export const SCANNED_RECORDS = 10_000_000;
