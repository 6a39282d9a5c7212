import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LIMIT_OPTIONS } from "../../src/cli/limit_options.ts";
import { runProgram } from "../support/program.ts";
import { SECRET_KEY, ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { TestClient } from "../support/test_client.ts";

const NO_KEY = { FLUXIONDB_SECRET_KEY: undefined as unknown as string };
const ENDLESS = { from: 0, to: "9223372036854775807" };
const isWindows = process.platform === "win32";

const modeOf = (file: string): string => (statSync(file).mode & 0o777).toString(8);

/** The key that a server shows, on a line of its own. */
function shownKeys(output: string): string[] {
  return [...output.matchAll(/^ {4}([0-9a-f]{40})$/gm)].map(([, key]) => key as string);
}

describe("a mistake on the command line", () => {
  test.each([
    [["--port", "abc"], '--port (FLUXIONDB_PORT): expected a whole number from 0 to 65535, got "abc"'],
    [["--port", "65536"], '--port (FLUXIONDB_PORT): expected a whole number from 0 to 65535, got "65536"'],
    [["--host="], '--host (FLUXIONDB_HOST): expected some text, got ""'],
    [["--data="], '--data (FLUXIONDB_DATA): expected some text, got ""'],
    [
      ["--flush-interval", "0"],
      '--flush-interval (FLUXIONDB_FLUSH_INTERVAL): expected seconds from 0.01 to 86400, got "0"',
    ],
    [
      ["--durability", "never"],
      '--durability (FLUXIONDB_DURABILITY): expected always, everysec or interval, got "never"',
    ],
    [
      ["--log-level", "loud"],
      '--log-level (FLUXIONDB_LOG_LEVEL): expected debug, info, warn or error, got "loud"',
    ],
    [["--log-format", "xml"], '--log-format (FLUXIONDB_LOG_FORMAT): expected text or json, got "xml"'],
    [
      ["--max-frame", "1ZiB"],
      '--max-frame (FLUXIONDB_MAX_FRAME): expected a size from 1KiB to 256MiB, such as 16MiB, got "1ZiB"',
    ],
    [
      ["--max-reply", "3GiB"],
      '--max-reply (FLUXIONDB_MAX_REPLY): expected a size from 1KiB to 1GiB, such as 16MiB, got "3GiB"',
    ],
    [["--max-name", "5000"], "--max-name (FLUXIONDB_MAX_NAME): expected a whole number from 1 to 4096"],
    [["--secret-key="], "--secret-key: expected a secret key, got an empty one"],
    [["--secret-key", "k", "--secret-key-file", "f"], "Give --secret-key or --secret-key-file, not both"],
    [["--recover"], "--recover needs --data"],
    [["--nonsense"], "unknown option '--nonsense'"],
    [["surplus"], "too many arguments"],
  ])("is explained and ends with 2: %p", async (args, message) => {
    const { exitCode, stdout, stderr } = await runProgram(["serve", ...args]);
    expect(stderr).toStartWith("fluxiondb: ");
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
  });

  test("is explained the same way in the environment", async () => {
    const { exitCode, stderr } = await runProgram(["serve"], { env: { FLUXIONDB_PORT: "http" } });
    expect(stderr).toContain('--port (FLUXIONDB_PORT): expected a whole number from 0 to 65535, got "http"');
    expect(exitCode).toBe(2);
  });

  test("never quotes a secret key", async () => {
    const { exitCode, stderr } = await runProgram(["serve", "--secret-key", "secret".repeat(200)]);
    expect(stderr).toContain("--secret-key: expected a secret key of at most 1024 characters, got 1200");
    expect(stderr).not.toContain("secretsecret");
    expect(exitCode).toBe(2);
  });

  test("leaves no data directory behind", async () => {
    using folder = new TemporaryFolder();
    await runProgram(["serve", "--data", folder.join("data"), "--secret-key="]);
    expect(existsSync(folder.join("data"))).toBe(false);
  });
});

describe("help and version", () => {
  test("--help teaches: every option with its name in the environment, examples, and what `ps` shows", async () => {
    const { exitCode, stdout, stderr } = await runProgram(["serve", "--help"]);
    for (const option of [
      "port",
      "host",
      "secret-key",
      "secret-key-file",
      "data",
      "flush-interval",
      "durability",
      "log-level",
      "log-format",
      ...Array.from(LIMIT_OPTIONS.values(), ({ flags }) => flags.slice(2).split(" ")[0] as string),
    ]) {
      expect(stdout).toContain(`--${option} `);
      expect(stdout).toContain(`FLUXIONDB_${option.toUpperCase().replaceAll("-", "_")}`);
    }
    expect(stdout).toContain("`ps`");
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  });

  test("the examples of --help start a server", async () => {
    const { stdout } = await runProgram(["serve", "--help"]);
    const examples = [...stdout.matchAll(/^ {2}((?:FLUXIONDB_\w+=\S+ )*)fluxiondb serve(.*?)(?: {3}.*)?$/gm)];
    expect(examples.length).toBeGreaterThanOrEqual(5);
    for (const [, settings = "", rest = ""] of examples) {
      using folder = new TemporaryFolder();
      const env = Object.fromEntries(
        settings
          .split(" ")
          .filter(Boolean)
          .map((setting) => setting.split("=") as [string, string]),
      );
      // A port of its own: the examples' may be taken on this machine.
      const args = [...rest.split(" ").filter(Boolean), "--port", "0"];
      await using server = await ServerProcess.start({ args, env, cwd: folder.path });
      expect(await server.kill("SIGTERM")).toBe(0);
    }
  });

  test("no command at all shows the help and ends with 2", async () => {
    const { exitCode, stderr } = await runProgram([]);
    expect(stderr).toContain("serve");
    expect(exitCode).toBe(2);
  });

  test("--version says version and commit", async () => {
    const { exitCode, stdout } = await runProgram(["--version"]);
    expect(stdout).toMatch(/^fluxiondb [0-9]+\.[0-9]+\.[0-9]+ \((dev|unknown|[0-9a-f]{7,}(-dirty)?)\)\n$/);
    expect(exitCode).toBe(0);
  });
});

describe("the secret key", () => {
  test("is made on the first run, shown once and kept for its owner's eyes", async () => {
    using folder = new TemporaryFolder();
    const data = folder.join("data");
    let key: string;
    {
      await using server = await ServerProcess.start({ args: ["--data", data], env: NO_KEY });
      const keys = shownKeys(server.output);
      expect(keys).toHaveLength(1);
      key = keys[0] as string;
      await using _client = await server.connect({ key });
      await server.kill("SIGTERM");
    }
    expect(readFileSync(join(data, "secret.key"), "utf8")).toBe(`${key}\n`);
    if (!isWindows) expect(modeOf(join(data, "secret.key"))).toBe("600");
    await using server = await ServerProcess.start({ args: ["--data", data], env: NO_KEY });
    expect(server.output).not.toContain(key);
    await using _client = await server.connect({ key });
  });

  test("is shown when it is made, even if the start then fails", async () => {
    using folder = new TemporaryFolder();
    const args = ["serve", "--host", "203.0.113.1", "--port", "0", "--data", folder.path];
    const { exitCode, stderr } = await runProgram(args);
    expect(stderr).toContain(
      "Cannot listen on 203.0.113.1:0: this machine has no such address. Check --host",
    );
    expect(exitCode).toBe(1);
    expect(shownKeys(stderr)).toEqual([readFileSync(folder.join("secret.key"), "utf8").trim()]);
  });

  test("is another one on each run in memory", async () => {
    await using first = await ServerProcess.start({ env: NO_KEY });
    await using second = await ServerProcess.start({ env: NO_KEY });
    const [key] = shownKeys(first.output);
    expect(key).toBeDefined();
    expect(shownKeys(second.output)).not.toEqual([key as string]);
    await using _client = await first.connect({ key: key as string });
  });

  test("can be given in a file, without its last line break", async () => {
    using folder = new TemporaryFolder();
    writeFileSync(folder.join("key"), "from a file\n");
    // The environment holds another one, and the command line wins.
    await using server = await ServerProcess.start({ args: ["--secret-key-file", folder.join("key")] });
    await using _client = await server.connect({ key: "from a file" });
    await expect(TestClient.connect(server.url, { key: SECRET_KEY })).rejects.toThrow("closed");
  });

  test("an empty kept one stops the start, and is left as it is", async () => {
    using folder = new TemporaryFolder();
    writeFileSync(folder.join("secret.key"), "");
    const { exitCode, stderr } = await runProgram(["serve", "--port", "0", "--data", folder.path]);
    expect(stderr).toContain(
      `${folder.join("secret.key")} is empty: write the secret key into it, or remove it to have a new one made`,
    );
    expect(exitCode).toBe(1);
    expect(readFileSync(folder.join("secret.key"), "utf8")).toBe("");
  });

  test("a file of it that cannot be read ends with 2", async () => {
    const { exitCode, stderr } = await runProgram(["serve", "--secret-key-file", "/no/such/file"]);
    expect(stderr).toContain("--secret-key-file: cannot read /no/such/file");
    expect(exitCode).toBe(2);
  });
});

describe("the start", () => {
  test("says that memory alone saves nothing", async () => {
    await using server = await ServerProcess.start();
    expect(server.output).toMatch(/Ready: ws:\/\/127\.0\.0\.1:[0-9]+, in memory only: nothing is saved\n/);
  });

  test("says what was loaded, once there is something", async () => {
    using folder = new TemporaryFolder();
    const args = ["--data", folder.join("data")];
    {
      await using server = await ServerProcess.start({ args });
      expect(server.output).toContain(
        "(durability everysec), 0 collections, 0 documents, 0 records, loaded in",
      );
      await using client = await server.connect();
      const records = Array.from({ length: 1002 }, (_, ts) => ({
        ts,
        doc: `d${ts % 7}`,
        col: "c",
        data: "",
      }));
      expect(await client.request("ins", records)).toEqual({ id: "request 1" });
      expect(await server.kill("SIGTERM")).toBe(0);
    }
    await using server = await ServerProcess.start({ args });
    const [line] = await server.waitForOutput(/Ready: .*/);
    expect(line).toMatch(
      /^Ready: ws:\/\/127\.0\.0\.1:[0-9]+, data in .*data \(durability everysec\), 1 collection, 7 documents, 1,002 records, loaded in [0-9]+\.[0-9]{2} s$/,
    );
  });

  test("is refused on a port in use, and ends with 1", async () => {
    using folder = new TemporaryFolder();
    // Asked for by its number: a socket on any free port is never shared, so it would not show a server that shares.
    const port = freePort();
    await using server = await ServerProcess.start({ args: ["--port", String(port)] });
    const args = ["serve", "--port", String(server.port), "--data", folder.join("data")];
    const { exitCode, stderr } = await runProgram(args, { env: { FLUXIONDB_SECRET_KEY: SECRET_KEY } });
    expect(stderr).toContain(
      `fluxiondb: Cannot listen on 127.0.0.1:${server.port}: the port is in use. Stop what uses it, or take another --port\n`,
    );
    expect(exitCode).toBe(1);
  });

  test("is refused where the port of operations is in use, naming that, and listens on none", async () => {
    const port = freePort();
    await using server = await ServerProcess.start({ args: ["--port", String(port)] });
    const other = freePort();
    const args = ["serve", "--port", String(other), "--ops-port", String(server.port)];
    const { exitCode, stderr } = await runProgram(args, { env: { FLUXIONDB_SECRET_KEY: SECRET_KEY } });
    expect(stderr).toContain(
      `fluxiondb: Cannot listen on 127.0.0.1:${server.port}: the port is in use. Stop what uses it, or take another --ops-port\n`,
    );
    expect(exitCode).toBe(1);
  });

  test("is refused for a host that nobody knows", async () => {
    const args = ["serve", "--port", "0", "--host", "no.such.host.invalid"];
    const { exitCode, stderr } = await runProgram(args, { env: { FLUXIONDB_SECRET_KEY: SECRET_KEY } });
    expect(stderr).toContain("fluxiondb: Cannot listen on no.such.host.invalid:0: ");
    expect(stderr).toContain("check --host");
    expect(exitCode).toBe(1);
  });

  test("is refused on a data directory in use, naming the process that has it", async () => {
    using folder = new TemporaryFolder();
    const data = folder.join("data");
    await using server = await ServerProcess.start({ args: ["--data", data] });
    const { exitCode, stderr } = await runProgram(["serve", "--port", "0", "--data", data]);
    expect(stderr).toContain(`is in use by process ${server.pid}`);
    expect(exitCode).toBe(1);
  });

  test("is refused on a data directory that is a file", async () => {
    using folder = new TemporaryFolder();
    writeFileSync(folder.join("data"), "");
    const { exitCode, stderr } = await runProgram(["serve", "--port", "0", "--data", folder.join("data")]);
    expect(stderr).toContain(folder.join("data"));
    expect(stderr).not.toContain("    at ");
    expect(exitCode).toBe(1);
  });

  test("takes every option from the environment, and the command line wins", async () => {
    using folder = new TemporaryFolder();
    await using server = await ServerProcess.start({
      args: ["--durability", "always"],
      env: {
        FLUXIONDB_DATA: folder.join("data"),
        FLUXIONDB_DURABILITY: "interval",
        FLUXIONDB_FLUSH_INTERVAL: "0.5",
        FLUXIONDB_LOG_LEVEL: "error",
        FLUXIONDB_MAX_FRAME: "64KiB",
      },
    });
    expect(server.output).toContain("(durability always)");
    expect(server.output).not.toContain("Starting");
    await using client = await server.connect();
    client.send(" ".repeat(70_000));
    expect(await client.closed).toMatchObject({ code: 1009 });
  });

  test("holds clients to each limit that it is given", async () => {
    await using server = await ServerProcess.start({
      args: ["--max-records", "3", "--max-record", "64B", "--max-name", "5", "--max-pattern", "5"],
      env: {
        FLUXIONDB_MAX_COLLECTIONS: "1",
        FLUXIONDB_MAX_DOCUMENTS: "1",
        FLUXIONDB_MAX_VALUES: "1",
        FLUXIONDB_MAX_REPLY: "1KiB",
        FLUXIONDB_MAX_CONNECTIONS: "3",
        FLUXIONDB_MAX_CONNECTIONS_PER_KEY: "2",
      },
    });
    await using client = await server.connect();
    const record = { ts: 1, doc: "d", col: "c", data: "x" };
    await client.request("ins", [record]);
    await client.request("sval", { col: "c", key: "a", value: "x" });
    for (const [type, data, message] of [
      ["ins", Array(4).fill(record), "at most 3 records"],
      ["ins", [{ ...record, data: "x".repeat(64) }], "at most 64 bytes"],
      ["ins", [{ ...record, doc: "123456" }], "at most 5 characters"],
      ["qry", { col: "c", ts: 1, doc: "/123456/" }, "may have 5 characters"],
      ["ins", [{ ...record, col: "other" }], "1 collections"],
      ["ins", [{ ...record, doc: "other" }], "1 documents"],
      ["sval", { col: "c", key: "b", value: "" }, "1 key-values"],
    ] as const) {
      expect(await client.request(type, data)).toMatchObject({ error: expect.stringContaining(message) });
    }
    const statusOf = async (key: string): Promise<number> => {
      const url = `${server.url.replace("ws:", "http:")}/?api-key=${key}`;
      return (await fetch(url)).status;
    };
    await client.request("keys", { action: "add", key: "other", scope: "readonly" });
    await using _second = await server.connect();
    // 426: the key would be let in, by a WebSocket.
    expect([await statusOf(SECRET_KEY), await statusOf("other")]).toEqual([503, 426]);
    await using _third = await server.connect({ key: "other" });
    expect(await statusOf("other")).toBe(503);
  });

  test.skipIf(isWindows)("makes files and folders for its owner alone, whatever the umask was", async () => {
    using folder = new TemporaryFolder();
    chmodSync(folder.path, 0o755);
    const data = folder.join("data");
    await using server = await ServerProcess.start({ args: ["--data", data], env: NO_KEY });
    await using client = await server.connect({ key: shownKeys(server.output)[0] as string });
    await client.request("ins", [{ ts: 1, doc: "d", col: "c", data: "x" }]);
    await server.kill("SIGTERM");
    expect(modeOf(data)).toBe("700");
    const entries = readdirSync(data, { recursive: true, withFileTypes: true });
    expect(entries.length).toBeGreaterThanOrEqual(4);
    for (const entry of entries) {
      const file = join(entry.parentPath, entry.name);
      expect(`${file} ${modeOf(file)}`).toBe(`${file} ${entry.isDirectory() ? "700" : "600"}`);
    }
  });
});

describe.skipIf(isWindows)("signals", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s answers what came in, saves all, and ends with 0",
    async (signal) => {
      using folder = new TemporaryFolder();
      const args = ["--data", folder.join("data"), "--durability", "interval"];
      {
        await using server = await ServerProcess.start({ args });
        await using client = await server.connect();
        const records = Array.from({ length: 100 }, (_, ts) => ({ ts, doc: "d", col: "c", data: `${ts}` }));
        await client.request("ins", records);
        expect(await server.kill(signal)).toBe(0);
        expect(server.output).toContain(`Stopping signal=${signal}`);
        expect(server.output).toContain("Stopped, all is saved");
        expect(await client.closed).toMatchObject({ code: 1001 });
      }
      expect(existsSync(folder.join("data", "server.pid"))).toBe(false);
      await using server = await ServerProcess.start({ args });
      await using client = await server.connect();
      const { records } = await client.request("qdoc", { col: "c", doc: "d", ...ENDLESS });
      expect(records).toHaveLength(100);
    },
  );

  test("SIGHUP is survived", async () => {
    await using server = await ServerProcess.start();
    server.signal("SIGHUP");
    await server.waitForOutput(/SIGHUP: there is nothing to open or read again/);
    await using client = await server.connect();
    expect(await client.request("cols", {})).toEqual({ id: "request 1", collections: [] });
  });
});

