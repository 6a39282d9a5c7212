/**
 * Where the host puts what is to be read.
 */

/** Room for what the server reads at once, FRAME_LENGTH_AT_ONCE in src/protocol/limits.ts, where a character is a byte. */
export const WINDOW_BYTES: i32 = 1024 * 1024 + 1024;
/** So much is read and written at once, and so much longer may a record's text be that is not read to its end. */
export const SPARE_BYTES: i32 = 64;
/** A frame, or a part of one, with a zero behind it, which nothing here gets past. */
export const WINDOW: usize = memory.data(WINDOW_BYTES + SPARE_BYTES, 16);
/** A message's `data` without its escapes, the same way. */
export const PAYLOAD: usize = memory.data(WINDOW_BYTES + SPARE_BYTES, 16);
