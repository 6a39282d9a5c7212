/**
 * Backups of a server that runs, when their copy cannot be removed.
 */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { LiveBackup } from "../../src/cli/live_backup.ts";
import type { BackupStream } from "../../src/server/operations.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

test("a copy that cannot be removed is told in the log, and keeps no later backup from being made", async () => {
  using folder = new TemporaryFolder();
  writeFileSync(folder.join("catalog.db"), "as far as a backup is concerned");
  const snapshot = {
    folder: folder.path,
    takenAt: new Date(),
    remove: () => Promise.reject(new Error("the disk failed")),
  };
  const errors: string[] = [];
  const backups = new LiveBackup(
    { snapshot: async () => snapshot },
    { info() {}, error: (message, fields) => errors.push(`${message} ${fields?.error}`) },
  );
  for (let count = 1; count <= 2; count++) {
    const backup = (await backups.start(new AbortController().signal)) as BackupStream;
    expect((await new Response(backup.stream).bytes()).length).toBeGreaterThanOrEqual(backup.bytes);
    expect(errors).toHaveLength(count);
    expect(errors.at(-1)).toMatch(/^A backup's copy was not removed.*the disk failed/);
  }
});
