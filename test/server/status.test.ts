import { expect, test } from "bun:test";
import { ask, KEYS, TestServer } from "./test_server.ts";

test("stat answers how the server is, to whoever may read", async () => {
  await using server = new TestServer();
  await using reader = await server.connect({ key: KEYS.readonly });
  await using _other = await server.connect();
  for (const data of [{}, null, [], "not JSON"]) {
    expect(JSON.parse(await ask(reader, "stat", data))).toEqual({
      id: "1",
      stat: {
        version: "1.2.3",
        commit: "abc",
        uptimeMs: 1000,
        collections: 1,
        documents: 2,
        records: 3,
        keyValues: 4,
        connections: 2,
        memory: { usedBytes: 5, limitBytes: 6, residentBytes: 7 },
        durability: "memory",
        writes: null,
        disk: null,
        lastCheckpoint: null,
      },
    });
  }
});
