/**
 * The message `keys`: adds, changes, removes and lists API keys. That only the master key asks is checked before.
 *
 * Its errors have texts that clients know, so its fields are checked here and not by a schema. What older servers do
 * not have, limits, is checked in the words of the schema's errors.
 */
import { type ApiKey, fingerprintOfKey, shownLimits } from "../engine/api_keys.ts";
import type { Answer } from "../engine/database.ts";
import type { KeyLimitChange } from "../engine/key_limits.ts";
import { compilePattern } from "../engine/pattern_cache.ts";
import { DatabaseError } from "../protocol/errors.ts";
import { API_KEY_COLLECTIONS_MAX, NAME_LENGTH_MAX } from "../protocol/limits.ts";
import { type Request, showValue } from "../protocol/messages.ts";
import { readPattern } from "../protocol/pattern.ts";
import { readScope, type Scope } from "../protocol/scope.ts";
import type { Connection } from "./connection.ts";
import type { Context } from "./context.ts";

const STATUS_OK = '"status":"ok"';
/** The end of JavaScript's calendar. */
const DATE_MS_MAX = 8.64e15;

/** @throws DatabaseError `key_refused`, `bad_request`, `bad_pattern`, `too_large`, `storage_failed` */
export function changeKeys(context: Context, request: Request<"keys">, connection: Connection): Answer {
  const { action, key } = request;
  if (action === "list") return `"keys":${listKeys(context)},${STATUS_OK}`;
  if (action === "add") {
    const [text, scope] = [checkKey(key), checkScope(request.scope)];
    return addKey(context, connection, text, { scope, ...checkLimits(request, context.dateMs()) });
  }
  if (action === "remove") return removeKey(context, connection, checkKey(key));
  throw new DatabaseError("key_refused", "unknown action");
}

function checkKey(key: unknown): string {
  if (typeof key === "string" && key !== "") return key;
  throw new DatabaseError("key_refused", "api key cannot be empty");
}

function checkScope(text: unknown): Scope {
  const scope = readScope(text);
  if (scope !== undefined) return scope;
  throw new DatabaseError("key_refused", "invalid scope");
}

function checkLimits({ expiresAt, collections }: Request<"keys">, dateMs: number): KeyLimitChange {
  return {
    expiresAt: checkExpiry(expiresAt ?? undefined, dateMs),
    collections: checkNames(collections ?? undefined),
  };
}

function checkExpiry(value: unknown, dateMs: number): KeyLimitChange["expiresAt"] {
  if (value === undefined || value === "never") return value;
  const isDate = typeof value === "number" && Number.isSafeInteger(value) && value <= DATE_MS_MAX;
  // Also finds who sends seconds.
  if (isDate && value > dateMs) return value;
  throw badLimit("expiresAt", 'a time to come, in milliseconds since 1970, or "never"', value);
}

function checkNames(value: unknown): KeyLimitChange["collections"] {
  if (value === undefined || value === "all") return value;
  if (!Array.isArray(value) || value.length === 0 || value.length > API_KEY_COLLECTIONS_MAX) {
    throw badLimit("collections", `1 to ${API_KEY_COLLECTIONS_MAX} names or patterns, or "all"`, value);
  }
  for (const [index, name] of value.entries()) checkName(name, `collections[${index}]`);
  return value as readonly string[];
}

function checkName(name: unknown, field: string): void {
  if (typeof name !== "string" || name === "") throw badLimit(field, "a non-empty string", name);
  const pattern = readPattern(name);
  // Any name may be held against it, the longest too, by whoever makes a collection of that name.
  if (pattern !== undefined) compilePattern(pattern).checkLength({ length: NAME_LENGTH_MAX });
  else if (name.length > NAME_LENGTH_MAX) {
    throw badLimit(field, `at most ${NAME_LENGTH_MAX} characters`, name);
  }
}

function badLimit(field: string, expected: string, value: unknown): DatabaseError {
  return new DatabaseError("bad_request", `keys.${field}: expected ${expected}, got ${showValue(value)}`);
}

function listKeys({ apiKeys }: Context): string {
  return JSON.stringify(
    // In the order of the older servers, whose clients may compare texts.
    apiKeys.list().map(({ deletable, key, scope, ...limits }) => ({ deletable, key, scope, ...limits })),
  );
}

function addKey(
  { apiKeys, keyExpiry, log }: Context,
  { ip, name }: Connection,
  key: string,
  { scope, ...change }: KeyLimitChange & { readonly scope: Scope },
): Answer {
  const finish = (): string => {
    const added = apiKeys.authenticate(key);
    if (added !== undefined) keyExpiry.watch(added);
    const limits = shownLimits(added?.limits);
    log.keyChanged({ ip, name, action: "add", fingerprint: fingerprintOfKey(key), scope, ...limits });
    const members = Object.entries(limits).map(([member, value]) => `,"${member}":${JSON.stringify(value)}`);
    return `"scope":"${scope}",${STATUS_OK}${members.join("")}`;
  };
  return apiKeys.add(key, scope, change)?.then(finish) ?? finish();
}

function removeKey({ apiKeys, connections, log }: Context, { ip, name }: Connection, key: string): Answer {
  const finish = (removed: ApiKey): string => {
    connections.revoke(removed);
    const { scope } = removed;
    log.keyChanged({ ip, name, action: "remove", fingerprint: fingerprintOfKey(key), scope });
    return STATUS_OK;
  };
  const removed = apiKeys.remove(key);
  return removed instanceof Promise ? removed.then(finish) : finish(removed);
}