describe("the log", () => {
  test("is one JSON object a line with --log-format json, in UTC", async () => {
    await using server = await ServerProcess.start({ args: ["--log-format", "json"] });
    {
      await using _client = await server.connect({ name: 'pump "1"\n\u001b[31m' });
    }
    await server.waitForOutput(/Client disconnected/);
    await server.kill("SIGTERM");
    const events = server.output
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.map(({ message }) => message)).toEqual([
      "Starting",
      expect.stringContaining("Ready: "),
      "Client connected",
      "Client disconnected",
      "Stopping",
      "Stopped",
    ]);
    for (const { time, level } of events) {
      expect(new Date(time).toISOString()).toBe(time);
      expect(level).toBe("info");
    }
    expect(events[1]).toMatchObject({ port: server.port, collections: 0, documents: 0, records: 0 });
    expect(events[2]).toMatchObject({ ip: "127.0.0.1", name: 'pump "1"\n\u001b[31m' });
  });

  test("has checkpoints at debug", async () => {
    using folder = new TemporaryFolder();
    await using server = await ServerProcess.start({
      args: ["--data", folder.join("data"), "--flush-interval", "0.05", "--log-level", "debug"],
    });
    await using client = await server.connect();
    await client.request("ins", [{ ts: 1, doc: "d", col: "c", data: "x" }]);
    await server.waitForOutput(/ debug Checkpoint collections=1 chunks=1 ms=[0-9]+\n/);
  });

  test("never holds a key", async () => {
    await using server = await ServerProcess.start({ args: ["--log-level", "debug"] });
    await using client = await server.connect();
    await client.request("keys", { action: "add", key: "the-added-key", scope: "readonly" });
    await expect(TestClient.connect(server.url, { key: "a-wrong-key" })).rejects.toThrow("closed");
    await server.kill("SIGTERM");
    expect(server.output).toContain("Connection refused");
    for (const key of [SECRET_KEY, "the-added-key", "a-wrong-key"]) expect(server.output).not.toContain(key);
  });
});

/** A port that nobody listens on just now. */
function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
}
