/**
 * What `stat` says of writes: when a device may let go of its own copy.
 */
import { expect, test } from "bun:test";
import type { ServerStatus } from "../../src/protocol/server_status.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import type { TestClient } from "../support/test_client.ts";

type Writes = NonNullable<ServerStatus["writes"]>;

async function writesOf(client: TestClient): Promise<Writes> {
  const { stat } = (await client.request("stat", {})) as { stat: ServerStatus };
  return stat.writes as Writes;
}

const insert = (client: TestClient, ts: number) =>
  client.request("ins", [{ col: "c", doc: "d", ts, data: "x" }]);

const allOf = (client: TestClient) => client.request("qdoc", { col: "c", doc: "d" });

test("with durability always, what is answered is on the disk", async () => {
  using folder = new TemporaryFolder();
  await using server = await ServerProcess.start({
    args: ["--data", folder.join("data"), "--durability", "always"],
  });
  await using client = await server.connect();
  for (let ts = 1; ts <= 3; ts++) {
    const before = await writesOf(client);
    expect(await insert(client, ts)).not.toHaveProperty("error");
    const after = await writesOf(client);
    expect(after.acknowledged).toBe(before.acknowledged + 1);
    expect(after.durable).toBe(after.acknowledged);
    expect(after.run).toBe(before.run);
  }
});

test.each([
  ["everysec", "1000"],
  ["interval", "0.1"],
])("with durability %s it gets there by itself, and is there after a kill", async (durability, seconds) => {
  using folder = new TemporaryFolder();
  const args = ["--data", folder.join("data"), "--durability", durability, "--flush-interval", seconds];
  let run: string;
  {
    await using server = await ServerProcess.start({ args });
    await using client = await server.connect();
    expect(await insert(client, 1)).not.toHaveProperty("error");
    const noted = await writesOf(client);
    run = noted.run;
    while ((await writesOf(client)).durable < noted.acknowledged) {}
    await server.kill("SIGKILL");
  }
  await using server = await ServerProcess.start({ args });
  await using client = await server.connect();
  expect(await allOf(client)).toMatchObject({ records: [{ ts: 1, data: "x" }] });
  expect((await writesOf(client)).run).not.toBe(run);
});

test("with durability interval nothing is on the disk before a checkpoint has ended", async () => {
  using folder = new TemporaryFolder();
  await using server = await ServerProcess.start({
    args: ["--data", folder.join("data"), "--durability", "interval", "--flush-interval", "1000"],
  });
  await using client = await server.connect();
  expect(await insert(client, 1)).not.toHaveProperty("error");
  const { acknowledged, durable } = await writesOf(client);
  expect(durable).toBeLessThan(acknowledged);
});

test("in memory there is nothing to say", async () => {
  await using server = await ServerProcess.start();
  await using client = await server.connect();
  expect(await writesOf(client)).toBeNull();
});
