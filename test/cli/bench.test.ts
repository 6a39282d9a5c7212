import { expect, test } from "bun:test";
import { runProgram } from "../support/program.ts";
import { SECRET_KEY, ServerProcess } from "../support/server_process.ts";

const SMALL = ["--records", "600", "--documents", "12", "--collections", "3", "--percent", "1"];

async function bench(server: ServerProcess, ...args: string[]): ReturnType<typeof runProgram> {
  return runProgram(["bench", "--url", server.url, "--api-key", SECRET_KEY, ...SMALL, ...args]);
}

test("bench measures every workload, and leaves nothing behind", async () => {
  await using server = await ServerProcess.start();
  const { exitCode, stdout, stderr } = await bench(
    server,
    "--json",
    "--data-kind",
    "text",
    "--order",
    "random",
  );
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  const rows = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(rows).toHaveLength(15);
  expect(rows[0]).toMatchObject({ name: "ins_batch100", units: 600 });
  for (const row of rows) expect(row.unitsPerSecond).toBeGreaterThan(0);
  await using client = await server.connect();
  expect(await client.request("cols", {})).toMatchObject({ collections: [] });
}, 30_000);

test("bench prints a table, takes some of the workloads, and keeps its data when asked to", async () => {
  await using server = await ServerProcess.start();
  const kept = await bench(server, "--only", "ins_batch100,qdoc_all", "--keep");
  expect({ exitCode: kept.exitCode, stderr: kept.stderr }).toEqual({ exitCode: 0, stderr: "" });
  const lines = kept.stdout.trim().split("\n");
  expect(lines[0]).toMatch(
    /^workload +units +units\/s +units\/CPU s +p50 ms +p99 ms +max ms +replies MB +RSS MB$/,
  );
  expect(lines.slice(1).map((line) => line.split(/ +/)[0])).toEqual(["ins_batch100", "qdoc_all"]);

  const again = await bench(server);
  expect(again.exitCode).toBe(1);
  expect(again.stderr).toContain(
    "The server has fluxiondb-bench, fluxiondb-bench-1, fluxiondb-bench-2 from a run with --keep",
  );
  expect((await bench(server, "--only", "qry_all")).exitCode).toBe(0);
  await using client = await server.connect();
  expect((await client.request("cols", {})).collections).toHaveLength(3);
}, 30_000);

test("bench says that an answer is wrong", async () => {
  await using server = await ServerProcess.start();
  const { exitCode, stderr } = await bench(server, "--only", "qry_all");
  expect({ exitCode, stderr }).toEqual({
    exitCode: 1,
    stderr: "fluxiondb: Wrong answer: the number of documents should be 4, and is 0\n",
  });
});

test("bench explains what keeps it from measuring", async () => {
  await using server = await ServerProcess.start();
  const wrongKey = await runProgram(["bench", "--url", server.url, "--api-key", "wrong"]);
  expect(wrongKey).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("401 Unauthorized, Unknown API key"),
  });
  const { url } = server;
  await server.kill();
  const nobody = await runProgram(["bench", "--url", url, "--api-key", "k"]);
  expect(nobody).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("Nothing answers on 127.0.0.1:"),
  });
});

test.each([
  [
    ["--api-key", "k", "--url", "ftp://x"],
    '--url: expected an address such as ws://127.0.0.1:8080, got "ftp://x"',
  ],
  [["--api-key", "k", "--only", "nonsense"], "--only: expected ins_batch100, "],
  [["--api-key", "k", "--records", "5"], "--documents: expected no more than --records"],
  [[], "Give an API key: --api-key-file FILE"],
])("bench refuses %p", async (args, message) => {
  const { exitCode, stderr } = await runProgram(["bench", ...args]);
  expect(stderr).toContain(message);
  expect(exitCode).toBe(2);
});
