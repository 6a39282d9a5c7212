/**
 * A server that has far less memory than data, as a client sees it.
 */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import type { TestClient } from "../support/test_client.ts";

const MEGABYTE = 1e6;
const DOCUMENTS = 50;
const RECORDS_A_MESSAGE = 500;
const TEXT_LENGTH = 1000;

/** Text that no codec makes small; told by its number, so that it can be checked without being kept. */
function textOf(number: number): string {
  const words = new Uint32Array(TEXT_LENGTH / 8);
  let state = number + 1;
  for (let at = 0; at < words.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[at] = Math.imul(state ^ (state >>> 16), 0x45d9f3b);
  }
  return Buffer.from(words.buffer).toString("hex");
}

async function insert(client: TestClient, from: number): Promise<unknown> {
  const records = Array.from({ length: RECORDS_A_MESSAGE }, (_, index) => {
    const ts = from + index;
    return { ts, doc: `d${ts % DOCUMENTS}`, data: textOf(ts), col: "c" };
  });
  return client.request("ins", records);
}

async function checkSome(client: TestClient, count: number): Promise<void> {
  for (let ts = 0; ts < count; ts += 1999) {
    const doc = `d${ts % DOCUMENTS}`;
    const { records } = await client.request("qdoc", { col: "c", doc, from: ts, to: ts });
    expect(records).toEqual([{ ts, data: textOf(ts) }]);
  }
}

/** In bytes; undefined where the system does not say. */
function memoryOf({ pid }: ServerProcess): number | undefined {
  const file = `/proc/${pid}/status`;
  if (!existsSync(file)) return undefined;
  return Number(/VmRSS:\s+([0-9]+) kB/.exec(readFileSync(file, "utf8"))?.[1]) * 1024;
}

test("ten times the limit is taken, kept through a kill, and answered, in a process that stays small", async () => {
  using folder = new TemporaryFolder();
  const args = ["--data", folder.join("data"), "--memory-limit", "16MiB"];
  const count = 200_000;
  {
    await using server = await ServerProcess.start({ args });
    await using client = await server.connect();
    await insert(client, 0);
    const before = memoryOf(server);
    for (let from = 0; from < count; from += RECORDS_A_MESSAGE) {
      expect(await insert(client, from)).toEqual({ id: expect.any(String) });
    }
    await checkSome(client, count);
    const after = memoryOf(server);
    if (before !== undefined && after !== undefined) expect(after - before).toBeLessThan(130 * MEGABYTE);
  }
  await using server = await ServerProcess.start({ args });
  expect(server.output).toContain(`${DOCUMENTS} documents, 200,000 records`);
  await using client = await server.connect();
  await checkSome(client, count);
}, 120_000);

test("in memory only, an insert past the limit says so, and deleting makes room", async () => {
  await using server = await ServerProcess.start({ args: ["--memory-limit", "16MiB"] });
  await using client = await server.connect();
  let from = 0;
  let reply: unknown = {};
  while (!Object.hasOwn(reply as object, "error")) {
    reply = await insert(client, from);
    from += RECORDS_A_MESSAGE;
  }
  expect(reply).toMatchObject({
    code: "memory_full",
    error: expect.stringMatching(/^Memory is full: 1[0-9]\.[0-9] MiB of 16\.0 MiB .* raise --memory-limit/),
  });
  await checkSome(client, from - RECORDS_A_MESSAGE);
  await client.request("dcol", { col: "c" });
  expect(await insert(client, 0)).toEqual({ id: expect.any(String) });
}, 60_000);
