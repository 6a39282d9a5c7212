/**
 * How the process ends, for scripts; the README has the same table.
 */

export const EXIT_OK = 0;
/** The server, the network or the disk failed. */
export const EXIT_FAILED = 1;
/** A mistake in what was typed. */
export const EXIT_USAGE = 2;
/** The API key is unknown, or its scope does not cover what was asked. */
export const EXIT_DENIED = 3;
/** What was asked for is not there. */
export const EXIT_NOT_FOUND = 4;
/** A signal ended it: 128 and the signal's number, as shells count. */
export const EXIT_INTERRUPTED = 130;
export const EXIT_TERMINATED = 143;
