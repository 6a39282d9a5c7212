/**
 * A small disk of its own, mounted for a test, that can be filled, and made read-only.
 */
import { mkdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const BALLAST = "ballast";
/** Sparse; btrfs takes no less than 109 MiB. */
const QUOTA_DISK_BYTES = 128 * 1024 * 1024;
const SUBVOLUME = "limited";
const DISK_MEBIBYTES = 8;

export class SmallDisk implements Disposable {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    this.mount();
  }

  protected mount(): void {
    run("mount", "-t", "tmpfs", "-o", `size=${DISK_MEBIBYTES}m`, "tmpfs", this.folder);
  }

  /** Takes all room but so many bytes. */
  fill(bytesLeft: number): void {
    const { bavail, bsize } = statfsSync(this.folder);
    writeFileSync(join(this.folder, BALLAST), Buffer.alloc(Math.max(0, bavail * bsize - bytesLeft)));
  }

  empty(): void {
    rmSync(join(this.folder, BALLAST));
  }

  /** The system refuses while a file is open for writing: it is asked again. */
  async setReadOnly(): Promise<void> {
    while (!succeeds("mount", "-o", "remount,ro", this.folder)) await Bun.sleep(1);
  }

  setWritable(): void {
    run("mount", "-o", "remount,rw", this.folder);
  }

  [Symbol.dispose](): void {
    run("umount", "--lazy", this.folder);
  }
}

/** One that has room, but not for who wants more than a quota: it refuses with EDQUOT, and has a quota for root, too. */
export class QuotaDisk extends SmallDisk {
  protected override mount(): void {
    const [image, whole] = [`${this.folder}.image`, wholeOf(this.folder)];
    writeFileSync(image, "");
    truncateSync(image, QUOTA_DISK_BYTES);
    run("mkfs.btrfs", "--quiet", "--mixed", image);
    mkdirSync(whole, { recursive: true });
    run("mount", "-o", "loop", image, whole);
    run("btrfs", "quota", "enable", whole);
    run("btrfs", "subvolume", "create", join(whole, SUBVOLUME));
    run("mount", "--bind", join(whole, SUBVOLUME), this.folder);
  }

  override fill(bytesLeft: number): void {
    const { used } = this.#group();
    this.#limit(String(used + bytesLeft));
  }

  override empty(): void {
    this.#limit("none");
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    run("umount", "--lazy", wholeOf(this.folder));
  }

  #group(): { id: string; used: number } {
    run("sync", "--file-system", this.folder);
    const shown = run("btrfs", "qgroup", "show", "-f", "--raw", this.folder);
    const [, id, used] = /^(\d+\/\d+) +(\d+)/m.exec(shown) ?? [];
    if (id === undefined) throw new Error(`No quota group in ${shown}`);
    return { id, used: Number(used) };
  }

  #limit(bytes: string): void {
    // Of the whole: changing it takes room, too, of the subvolume that is named.
    run("btrfs", "qgroup", "limit", bytes, this.#group().id, wholeOf(this.folder));
  }
}

/** Where the quota does not apply. */
const wholeOf = (folder: string): string => `${folder}.whole`;

/** Nobody may change a file or a folder, not even root. */
export function setImmutable(path: string, isImmutable: boolean): void {
  run("chattr", isImmutable ? "+i" : "-i", path);
}

/** Why disks cannot be mounted here, or files not be made immutable; undefined when both can be had. */
export function whyNoSmallDisk(folder: string): string | undefined {
  if (process.platform !== "linux") return "it needs Linux";
  if (process.getuid?.() !== 0) return "only root may mount disks";
  try {
    using _disk = new SmallDisk(join(folder, "disk"));
  } catch (error) {
    return (error as Error).message;
  }
  const file = join(folder, "file");
  writeFileSync(file, "");
  try {
    setImmutable(file, true);
    setImmutable(file, false);
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}

/** The same of quotas. */
export function whyNoQuotaDisk(folder: string): string | undefined {
  try {
    using _disk = new QuotaDisk(join(folder, "quota"));
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}

const succeeds = (...command: string[]): boolean => Bun.spawnSync(command).exitCode === 0;

/** Returns what it prints. */
function run(...command: string[]): string {
  const [program] = command;
  if (Bun.which(program as string) === null) throw new Error(`there is no ${program}`);
  const { exitCode, stdout, stderr } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString().trim()}`);
  return stdout.toString();
}
