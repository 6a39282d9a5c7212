/**
 * How a text that a client sends is told from a pattern: `/source/flags`, or else a literal.
 */

/** A regular expression as the client wrote it; not compiled yet. */
export type Pattern = { readonly source: string; readonly flags: string };

const PATTERN = /^\/((?:[^/\\]|\\[\s\S])*)\/([ims]*)$/;

/** The pattern in a text of the form `/source/flags` (flags `i`, `m`, `s` in any order), or undefined for a literal. */
export function readPattern(text: string): Pattern | undefined {
  if (!text.startsWith("/")) return undefined;
  const match = PATTERN.exec(text);
  return match ? { source: match[1] as string, flags: match[2] as string } : undefined;
}
