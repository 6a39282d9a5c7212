/**
 * What an API key may do: its scope, and which permissions that holds.
 */

export type Permission = "read" | "write" | "delete";
export type Scope = keyof typeof SCOPES;

export const SCOPES = {
  readonly: ["read"],
  read_write: ["read", "write"],
  read_write_delete: ["read", "write", "delete"],
} as const satisfies Record<string, readonly Permission[]>;

/** The same, to be looked up for each message. */
const ALLOWS = Object.fromEntries(
  Object.entries(SCOPES).map(([scope, permissions]: [string, readonly Permission[]]) => [
    scope,
    {
      read: permissions.includes("read"),
      write: permissions.includes("write"),
      delete: permissions.includes("delete"),
    },
  ]),
) as Readonly<Record<Scope, Readonly<Record<Permission, boolean>>>>;

const SEPARATORS = /[_\-, ]/g;
const SCOPE_BY_LETTERS = new Map<string, Scope>(
  (Object.keys(SCOPES) as Scope[]).map((scope) => [scope.replaceAll("_", ""), scope]),
);

export function scopeAllows(scope: Scope, permission: Permission): boolean {
  return ALLOWS[scope][permission];
}

/** Reads a scope in any case, with `_`, `-`, `,`, spaces or nothing between its words; undefined when it is none. */
export function readScope(text: unknown): Scope | undefined {
  if (typeof text !== "string") return undefined;
  return SCOPE_BY_LETTERS.get(text.toLowerCase().replace(SEPARATORS, ""));
}
