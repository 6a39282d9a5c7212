/**
 * The names of a collection's documents.
 *
 * The protocol has no message for names alone, only for latest records; where these are too large for one reply, they
 * are asked for by parts of the alphabet.
 */

import { FluxionError } from "../client/fluxion_error.ts";
import type { FluxionDB } from "../client/fluxiondb.ts";
import type { CallOptions } from "../client/types.ts";

/** Names that begin with `prefix`, or of these those whose next character is from `first` to `last`. */
type Part = { readonly prefix: string; readonly first: number; readonly last: number };

const LAST_CODE_POINT = 0x10_ffff;

/** By code unit. */
export async function listDocuments(
  client: Pick<FluxionDB, "latest">,
  collection: string,
  options: CallOptions,
): Promise<string[]> {
  try {
    return [...(await client.latest(collection, {}, options)).keys()].sort();
  } catch (error) {
    if (!isTooLarge(error)) throw error;
  }
  const names: string[] = [];
  const parts: Part[] = [{ prefix: "", first: 0, last: LAST_CODE_POINT }];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    try {
      const found = await client.latest(collection, { document: patternOf(part) }, options);
      names.push(...found.keys());
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      parts.push(...halvesOf(part));
      const { prefix, first, last } = part;
      if (first !== last) continue;
      // Its parts hold longer names only.
      const name = prefix + String.fromCodePoint(first);
      if ((await client.latest(collection, { document: name }, options)).size > 0) names.push(name);
    }
  }
  return names.sort();
}

const isTooLarge = (error: unknown): boolean =>
  error instanceof FluxionError && error.code === "reply_too_large";

function patternOf({ prefix, first, last }: Part): string {
  return `/^${Array.from(prefix, escapeCharacter).join("")}[${escapeCharacter(first)}-${escapeCharacter(last)}]/s`;
}

const escapeCharacter = (character: string | number): string =>
  `\\x{${(typeof character === "number" ? character : (character.codePointAt(0) as number)).toString(16)}}`;

function halvesOf({ prefix, first, last }: Part): Part[] {
  if (first === last)
    return [{ prefix: prefix + String.fromCodePoint(first), first: 0, last: LAST_CODE_POINT }];
  const middle = Math.floor((first + last) / 2);
  return [
    { prefix, first, last: middle },
    { prefix, first: middle + 1, last },
  ];
}
