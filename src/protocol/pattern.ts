/**
 * How a text that a client sends is told from a pattern: `/source/flags`, or else a literal.
 */

/** A regular expression as the client wrote it; not compiled yet. */
export type Pattern = { readonly source: string; readonly flags: string };

const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const FLAGS = /^[ims]*$/;

/** The pattern in a text of the form `/source/flags` (flags `i`, `m`, `s` in any order), or undefined for a literal. */
export function readPattern(text: string): Pattern | undefined {
  if (!text.startsWith("/")) return undefined;
  const end = closingSlash(text);
  if (end === undefined) return undefined;
  const flags = text.slice(end + 1);
  return FLAGS.test(flags) ? { source: text.slice(1, end), flags } : undefined;
}

/** Where the first slash behind the opening one is that no backslash stands before; a text may have millions of units. */
function closingSlash(text: string): number | undefined {
  for (let at = 1; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === SLASH) return at;
    if (unit === BACKSLASH) at++;
  }
  return undefined;
}
