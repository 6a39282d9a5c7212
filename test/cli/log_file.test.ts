/**
 * `serve --log-file`: where the log goes, and what those who rotate logs can rely on.
 */
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { runProgram } from "../support/program.ts";
import { SECRET_KEY, ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { TestClient } from "../support/test_client.ts";

const LOOK_MS = 10;

/** Resolves with the first match in a file that others write. */
async function waitForText(file: string, pattern: RegExp): Promise<RegExpExecArray> {
  // Not by `watch`: it does not say when it has begun, and once in a few hundred times misses what is written then.
  for (;;) {
    const match = existsSync(file) ? pattern.exec(readFileSync(file, "utf8")) : null;
    if (match !== null) return match;
    await Bun.sleep(LOOK_MS);
  }
}

const launch = (file: string, args: readonly string[] = []): ServerProcess =>
  ServerProcess.launch({ args: ["--log-file", file, ...args] });

async function connectTo(file: string): Promise<TestClient> {
  const [, url = ""] = await waitForText(file, /Ready: (ws:\S+?),/);
  return TestClient.connect(url, { key: SECRET_KEY, name: "pump" });
}

test("the log goes to the file, and after a rename and SIGHUP to the new one", async () => {
  using folder = new TemporaryFolder();
  const file = folder.join("log");
  await using server = launch(file);
  await using _client = await connectTo(file);
  await waitForText(file, /Client connected .*name=pump/);
  renameSync(file, folder.join("log.1"));
  {
    await using _other = await TestClient.connect(urlIn(folder.join("log.1")), {
      key: SECRET_KEY,
      name: "late",
    });
    await waitForText(folder.join("log.1"), /name=late/);
  }
  expect(existsSync(file)).toBe(false);
  server.signal("SIGHUP");
  await waitForText(file, /The log was opened again/);
  expect(await server.kill("SIGTERM")).toBe(0);
  expect(readFileSync(file, "utf8")).toMatch(/opened again[\s\S]*Stopping[\s\S]*Stopped/);
  expect(readFileSync(folder.join("log.1"), "utf8")).not.toContain("Stopping");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  // Nothing is said twice.
  expect(server.output).toBe("");
});

const urlIn = (file: string): string => /Ready: (ws:\S+?),/.exec(readFileSync(file, "utf8"))?.[1] as string;

test("a file that cannot be opened again changes nothing", async () => {
  using folder = new TemporaryFolder();
  const file = folder.join("log");
  await using server = launch(file, ["--log-format", "json"]);
  await waitForText(file, /"Ready:|Ready: /);
  renameSync(file, folder.join("log.1"));
  mkdirSync(file);
  server.signal("SIGHUP");
  await waitForText(folder.join("log.1"), /"level":"error","message":"The log could not be opened again/);
  expect(await server.kill("SIGTERM")).toBe(0);
  expect(readFileSync(folder.join("log.1"), "utf8")).toContain("Stopped");
});

test("what ends a start is in the file as well as on the terminal", async () => {
  using folder = new TemporaryFolder();
  const refused = await runProgram(["serve", "--log-file", folder.join("none", "log")]);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain("--log-file: cannot write");
  const file = folder.join("log");
  const args = ["serve", "--port", "0", "--log-file", file, "--data", file];
  const { exitCode, stderr } = await runProgram(args, { env: { FLUXIONDB_SECRET_KEY: SECRET_KEY } });
  expect(exitCode).toBe(1);
  expect(stderr).toContain(file);
  expect(readFileSync(file, "utf8")).toMatch(/error The server ends error=/);
});

test("--slow-request-ms says what is slow", async () => {
  await using server = await ServerProcess.start({ args: ["--slow-request-ms", "0"] });
  await using client = await server.connect({ name: "pump" });
  await client.request("cols", {});
  await server.waitForOutput(/warn {2}Slow request ip=127\.0\.0\.1 name=pump type=cols ms=\d/);
});
