/**
 * A collection's file, opened while somebody else has it.
 */
import { expect, test } from "bun:test";
import { CollectionFile } from "../../src/storage/collection_file.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

/** Holds a file as a checkpoint does for a moment when it goes over to a WAL; says so, and lets go of it. */
const HOLDER = `
  const { Database } = require("bun:sqlite");
  const database = new Database(process.argv[1]);
  database.run("BEGIN EXCLUSIVE");
  console.log("held");
  Bun.sleepSync(100);
  database.run("COMMIT");
`;

test("whoever reads a chunk waits while a checkpoint holds the file", async () => {
  using folder = new TemporaryFolder();
  const file = folder.join("c.db");
  const made = CollectionFile.create(file);
  made.begin();
  made.commit("c", { journalPosition: 7, counts: { documents: 0, chunks: 0, records: 0, values: 0 } });
  made.close();
  const holder = Bun.spawn([process.execPath, "-e", HOLDER, file], { stdout: "pipe" });
  const { value } = await holder.stdout.getReader().read();
  expect(new TextDecoder().decode(value)).toBe("held\n");
  const opened = CollectionFile.openBesideWriter(file);
  expect(opened.state("c").journalPosition).toBe(7);
  opened.close();
  expect(await holder.exited).toBe(0);
});
