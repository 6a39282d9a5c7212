/**
 * A small disk of its own, mounted for a test, that can be filled, and made read-only.
 */
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const BALLAST = "ballast";

export class SmallDisk implements Disposable {
  readonly folder: string;

  constructor(folder: string, mebibytes: number) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    run("mount", "-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", folder);
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

/** Nobody may change a file or a folder, not even root. */
export function setImmutable(path: string, isImmutable: boolean): void {
  run("chattr", isImmutable ? "+i" : "-i", path);
}

/** Why disks cannot be mounted here, or files not be made immutable; undefined when both can be had. */
export function whyNoSmallDisk(folder: string): string | undefined {
  if (process.platform !== "linux") return "it needs Linux";
  if (process.getuid?.() !== 0) return "only root may mount disks";
  try {
    using _disk = new SmallDisk(join(folder, "disk"), 1);
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

const succeeds = (...command: string[]): boolean => Bun.spawnSync(command).exitCode === 0;

function run(...command: string[]): void {
  const [program] = command;
  if (Bun.which(program as string) === null) throw new Error(`there is no ${program}`);
  const { exitCode, stderr } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString().trim()}`);
}
