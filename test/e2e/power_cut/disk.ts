/**
 * A disk as a power cut finds it: what was synced is there; of what was written since, each part may be there or not.
 *
 * It is as unkind as POSIX allows: a file's bytes are safe after its own sync only, its name after that of its folder,
 * and writes that were not synced get to the disk in any order, by sectors.
 */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Entry, isUnrecorded } from "./recording.ts";

/** What becomes of that which was not synced. */
export const FATES = ["lost", "kept", "torn"] as const;
export type Fate = (typeof FATES)[number];

const SECTOR_BYTES = 512;
const SUBFOLDER = "folder";

type Change = Pick<Entry, "kind" | "number" | "payload">;
type Node = FileContent | typeof SUBFOLDER;
/** What becomes of one name, or of two in a move, which a file system does at once. */
type NameChange = {
  readonly names: readonly (readonly [string, Node | undefined])[];
  readonly index: number;
};

/** A file, whatever names it has. */
class FileContent {
  synced: Buffer;
  /** Since it was synced, and how many there were before. */
  changes: Change[] = [];
  count = 0;

  constructor(synced: Buffer) {
    this.synced = synced;
  }

  add(change: Change): void {
    this.changes.push(change);
    this.count++;
  }

  /** The first so many changes of all are on the disk. */
  sync(count: number): void {
    const done = this.changes.splice(0, Math.max(0, count - (this.count - this.changes.length)));
    this.synced = applied(this.synced, done);
  }

  bytes(fate: Fate, random: () => number): Buffer {
    // Of all files of a torn disk some are as they were, and some as they should be.
    const share = random();
    if (fate === "lost" || (fate === "torn" && share < 0.15)) return this.synced;
    if (fate === "kept" || share > 0.85) return applied(this.synced, this.changes);
    return applied(
      this.synced,
      this.changes.flatMap((change) => torn(change, random)),
    );
  }
}

export class Disk {
  /** By path, as the program sees them, and as the disk has them. */
  readonly #names = new Map<string, Node>();
  readonly #syncedNames = new Map<string, Node>();
  #nameChanges: NameChange[] = [];
  #nameCount = 0;
  /** What the syncs that are under way will have synced. */
  readonly #syncs = new Map<number, () => void>();

  /** All that a folder holds is on the disk. */
  constructor(folder: string) {
    for (const path of filesOf(folder)) {
      const isFile = statSync(join(folder, path)).isFile();
      const node = isFile ? new FileContent(readFileSync(join(folder, path))) : SUBFOLDER;
      this.#names.set(path, node);
      this.#syncedNames.set(path, node);
    }
  }

  apply(entry: Entry): void {
    const { kind, path, number } = entry;
    if (kind === "write" || kind === "truncate") this.#file(path).add(entry);
    else if (kind === "sync begun") this.#syncs.set(number, this.#syncOf(path));
    else if (kind === "synced") this.#endSync(number);
    else if (kind === "create") this.#rename([path, new FileContent(Buffer.alloc(0))]);
    else if (kind === "mkdir") this.#rename([path, SUBFOLDER]);
    else if (kind === "unlink" || kind === "rmdir") this.#rename([path, undefined]);
    else if (kind === "rename") this.#rename([path, undefined], [entry.payload.toString(), this.#file(path)]);
    else if (kind !== "send") throw new Error(`There is no model of ${kind}: ${path}`);
  }

  /** Files by path, as a power cut leaves them now; folders have no bytes. */
  cut(fate: Fate, random: () => number): Map<string, Buffer | undefined> {
    const names = new Map(this.#syncedNames);
    const isOver = new Set<string>();
    for (const change of this.#nameChanges) {
      // Changes of one name keep their order; those of different names do not.
      const isLost = fate === "lost" || (fate === "torn" && random() < 0.3);
      if (isLost || change.names.some(([path]) => isOver.has(path))) {
        for (const [path] of change.names) isOver.add(path);
      } else for (const [path, node] of change.names) setName(names, path, node);
    }
    const left = new Map<string, Buffer | undefined>();
    for (const [path, node] of [...names].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const parent = dirname(path);
      if (parent !== "." && !left.has(parent)) continue;
      left.set(path, node === SUBFOLDER ? undefined : node.bytes(fate, random));
    }
    return left;
  }

  #file(path: string): FileContent {
    const node = this.#names.get(path);
    if (node instanceof FileContent) return node;
    throw new Error(`The recording has no beginning of ${path}`);
  }

  #rename(...names: NameChange["names"]): void {
    for (const [path, node] of names) setName(this.#names, path, node);
    this.#nameChanges.push({ names, index: this.#nameCount++ });
  }

  #syncOf(path: string): () => void {
    const node = this.#names.get(path);
    if (node instanceof FileContent) {
      const { count } = node;
      return () => node.sync(count);
    }
    const count = this.#nameCount;
    return () => {
      // Files are moved within their folder only.
      const isDone = ({ names, index }: NameChange): boolean =>
        index < count && names.every(([name]) => parentOf(name) === path);
      for (const { names } of this.#nameChanges.filter(isDone)) {
        for (const [name, content] of names) setName(this.#syncedNames, name, content);
      }
      this.#nameChanges = this.#nameChanges.filter((change) => !isDone(change));
    };
  }

  #endSync(number: number): void {
    this.#syncs.get(number)?.();
    this.#syncs.delete(number);
  }
}

/** All paths of files and folders, but for what is not recorded. */
export const filesOf = (folder: string): string[] =>
  (readdirSync(folder, { recursive: true }) as string[]).filter((path) => !isUnrecorded(path)).sort();

/** Makes a folder of what a cut has left. */
export function writeDisk(folder: string, left: ReadonlyMap<string, Buffer | undefined>): void {
  mkdirSync(folder, { recursive: true });
  for (const [path, bytes] of left) {
    if (bytes === undefined) mkdirSync(join(folder, path), { mode: 0o700 });
    else writeFileSync(join(folder, path), bytes, { mode: 0o600 });
  }
}

const parentOf = (path: string): string => (dirname(path) === "." ? "" : dirname(path));

function setName(names: Map<string, Node>, path: string, node: Node | undefined): void {
  if (node === undefined) names.delete(path);
  else names.set(path, node);
}

function applied(start: Buffer, changes: readonly Change[]): Buffer {
  const ends = changes.map(({ number, payload }) => number + payload.length);
  const bytes = Buffer.alloc(Math.max(start.length, ...ends));
  start.copy(bytes);
  let size = start.length;
  for (const { kind, number, payload } of changes) {
    if (kind === "truncate") {
      // What a shorter file had behind its end is zeros when it grows again.
      if (number < size) bytes.fill(0, number, size);
      size = number;
    } else {
      payload.copy(bytes, number);
      size = Math.max(size, number + payload.length);
    }
  }
  return bytes.subarray(0, size);
}

/** What of a change gets to the disk: all, nothing, or some of its sectors. */
function torn(change: Change, random: () => number): Change[] {
  const share = random();
  if (share < 0.4) return [change];
  if (share < 0.7 || change.kind === "truncate") return [];
  const { kind, number, payload } = change;
  const sectors: Change[] = [];
  for (let from = 0; from < payload.length; ) {
    const to = Math.min(payload.length, from + SECTOR_BYTES - ((number + from) % SECTOR_BYTES));
    if (random() < 0.5) sectors.push({ kind, number: number + from, payload: payload.subarray(from, to) });
    from = to;
  }
  return sectors;
}
