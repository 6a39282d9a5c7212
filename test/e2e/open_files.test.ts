/**
 * A process that may open no more files: connections that never say a word can bring that about without any key.
 */
import { expect, test } from "bun:test";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import type { TestClient } from "../support/test_client.ts";

const isWindows = process.platform === "win32";
const FILES_MAX = 80;
/** So many checkpoints of 0.2 s fail, one after another, that the journal was synced meanwhile. */
const FAILED_CHECKPOINTS = /(?:The checkpoint failed[\s\S]*?){8}/;

/** Half of them say nothing, half of them half of something. */
async function openSilently(port: number, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect(port, "127.0.0.1").on("error", () => {}));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  for (const socket of sockets.slice(count / 2)) socket.write("GET / HTTP/1.1\r\nHo");
  return sockets;
}

async function hasJustSaved(client: TestClient): Promise<boolean> {
  const { stat } = await client.request("stat", {});
  const { lastCheckpoint } = stat as { lastCheckpoint: { agoMs: number } | null };
  return lastCheckpoint !== null && lastCheckpoint.agoMs < 150;
}

async function goOn(server: ServerProcess, client: TestClient, insert: () => Promise<void>): Promise<void> {
  await using other = await server.connect();
  expect(await other.request("cols", {})).toMatchObject({ collections: ["c0", "c1", "c2"] });
  await insert();
  // The system gives the files back one by one; a stop needs some, as a checkpoint does.
  while (!(await hasJustSaved(client))) await Bun.sleep(1);
  expect(await server.kill("SIGTERM")).toBe(0);
}

test.skipIf(isWindows).each(["SIGTERM", "SIGKILL"] as const)(
  "running out of files loses no write that is answered, and is over when they are free again: %s",
  async (end) => {
    using folder = new TemporaryFolder();
    const args = ["--data", folder.join("data"), "--flush-interval", "0.2"];
    const records: unknown[] = [];
    {
      await using server = await ServerProcess.start({ args, filesMax: FILES_MAX });
      await using client = await server.connect();
      const insert = async (ts: number): Promise<void> => {
        const record = { ts, doc: "d", data: "x" };
        expect(await client.request("ins", [{ ...record, col: `c${ts % 3}` }])).not.toHaveProperty("error");
        records.push({ ts, data: "x" });
      };
      const sockets = await openSilently(server.port, 2 * FILES_MAX);
      let isExhausted = false;
      const exhausted = server.waitForOutput(FAILED_CHECKPOINTS).then(() => {
        isExhausted = true;
      });
      let ts = 0;
      while (!isExhausted) await insert(ts++);
      await exhausted;
      await insert(ts++);
      // What is left is in the journal alone.
      if (end === "SIGKILL") await server.kill(end);
      for (const socket of sockets) socket.destroy();
      if (end === "SIGTERM") await goOn(server, client, () => insert(ts++));
    }
    await using server = await ServerProcess.start({ args });
    await using client = await server.connect();
    const found = await Promise.all(
      ["c0", "c1", "c2"].map((col) => client.request("qdoc", { col, doc: "d", from: 0, to: 1e9 })),
    );
    const all = found.flatMap((reply) => reply.records as { ts: number }[]).sort((a, b) => a.ts - b.ts);
    expect(all as unknown[]).toEqual(records);
  },
  30_000,
);
