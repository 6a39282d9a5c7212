/**
 * No API key is anywhere but where its owner put it: all that a server writes in a run is searched for the keys used.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { PROGRAM, runProgram } from "../support/program.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { TestClient } from "../support/test_client.ts";

const MASTER = "master-0e7f1a-secret";
const KEYS = {
  inUrl: "url-5b21c9-secret",
  bearer: "bearer-77aa01-secret",
  added: "added-c4d2e8-secret",
  wrong: "wrong-91b3f5-secret",
  expired: "expired-2f6e40-secret",
  /** In a request that is refused, and one that is no message. */
  misplaced: "misplaced-8d1c77-secret",
};

/** Whatever a key may have become on its way: as it is, as URLs and JSON have it, and in other encodings. */
function traces(key: string): string[] {
  const bytes = Buffer.from(key);
  return [key, encodeURIComponent(key), bytes.toString("base64").slice(0, 20), bytes.toString("hex")];
}

function search(place: string, bytes: Uint8Array | string, keys: readonly string[]): string[] {
  const text = Buffer.from(bytes).toString("latin1");
  return keys
    .filter((key) => traces(key).some((trace) => text.includes(trace)))
    .map((key) => `${place}: ${key}`);
}

function filesBelow(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[])
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

/** Every reply, and every answer over HTTP, of a run in which each key is used, rightly and wrongly. */
async function use(server: ServerProcess): Promise<string[]> {
  const replies: string[] = [];
  const http = server.url.replace("ws:", "http:");
  const visit = async (path: string, headers: Record<string, string> = {}): Promise<void> => {
    const response = await fetch(`${http}${path}`, { headers });
    replies.push(JSON.stringify([...response.headers]), await response.text());
  };
  await using admin = await TestClient.connect(server.url, { key: MASTER, name: "admin" });
  const ask = async (type: string, data: unknown): Promise<void> => {
    replies.push(await admin.requestText(type, JSON.stringify(data)));
  };
  for (const key of [KEYS.inUrl, KEYS.bearer, KEYS.added]) {
    await ask("keys", { action: "add", key, scope: "read_write", collections: ["c"] });
  }
  await ask("keys", { action: "add", key: KEYS.expired, scope: "readonly", expiresAt: Date.now() + 100 });
  {
    await using short = await TestClient.connect(server.url, { key: KEYS.expired });
    replies.push(JSON.stringify(await short.closed));
  }
  await visit(`/?api-key=${KEYS.expired}`);
  await visit(`/?api-key=${KEYS.wrong}`);
  await visit("/metrics", { authorization: `Bearer ${KEYS.wrong}` });
  await visit("/metrics", { authorization: `Bearer ${MASTER}` });
  await visit("/metrics", { authorization: `Bearer ${KEYS.bearer}` });
  await visit(`/nowhere?api-key=${KEYS.inUrl}`);
  await using client = await TestClient.connect(server.url, { key: KEYS.inUrl, name: "pump" });
  replies.push(await client.requestText("ins", '[{"ts":1,"doc":"d","data":"x","col":"c"}]'));
  replies.push(await client.requestText("qry", '{"col":"other","ts":1}'));
  replies.push(await client.requestText("keys", JSON.stringify({ action: "add", key: KEYS.misplaced })));
  await ask("keys", { action: "add", key: KEYS.misplaced, scope: "everything" });
  await ask("keys", { action: "add", key: KEYS.misplaced, scope: "readonly", collections: [] });
  await ask("keys", { action: "remove", key: KEYS.misplaced });
  await ask("keys", { action: "remove", key: KEYS.added });
  for (const frame of [`{"key":"${KEYS.misplaced}"}`, `{"key":"${KEYS.misplaced}`]) {
    await using bad = await TestClient.connect(server.url, { key: MASTER });
    bad.send(frame);
    replies.push(await bad.next(), JSON.stringify(await bad.closed));
  }
  for (const type of ["conn", "stat", "cols"]) await ask(type, {});
  return replies;
}

test("keys are in no log, metrics, reply, archive, backup, data file or process list", async () => {
  using folder = new TemporaryFolder();
  const data = folder.join("data");
  const args = ["--data", data, "--log-level", "debug", "--flush-interval", "0.1"];
  const env = { FLUXIONDB_SECRET_KEY: MASTER };
  await using server = await ServerProcess.start({ args, env });
  const replies = await use(server);
  const all = [MASTER, ...Object.values(KEYS)];
  const found: string[] = search("replies", replies.join("\n"), all);

  const clientEnv = { FLUXIONDB_URL: server.url, FLUXIONDB_API_KEY: MASTER };
  for (const command of [
    ["export", "--all", "--out-dir", folder.join("archive")],
    ["backup", "--out", folder.join("all.backup")],
    ["clients"],
    ["status"],
  ]) {
    const { exitCode, stdout, stderr } = await runProgram(command, { env: clientEnv });
    expect({ command, exitCode }).toEqual({ command, exitCode: 0 });
    found.push(...search(command.join(" "), stdout + stderr, all));
  }
  if (process.platform === "linux") {
    found.push(...search("the process list", readFileSync(`/proc/${server.pid}/cmdline`), all));
  }
  // As it crashes, and as it ends in an error.
  await server.kill("SIGABRT");
  const second = await runProgram(["serve", "--port", "0", "--data", folder.join("all.backup")], { env });
  expect(second.exitCode).toBe(1);
  found.push(...search("a failed start", second.stdout + second.stderr, all));
  found.push(...search("the log", server.output, all));
  expect(server.output).toContain("API key added");
  expect(server.output).toContain("Bad frame");

  const owned = folder.join("archive", "apikeys.json");
  for (const path of filesBelow(folder.path)) {
    // The one file that is there to hold keys: but never the master key.
    const keys = path === owned ? [MASTER, KEYS.wrong, KEYS.misplaced] : all;
    found.push(...search(path, readFileSync(path), keys));
  }
  expect(found).toEqual([]);
  expect(readFileSync(owned, "utf8")).toContain(KEYS.inUrl);
  expect(PROGRAM.join(" ")).not.toContain("secret");
}, 60_000);
