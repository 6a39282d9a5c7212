/**
 * How the process ends, for scripts; the README has the same table.
 */
export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
/** 128 and the signal's number, as shells count. */
export const EXIT_INTERRUPTED = 130;
export const EXIT_TERMINATED = 143;
