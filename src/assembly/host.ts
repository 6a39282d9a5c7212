/**
 * What the host does for the scanner, see record_scanner.ts; it names this module `host`.
 */

/** The longest name, in bytes. */
export declare const nameBytesMax: i32;

/**
 * Writes the JSON value at a place in the window to a place in the text, and where that ends to WRITTEN: it is seldom
 * enough, and its rules are long.
 *
 * Returns where it ends in the window, or 0 when it is not taken.
 */
export declare function writeValue(at: usize, to: usize, quoteBytes: usize): usize;

/** Where the host has stopped writing. */
export const WRITTEN: usize = memory.data(4, 4);
