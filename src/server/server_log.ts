/**
 * What the server tells its log: a method an event. Implementations decide on form and level; no key is ever passed.
 */
export interface ServerLog {
  connected(client: ClientLabel): void;
  disconnected(client: ClientLabel & { code: number; seconds: number }): void;
  /** A connection was refused. */
  rejected(event: { ip: string; reason: string }): void;
  /** A frame was no message; its sender was closed. */
  badFrame(event: ClientLabel & { reason: string }): void;
  slowRequest(event: ClientLabel & { type: string; ms: number }): void;
  keyChanged(event: ClientLabel & { action: "add" | "remove" }): void;
  /** The disk did not take a write, or did not give what was asked for. */
  diskFailed(event: { reason: string }): void;
  /** A bug: an error that no code expected. */
  bug(error: unknown, event: { type: string }): void;
}

export type ClientLabel = { readonly ip: string; readonly name: string | null };
