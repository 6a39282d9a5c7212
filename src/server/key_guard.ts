/**
 * Holds a request to the collections that its API key is limited to, before anything of it is applied.
 *
 * One collection outside, and all of the request is refused, in the words in which a scope refuses it: whether the
 * collection is there is not told. What names no collection is held to them where it is answered, by handlers.ts.
 */
import type { KeyLimits } from "../engine/key_limits.ts";
import type { RawText } from "../engine/raw_text.ts";
import { DatabaseError } from "../protocol/errors.ts";
import type { MessageType, Request } from "../protocol/messages.ts";
import { DENIED_TEXT } from "./request.ts";

/** Which collections a request names. A message that is missing here does not compile. */
type Named = { readonly [Type in MessageType]: (request: Request<Type>) => readonly string[] };

const one = ({ col }: { readonly col: string | RawText }): readonly string[] => [col.toString()];
const each = (records: readonly { readonly col: string }[]): readonly string[] =>
  records.map(({ col }) => col);
const none = (): readonly string[] => [];

const NAMED: Named = {
  ins: each,
  qry: one,
  cols: none,
  qdoc: one,
  ddoc: ({ col }) => (col === "" ? [] : [col]),
  dcol: one,
  drec: one,
  dmrec: each,
  drrng: one,
  sval: one,
  gval: one,
  gvalues: one,
  rval: one,
  gvals: one,
  gkeys: one,
  keys: none,
  conn: none,
  stat: none,
};

export const deniedError = (): DatabaseError => new DatabaseError("permission_denied", DENIED_TEXT);

/** @throws DatabaseError `permission_denied` */
export function checkCollections(
  { mayUse, collections }: KeyLimits,
  type: MessageType,
  request: unknown,
): void {
  if (collections === undefined) return;
  // The table pairs each request type with its function; the compiler cannot see through the index.
  const named = (NAMED[type] as (request: unknown) => readonly string[])(request);
  let previous: string | undefined;
  for (const collection of named) {
    if (collection !== previous && !mayUse(collection)) throw deniedError();
    previous = collection;
  }
}
