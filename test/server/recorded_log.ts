/**
 * A log that keeps what it was told.
 */
import type { ClientLabel, KeyChange, ServerLog } from "../../src/server/server_log.ts";

type LogEvent = { readonly event: keyof ServerLog } & Readonly<Record<string, unknown>>;

export class RecordedLog implements ServerLog {
  readonly events: LogEvent[] = [];

  /** The events of one kind. */
  of(event: keyof ServerLog): LogEvent[] {
    return this.events.filter((entry) => entry.event === event);
  }

  connected(fields: ClientLabel): void {
    this.events.push({ event: "connected", ...fields });
  }

  disconnected(fields: ClientLabel & { code: number; seconds: number }): void {
    this.events.push({ event: "disconnected", ...fields });
  }

  rejected(fields: { ip: string; reason: string }): void {
    this.events.push({ event: "rejected", ...fields });
  }

  badFrame(fields: ClientLabel & { reason: string }): void {
    this.events.push({ event: "badFrame", ...fields });
  }

  slowRequest(fields: ClientLabel & { type: string; ms: number }): void {
    this.events.push({ event: "slowRequest", ...fields });
  }

  readerGivenUp(fields: ClientLabel & { unsentBytes: number }): void {
    this.events.push({ event: "readerGivenUp", ...fields });
  }

  keyChanged(fields: ClientLabel & KeyChange): void {
    this.events.push({ event: "keyChanged", ...fields });
  }

  diskFailed(fields: { reason: string }): void {
    this.events.push({ event: "diskFailed", ...fields });
  }

  bug(error: unknown, { type }: { type: string }): void {
    this.events.push({ event: "bug", type, error });
  }
}
