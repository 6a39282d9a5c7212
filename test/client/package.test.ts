/**
 * The npm package, packed and installed as a user gets it: in Node.js, in Bun, and to the compiler.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MASTER_KEY, TestServer } from "../server/test_server.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

const ROOT = join(import.meta.dir, "../..");
const folder = new TemporaryFolder();
const modules = join(folder.path, "node_modules");
const installed = join(modules, "fluxiondb");

async function run(command: readonly string[], cwd: string): Promise<string> {
  const child = Bun.spawn([...command], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
  return stdout;
}

beforeAll(async () => {
  await run(["npm", "pack", "--pack-destination", folder.path], ROOT);
  const tarball = readdirSync(folder.path).find((name) => name.endsWith(".tgz")) as string;
  await run(["tar", "-xzf", tarball], folder.path);
  mkdirSync(modules);
  symlinkSync(join(folder.path, "package"), installed);
  for (const name of ["ws", "@types"]) symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  writeFileSync(join(folder.path, "package.json"), '{"type":"module"}');
}, 60_000);

afterAll(() => folder[Symbol.dispose]());

const USE = (imports: string, options: string): string => `
${imports}
import { FluxionDB, FluxionError } from "fluxiondb";
const [url, apiKey] = process.argv.slice(2);
const db = await FluxionDB.connect({ url, apiKey, name: "package" ${options} });
const ns = 1747604423123456789n;
await Promise.all([
  db.insert({ collection: "c", document: "d", ts: 1, data: { t: 20.5 } }),
  db.insert([{ collection: "c", document: "d", ts: ns, data: "é" }]),
]);
const times = [];
for await (const { ts } of db.history("c", "d", { pageRecords: 1 })) times.push(String(ts), typeof ts);
const code = await db.records("c", "d", { where: "/(/" }).catch((error) => error instanceof FluxionError && error.code);
const [{ name }] = await db.connections();
await db.close();
const refused = await FluxionDB.connect({ url, apiKey: "nobody" ${options} }).catch((error) => error.code);
const gone = await FluxionDB.connect({ url: "ws://127.0.0.1:1", apiKey ${options} }).catch((error) => error.code);
console.log(JSON.stringify({ times, code, name, refused, gone }));
`;

const EXPECTED = {
  times: ["1", "number", "1747604423123456789", "bigint"],
  code: "bad_pattern",
  name: "package",
  refused: "unauthorized",
  gone: "connection_failed",
};

describe("the npm package", () => {
  test.each([
    ["node", "ws", 'import WebSocket from "ws";', ", WebSocket"],
    ["bun", "the global WebSocket", "", ""],
  ])("works in %s with %s", async (runtime, _socket, imports, options) => {
    await using server = new TestServer();
    const file = join(folder.path, `${runtime}.mjs`);
    writeFileSync(file, USE(imports, options));
    const command = runtime === "bun" ? process.execPath : runtime;
    const output = await run([command, file, server.url, MASTER_KEY], folder.path);
    expect(JSON.parse(output)).toEqual(EXPECTED);
  });

  test("says what to do where there is no WebSocket", async () => {
    const file = join(folder.path, "without.mjs");
    writeFileSync(
      file,
      'delete globalThis.WebSocket;\nimport { FluxionDB } from "fluxiondb";\n' +
        'try { new FluxionDB({ url: "ws://x", apiKey: "y" }) } catch ({ code, message }) { console.log(code, message) }',
    );
    expect(await run(["node", file], folder.path)).toContain('pass one, { WebSocket } from the package "ws"');
  });

  test("has types that a strict compiler takes, of the client alone", async () => {
    writeFileSync(
      join(folder.path, "typed.ts"),
      `import WebSocket from "ws";
import { FluxionDB, type DataRecord, FluxionError, type ServerStatus, type Timestamp } from "fluxiondb";
await using db = new FluxionDB({ url: "ws://x", apiKey: "y", WebSocket, buffer: { whenFull: "drop_oldest" } });
const records: DataRecord[] = await db.records("c", "d", { from: 1n, to: 2 });
const ts: Timestamp | undefined = records[0]?.ts;
const status: ServerStatus = await db.status({ signal: AbortSignal.timeout(1) });
for await (const page of db.historyPages("c", "d")) page satisfies readonly DataRecord[];
const isKnown = (error: unknown) => error instanceof FluxionError && error.code === "reply_too_large";
// @ts-expect-error a time is no text
await db.insert({ collection: "c", document: "d", ts: "1", data: "x" });
export { isKnown, status, ts };
`,
    );
    const compilerOptions = {
      target: "ESNext",
      module: "NodeNext",
      moduleResolution: "NodeNext",
      lib: ["ESNext", "DOM"],
      types: ["node"],
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
    };
    writeFileSync(
      join(folder.path, "tsconfig.json"),
      JSON.stringify({ compilerOptions, files: ["typed.ts"] }),
    );
    await run([process.execPath, join(ROOT, "node_modules/typescript/bin/tsc"), "-p", "."], folder.path);
    const files = readdirSync(installed, { recursive: true }).map(String);
    expect(files.filter((name) => /server\/|engine|storage|cli\/|messages/.test(name))).toEqual([]);
  });

  test("needs nothing but a WebSocket", () => {
    const { dependencies } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
    expect(dependencies).toBeUndefined();
    const script = readFileSync(join(installed, "dist/client/fluxiondb.js"), "utf8");
    expect(script).not.toMatch(/^import |\brequire\(|\bprocess\.|\bBun\.|\bBuffer\b/m);
  });
});
