/**
 * How a server is, as `stat` answers it.
 */

export type ServerStatus = {
  readonly version: string;
  /** The commit it was built from. */
  readonly commit: string;
  readonly uptimeMs: number;
  readonly collections: number;
  readonly documents: number;
  readonly records: number;
  readonly keyValues: number;
  readonly connections: number;
  /** `usedBytes` of `limitBytes` are records and caches; `residentBytes` is the whole process. */
  readonly memory: {
    readonly usedBytes: number;
    readonly limitBytes: number;
    readonly residentBytes: number;
  };
  /** `memory`: nothing is kept. */
  readonly durability: "always" | "everysec" | "interval" | "memory";
  /**
   * A write that was answered before `acknowledged` was read is on the disk, whatever happens to the machine, when
   * `durable` has come to that number and `run`, which each start makes anew, is the same. Null when data is in memory
   * only.
   */
  readonly writes: { readonly run: string; readonly acknowledged: number; readonly durable: number } | null;
  /** Null when data is in memory only. */
  readonly disk: { readonly dataBytes: number; readonly journalBytes: number } | null;
  /** The last one that ended well; null before the first. */
  readonly lastCheckpoint: { readonly agoMs: number; readonly tookMs: number } | null;
};
