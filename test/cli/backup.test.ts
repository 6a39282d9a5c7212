import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { readBackup } from "../../src/storage/backup_file.ts";
import { DURABILITIES } from "../../src/storage/storage.ts";
import { type Outcome, runProgram } from "../support/program.ts";
import { SECRET_KEY, ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

const save = (server: ServerProcess, file: string, key = SECRET_KEY): Promise<Outcome> =>
  runProgram(["backup", "--out", file, "--url", server.url], { env: { FLUXIONDB_API_KEY: key } });

const restore = (file: string, data: string): Promise<Outcome> =>
  runProgram(["restore", "--in", file, "--data", data]);

function changed(backup: Buffer, from: string, to: string): Buffer {
  return Buffer.from(backup.toString("latin1").replace(from, to), "latin1");
}

describe("backup and restore", () => {
  test.each([...DURABILITIES])(
    "keep everything, with durability %s",
    async (durability) => {
      using folder = new TemporaryFolder();
      const file = folder.join("all.backup");
      {
        const args = ["--data", folder.join("data"), "--durability", durability];
        await using server = await ServerProcess.start({ args });
        await using client = await server.connect();
        for (const col of ["c", "ü/../x"]) {
          const records = Array.from({ length: 1000 }, (_, ts) => ({
            ts,
            doc: `d${ts % 3}`,
            col,
            data: `v ${ts}`,
          }));
          await client.request("ins", records);
          await client.request("sval", { col, key: "k", value: "v" });
        }
        await client.request("keys", { action: "add", key: "pump", scope: "read_write" });
        const limited = { key: "limited", scope: "readonly", collections: ["c"] };
        await client.request("keys", { action: "add", ...limited });
        const { exitCode, stdout } = await save(server, file);
        expect(exitCode).toBe(0);
        expect(JSON.parse(stdout)).toMatchObject({ file, files: 3, bytes: statSync(file).size });
        expect(statSync(file).mode & 0o777).toBe(0o600);
        expect(readdirSync(folder.join("data")).filter((name) => name.startsWith("snapshot"))).toEqual([]);
        // The server goes on as before.
        await client.request("ins", [{ ts: 5000, doc: "later", col: "c", data: "x" }]);
      }
      const restored = await restore(file, folder.join("restored"));
      expect(restored).toMatchObject({ exitCode: 0 });
      expect(JSON.parse(restored.stdout)).toMatchObject({
        collections: 2,
        documents: 6,
        records: 2000,
        keyValues: 2,
      });
      await using again = await ServerProcess.start({ args: ["--data", folder.join("restored")] });
      await using client = await again.connect({ key: "pump" });
      await using limited = await again.connect({ key: "limited" });
      expect(await limited.request("cols", {})).toMatchObject({ collections: ["c"] });
      const { records } = await client.request("qdoc", { col: "ü/../x", doc: "d1", from: 0, to: 9999 });
      expect(records as unknown[]).toHaveLength(333);
      expect(await client.request("qry", { col: "c", ts: 9999, doc: "later" })).toMatchObject({
        records: {},
      });
    },
    20_000,
  );

  test("are of one moment while clients write, and lose nothing that was answered before", async () => {
    using folder = new TemporaryFolder();
    const file = folder.join("all.backup");
    const args = ["--data", folder.join("data"), "--flush-interval", "0.05"];
    let before = 0;
    {
      await using server = await ServerProcess.start({ args });
      await using writer = await server.connect();
      let ts = 0;
      let isOver = false;
      const writing = (async () => {
        // One record in each of two collections a batch: a backup of one moment has both or none.
        for (; !isOver; ts++) {
          const batch = ["left", "right"].map((col) => ({ ts, doc: "d", col, data: "x".repeat(200) }));
          await writer.request("ins", batch);
        }
      })();
      while (ts < 500) await Bun.sleep(1);
      before = ts;
      expect(await save(server, file)).toMatchObject({ exitCode: 0 });
      isOver = true;
      await writing;
    }
    expect(await restore(file, folder.join("restored"))).toMatchObject({ exitCode: 0 });
    await using again = await ServerProcess.start({ args: ["--data", folder.join("restored")] });
    await using client = await again.connect();
    const [left, right] = await Promise.all(
      ["left", "right"].map((col) => client.request("qdoc", { col, doc: "d", from: 0, to: 1e9 })),
    );
    expect(Object.keys(left?.records ?? []).length).toBeGreaterThanOrEqual(before);
    expect(left?.records).toEqual(right?.records);
  }, 30_000);

  test("are for the master key, and for what is on a disk", async () => {
    using folder = new TemporaryFolder();
    const file = folder.join("x");
    await using server = await ServerProcess.start();
    await using client = await server.connect();
    await client.request("keys", { action: "add", key: "reader", scope: "read_write_delete" });
    for (const [key, exitCode, message] of [
      ["nobody", 3, "Unknown API key"],
      ["reader", 3, "Only the master key may take a backup"],
      [SECRET_KEY, 1, "Data is in memory only: export it instead"],
    ] as const) {
      const outcome = await save(server, file, key);
      expect(outcome).toMatchObject({ exitCode, stdout: "", stderr: expect.stringContaining(message) });
    }
    expect(readdirSync(folder.path)).toEqual([]);
    const gone = await runProgram(["backup", "--out", file, "--url", "ws://127.0.0.1:1", "--api-key", "x"]);
    expect(gone).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("Is the server running?") });
  });
});

