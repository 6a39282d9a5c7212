/**
 * The catalog where the disk or the system refuses.
 */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Catalog } from "../../src/storage/catalog.ts";
import { StorageError } from "../../src/storage/storage.ts";
import { SmallDisk, whyNoSmallDisk } from "../support/small_disk.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

test("a directory that cannot be looked into is an error in words", () => {
  using folder = new TemporaryFolder();
  const file = folder.join("file");
  writeFileSync(file, "");
  expect(() => new Catalog({ directory: file })).toThrow(StorageError);
});

using probe = new TemporaryFolder();

test.skipIf(whyNoSmallDisk(probe.path) !== undefined)(
  "an orderly end does without the room that is missing to make the file smaller",
  () => {
    using folder = new TemporaryFolder();
    using disk = new SmallDisk(folder.join("disk"));
    const catalog = new Catalog({ directory: disk.folder });
    const digests = Array.from({ length: 40 }, (_, index) => new Uint8Array(32).fill(index));
    const sealed = new Uint8Array(3000);
    for (const digest of digests) catalog.putApiKey({ digest, scope: "readonly", limits: null, sealed });
    for (const digest of digests.slice(1)) catalog.deleteApiKey(digest);
    disk.fill(0);
    catalog.close();
    disk.empty();
    const again = new Catalog({ directory: disk.folder });
    expect(again.contents().apiKeys.map(({ digest }) => digest)).toEqual(digests.slice(0, 1));
    again.close();
    // With room it is made smaller.
    expect(Bun.file(join(disk.folder, "catalog.db")).size).toBeLessThan(digests.length * sealed.length * 0.5);
  },
);
