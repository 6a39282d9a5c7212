/**
 * About how large a pattern becomes when its repetitions are written out, without doing so: `x{1000}` a hundred times
 * is a few hundred characters, and takes a compiler a quarter of a second before it is found to be too large.
 */

/** A Unicode class is hundreds of ranges, which are put together for each of its copies. */
const UNICODE_CLASS_SIZE = 10;
const REPETITION = /^\{(\d+)(?:,(\d*))?\}/;
const GROUP_HEAD = /^\((?:\?(?:P?<[^>]*>|[a-zA-Z-]*:?))?/;
/** A class, such as `[]a[:alpha:]\]]`. */
const CLASS = /^\[\^?\]?(?:\[:\^?\w+:\]|\\[\s\S]|[^\]\\])*\]?/;
const UNICODE_CLASSES = /\\[pP]/g;
/** A literal text; a code point or a class with its braces; or any other escape. */
const ESCAPE = /^\\(?:Q[\s\S]*?(?:\\E|$)|[pPxukN]\{[^}]*\}|[pP][^{]|[\s\S]?)/;

/** Of the sequence or group that is being read: all of it, and its last part, which a repetition is for. */
type Level = { sum: number; last: number };

/** In instructions of the automaton, and more where parts have something in common. */
export function expandedSize(source: string): number {
  const levels: Level[] = [{ sum: 0, last: 0 }];
  const top = (): Level => levels.at(-1) as Level;
  const add = (size: number): void => {
    top().sum += size;
    top().last = size;
  };
  for (let at = 0; at < source.length; ) {
    const rest = source.slice(at, at + PART_LENGTH_MAX);
    const [part = "", size] = partAt(rest);
    at += part.length;
    if (part.startsWith("(")) levels.push({ sum: 0, last: 0 });
    else if (part === ")") {
      // Also a group of nothing is an instruction, and copied.
      if (levels.length > 1) add(Math.max(1, (levels.pop() as Level).sum));
    } else if (size !== undefined) add(size);
    else repeat(top(), part);
  }
  // A group that is not closed does not compile.
  return levels.reduce((sum, level) => sum + level.sum, 0);
}

/** Longer parts are read in pieces: literal texts and classes, of which each piece counts. */
const PART_LENGTH_MAX = 256;

/** What comes next, and its size by itself; none of what is no part of a sequence. */
function partAt(rest: string): [part: string, size?: number] {
  const first = rest[0] as string;
  if (first === "\\") {
    const [part] = ESCAPE.exec(rest) as RegExpExecArray;
    if (part.startsWith("\\Q")) return [part, part.length];
    return [part, /^\\[pP]/.test(part) ? UNICODE_CLASS_SIZE : 1];
  }
  if (first === "[") {
    const [part] = CLASS.exec(rest) as RegExpExecArray;
    return [part, 1 + (part.match(UNICODE_CLASSES)?.length ?? 0) * UNICODE_CLASS_SIZE];
  }
  if (first === "(") return [(GROUP_HEAD.exec(rest) as RegExpExecArray)[0]];
  if (first === ")" || first === "|" || "*+?".includes(first)) return [first];
  const [repetition] = REPETITION.exec(rest) ?? [];
  return repetition === undefined ? [first, 1] : [repetition];
}

function repeat(level: Level, part: string): void {
  const [, least, most] = REPETITION.exec(part) ?? [];
  if (least === undefined) return;
  const times = Math.max(Number(least), Number(most ?? 0));
  level.sum += level.last * (times - 1);
  level.last *= times;
}
