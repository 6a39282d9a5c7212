/**
 * What the server tells its log: a method an event. Implementations decide on form and level; no key is ever passed.
 */
import type { KeyLimitValues } from "../engine/key_limits.ts";
import type { Scope } from "../protocol/scope.ts";

export interface ServerLog {
  connected(client: ClientLabel): void;
  disconnected(client: ClientLabel & { code: number; seconds: number }): void;
  /** A connection was refused. */
  rejected(event: { ip: string; reason: string }): void;
  /** A frame was no message; its sender was closed. */
  badFrame(event: ClientLabel & { reason: string }): void;
  slowRequest(event: ClientLabel & { type: string; ms: number }): void;
  /** A client that has read nothing of its replies for too long was dropped. */
  readerGivenUp(event: ClientLabel & { unsentBytes: number }): void;
  /** Who changed which key to what; the key is known by its fingerprint, as `list` may show it. */
  keyChanged(event: ClientLabel & KeyChange): void;
  /** The disk did not take a write, or did not give what was asked for. */
  diskFailed(event: { reason: string }): void;
  /** A bug: an error that no code expected. */
  bug(error: unknown, event: { type: string }): void;
}

export type ClientLabel = { readonly ip: string; readonly name: string | null };

export type KeyChange = KeyLimitValues & {
  readonly action: "add" | "remove";
  readonly fingerprint: string;
  readonly scope: Scope;
};