describe("a backup that is interrupted", () => {
  test("leaves no file, and no copy with the server", async () => {
    using folder = new TemporaryFolder();
    const file = folder.join("all.backup");
    const data = folder.join("data");
    await using server = await ServerProcess.start({ args: ["--data", data] });
    await using client = await server.connect();
    const text = Array.from({ length: 2000 }, (_, at) => Bun.hash(String(at)).toString(36)).join("");
    for (let ts = 0; ts < 200; ts++) {
      await client.request("ins", [{ ts, doc: "d", col: "c", data: `${Bun.hash(String(ts))}${text}` }]);
    }
    using network = new CutNetwork(server.port, 200_000);
    const outcome = await runProgram([
      "backup",
      "--out",
      file,
      "--url",
      network.url,
      "--api-key",
      SECRET_KEY,
    ]);
    expect(outcome).toMatchObject({
      exitCode: 1,
      stdout: "",
      stderr: expect.stringContaining("broke before the backup's end"),
    });
    expect(readdirSync(folder.path)).toEqual(["data"]);
    await server.waitForOutput(/Backup given up by its client/);
    expect(readdirSync(data).filter((name) => name.startsWith("snapshot"))).toEqual([]);
    expect(await save(server, file)).toMatchObject({ exitCode: 0 });
  }, 20_000);

  test("is so when its file cannot be written, which is noticed at once", async () => {
    using folder = new TemporaryFolder();
    await using server = await ServerProcess.start({ args: ["--data", folder.join("data")] });
    const { exitCode, stderr } = await save(server, folder.join("none", "x"));
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^fluxiondb: .*none\/x.partial: there is no such file or folder/);
    expect(await save(server, folder.path)).toMatchObject({
      exitCode: 1,
      stderr: `fluxiondb: ${folder.path} is a folder. Give the name of a file in it\n`,
    });
    expect(server.output).not.toContain("Backup");
  });
});

/** A way to a server that breaks when so many bytes have come back. */
class CutNetwork implements Disposable {
  readonly #listener: Bun.TCPSocketListener<{ to?: Bun.Socket }>;

  constructor(port: number, bytesMax: number) {
    this.#listener = Bun.listen<{ to?: Bun.Socket }>({
      hostname: "127.0.0.1",
      port: 0,
      data: {},
      socket: {
        async open(near) {
          let left = bytesMax;
          const data = (_far: Bun.Socket, bytes: Buffer): void => {
            near.write(bytes.subarray(0, left));
            left -= bytes.length;
            if (left > 0) return;
            near.terminate();
            near.data.to?.terminate();
          };
          near.pause();
          near.data = { to: await Bun.connect({ hostname: "127.0.0.1", port, socket: { data } }) };
          near.resume();
        },
        data(near, bytes) {
          near.data.to?.write(bytes);
        },
        close(near) {
          near.data.to?.terminate();
        },
      },
    });
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#listener.port}`;
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true);
  }
}

describe("restore", () => {
  test("fills an empty directory that is there, and no other", async () => {
    using folder = new TemporaryFolder();
    const file = folder.join("all.backup");
    await using server = await ServerProcess.start({ args: ["--data", folder.join("data")] });
    await save(server, file);
    mkdirSync(folder.join("empty"), { mode: 0o750 });
    expect(await restore(file, folder.join("empty"))).toMatchObject({ exitCode: 0 });
    // Its owner and mode are somebody's decision.
    expect(statSync(folder.join("empty")).mode & 0o777).toBe(0o750);
    expect(readdirSync(folder.join("empty"))).not.toContain("restoring");
    const before = readdirSync(folder.join("empty"));
    expect(await restore(file, folder.join("empty"))).toMatchObject({ exitCode: 1 });
    expect(readdirSync(folder.join("empty"))).toEqual(before);
  });

  test("refuses what is damaged, and a directory that is in use", async () => {
    using folder = new TemporaryFolder();
    const file = folder.join("all.backup");
    {
      await using server = await ServerProcess.start({ args: ["--data", folder.join("data")] });
      await using client = await server.connect();
      await client.request("ins", [{ ts: 1, doc: "d", col: "c", data: "x" }]);
      await save(server, file);
    }
    const whole = readFileSync(file);
    const broken = folder.join("broken");
    const target = folder.join("target");
    const inTheMiddle = Buffer.from(whole);
    inTheMiddle[whole.length >> 1] = (inTheMiddle[whole.length >> 1] as number) ^ 1;
    for (const [bytes, message] of [
      [whole.subarray(0, -1), "its end is missing"],
      [whole.subarray(0, whole.length >> 1), "its end is missing"],
      [Buffer.alloc(0), "its end is missing"],
      [Buffer.from("hello\n"), "it is none"],
      [inTheMiddle, "is not as it was when it was saved"],
      [changed(whole, "catalog.db", "../log.db"), "is no file of a backup"],
      [changed(whole, '"version":2', '"version":9'), "has format 9"],
      [changed(whole, '"takenAt":"2', '"takenAt":"1'), "it is not as it was when it was saved"],
      [changed(whole, '"version":2', '"version":1'), "it is not as it was when it was saved"],
      [changed(whole, "collections/c.db", "collections/b.db"), "it is not as it was when it was saved"],
    ] as const) {
      writeFileSync(broken, bytes);
      const outcome = await restore(broken, target);
      expect(outcome).toMatchObject({ exitCode: 1, stdout: "", stderr: expect.stringContaining(message) });
    }
    expect(readdirSync(folder.path).sort()).toEqual(["all.backup", "broken", "data"]);
    expect(await restore(file, folder.join("data"))).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("holds something"),
    });
    expect((await readBackup(Bun.file(file).stream())).files).toBe(2);
    // One from before the journal was in files.
    const older = changed(whole, '"version":2', '"version":1').toString("latin1");
    writeFileSync(broken, Buffer.from(older.replace(/,"sha256":"\w+"\}\n$/, "}\n"), "latin1"));
    expect((await readBackup(Bun.file(broken).stream())).files).toBe(2);
  }, 20_000);
});
