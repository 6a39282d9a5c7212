/**
 * Nobody gets another client's answer: many clients at once, each with data that carries its own mark, with requests of
 * every speed and size, bad ones in between, and clients that go away in the middle.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { ServerProcess } from "../support/server_process.ts";
import type { TestClient } from "../support/test_client.ts";

const CLIENTS = 12;
const ROUNDS = 60;
const RECORDS = 300;
/** All that is held for these clients is a few megabytes. */
const GROWTH_BYTES_MAX = 200 * 2 ** 20;

const markOf = (client: number): string => `mark-${client}-of-its-owner`;
const ANY_MARK = /mark-[0-9]+-of-its-owner/g;

function residentBytes(pid: number): number {
  const [, kib = ""] = /^VmRSS:\s+([0-9]+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1")) ?? [];
  return Number(kib) * 1024;
}

async function fill(client: TestClient, mark: string): Promise<void> {
  const records = Array.from({ length: RECORDS }, (_, ts) => ({
    ts,
    doc: `d${ts % 3}`,
    col: mark,
    data: mark,
  }));
  await client.request("ins", records);
  await client.request("sval", { col: mark, key: mark, value: mark });
}

/** One of each kind; those that wait for the disk, and those that are answered in portions, among those that are not. */
function requestsOf(mark: string, round: number): readonly (readonly [type: string, data: unknown])[] {
  return [
    ["qdoc", { col: mark, doc: `d${round % 3}`, from: 0, to: 1e9, reverse: round % 2 === 0 }],
    ["ins", [{ ts: RECORDS + round, doc: "d0", col: mark, data: mark }]],
    ["qry", { col: mark, ts: 1e9 }],
    ["qry", { col: mark, ts: 1e9, doc: "/^d[0-9]$/", where: "/mark-[0-9]+/" }],
    ["gval", { col: mark, key: mark }],
    ["qdoc", { col: mark, doc: "d1", where: "/(/" }],
    ["gvals", { col: mark }],
    [`no such ${mark}`, {}],
    ["qdoc", { col: mark, doc: "d2", where: `/${mark.slice(0, -1)}[a-z]/`, limit: 50 }],
  ];
}

test("every answer carries the mark of who asked, and the process does not grow", async () => {
  await using server = await ServerProcess.start();
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => server.connect()));
  await Promise.all(clients.map((client, at) => fill(client, markOf(at))));
  const before = process.platform === "linux" ? residentBytes(server.pid) : 0;
  await Promise.all(
    clients.map(async (client, at) => {
      const mark = markOf(at);
      for (let round = 0; round < ROUNDS; round++) {
        const requests = requestsOf(mark, round);
        const answers = await Promise.all(
          requests.map(([type, data]) => client.requestText(type, JSON.stringify(data))),
        );
        for (const answer of answers) {
          expect([...new Set(answer.match(ANY_MARK))].filter((found) => found !== mark)).toEqual([]);
        }
        expect(answers.filter((answer) => answer.includes(mark)).length).toBe(requests.length - 2);
        // Somebody comes with the same requests, and is gone before they are answered.
        await using gone = await server.connect();
        for (const [type, data] of requests) gone.send(JSON.stringify({ id: "gone", type, data }));
      }
    }),
  );
  if (process.platform === "linux") {
    expect(residentBytes(server.pid) - before).toBeLessThan(GROWTH_BYTES_MAX);
  }
  expect(server.output).not.toContain("Bug in the server");
  await Promise.all(clients.map((client) => client.close()));
}, 60_000);
