/**
 * The rules of the source that no compiler checks. Each rule names its offenders, and is shown to find a made-up one.
 */
import { describe, expect, test } from "bun:test";
import {
  codeOf,
  findCycle,
  importsOf,
  layerOf,
  readSourceFiles,
  type SourceFile,
} from "./support/source_tree.ts";

/** Which folders a folder may import. */
const DIRECTION: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  threads: [],
  assembly: [],
  storage: ["threads", "protocol"],
  engine: ["storage", "threads", "protocol"],
  server: ["engine", "storage", "threads", "protocol"],
  client: ["protocol"],
  archive: ["client", "protocol"],
  bench: [],
  dashboard: ["client", "protocol"],
  cli: ["dashboard", "archive", "client", "bench", "server", "engine", "storage", "protocol"],
};
const LINES_MAX = 400;
/** The version is read from package.json. */
const MAY_LEAVE_SOURCE = "cli";

const OUTER_WORLD: readonly (readonly [name: string, pattern: RegExp])[] = [
  ["Bun's server", /\bBun\.(?:serve|listen|connect)\b/],
  ["the file system", /["'](?:node:)?fs(?:\/promises)?["']|\bBun\.(?:file|write)\b/],
  ["the environment", /\bprocess\.env\b|\bBun\.env\b|\bimport\.meta\.env\b/],
];
const [, , [, ENVIRONMENT]] = OUTER_WORLD as [unknown, unknown, readonly [string, RegExp]];

function againstDirection(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const from = layerOf(file.path) ?? "";
    const allowed = DIRECTION[from];
    if (allowed === undefined) return [`${file.path} is in no known layer`];
    return importsOf(file)
      .filter((target) => /^(?:src|\.\.|test|scripts)\/|\.json$/.test(target))
      .filter((target) => {
        const to = layerOf(target);
        return to === undefined ? from !== MAY_LEAVE_SOURCE : to !== from && !allowed.includes(to);
      })
      .map((target) => `${file.path} imports ${target}`);
  });
}

function fileCycle(files: readonly SourceFile[]): string | undefined {
  return findCycle(new Map(files.map((file) => [file.path, importsOf(file)])))?.join(" -> ");
}

function folderCycle(files: readonly SourceFile[]): string | undefined {
  const graph = new Map<string, string[]>();
  for (const file of files) {
    const from = layerOf(file.path) ?? "";
    const to = importsOf(file).map(layerOf);
    const others = to.filter((layer) => layer !== undefined && layer !== from) as string[];
    graph.set(from, [...(graph.get(from) ?? []), ...others]);
  }
  return findCycle(graph)?.join(" -> ");
}

function defaultExports(files: readonly SourceFile[]): string[] {
  const isDefault = /\bexport\s+default\b|\bexport\s*\{[^}]*\bas\s+default\b/;
  return files.filter((file) => isDefault.test(codeOf(file))).map(({ path }) => path);
}

function reachingOut(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => ["engine", "protocol"].includes(layerOf(path) ?? ""))
    .flatMap((file) =>
      OUTER_WORLD.filter(([, pattern]) => pattern.test(codeOf(file))).map(
        ([name]) => `${file.path} reaches ${name}`,
      ),
    );
}

function readingEnvironment(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) => layerOf(file.path) !== "cli" && ENVIRONMENT.test(codeOf(file)))
    .map(({ path }) => path);
}

function withoutHeader(files: readonly SourceFile[]): string[] {
  return files.filter(({ text }) => !text.startsWith("/**\n")).map(({ path }) => path);
}

function tooLong(files: readonly SourceFile[]): string[] {
  return files
    .map(({ path, text }) => ({ path, lines: text.trimEnd().split("\n").length }))
    .filter(({ lines }) => lines > LINES_MAX)
    .map(({ path, lines }) => `${path} has ${lines} lines`);
}

const file = (path: string, text: string): SourceFile => ({ path, text });

describe("architecture", () => {
  const source = readSourceFiles("src");
  const all = [...source, ...readSourceFiles("test"), ...readSourceFiles("scripts")];

  test("there is something to check", () => {
    expect(source.map(({ path }) => path)).toContain("src/protocol/messages.ts");
    expect(importsOf(file("src/a/b.ts", 'import { x } from "../c/d.ts"; export * from "node:fs";'))).toEqual([
      "src/c/d.ts",
      "node:fs",
    ]);
  });

  test("imports point down", () => {
    expect(againstDirection(source)).toEqual([]);
    expect(
      againstDirection([
        file("src/protocol/a.ts", 'import { b } from "../engine/b.ts";'),
        file("src/storage/a.ts", 'import type { b } from "../engine/b.ts";'),
        file("src/server/a.ts", 'import { b } from "../engine/b.ts";\nimport c from "../../package.json";'),
        file("src/client/a.ts", 'export { b } from "../server/b.ts";'),
        file("src/dashboard/a.ts", 'const b = await import("../engine/b.ts");'),
        file("src/cli/a.ts", 'import { b } from "../server/b.ts";\n// import { c } from "../../test/c.ts";'),
        file("src/engine/a.ts", 'import { b } from "../../test/b.ts";'),
        file("src/misc/a.ts", ""),
      ]),
    ).toEqual([
      "src/protocol/a.ts imports src/engine/b.ts",
      "src/storage/a.ts imports src/engine/b.ts",
      "src/server/a.ts imports package.json",
      "src/client/a.ts imports src/server/b.ts",
      "src/dashboard/a.ts imports src/engine/b.ts",
      "src/engine/a.ts imports test/b.ts",
      "src/misc/a.ts is in no known layer",
    ]);
  });

  test("no file imports itself by a detour", () => {
    expect(fileCycle(source)).toBeUndefined();
    expect(
      fileCycle([
        file("src/engine/a.ts", 'import { b } from "./b.ts";'),
        file("src/engine/b.ts", 'import type { c } from "./c.ts";'),
        file("src/engine/c.ts", 'import { b } from "./b.ts";'),
      ]),
    ).toBe("src/engine/b.ts -> src/engine/c.ts -> src/engine/b.ts");
  });

  test("no folder imports itself by a detour", () => {
    expect(folderCycle(source)).toBeUndefined();
    expect(
      folderCycle([
        file("src/engine/a.ts", 'import { b } from "../storage/b.ts";'),
        file("src/storage/c.ts", 'import type { d } from "../engine/d.ts";'),
      ]),
    ).toBe("engine -> storage -> engine");
  });

  test("nothing is exported as default", () => {
    expect(defaultExports(all)).toEqual([]);
    expect(
      defaultExports([
        file("src/cli/a.ts", "export default 1;"),
        file("src/cli/b.ts", "const b = 1;\nexport { b as default };"),
        file("src/cli/c.ts", "// never export default\nexport const c = 1;"),
      ]),
    ).toEqual(["src/cli/a.ts", "src/cli/b.ts"]);
  });

  test("engine and protocol reach neither Bun's server nor the file system nor the environment", () => {
    expect(reachingOut(source)).toEqual([]);
    expect(
      reachingOut([
        file("src/engine/a.ts", "Bun.serve({});"),
        file("src/engine/b.ts", 'import { readFile } from "node:fs/promises";'),
        file("src/protocol/c.ts", "await Bun.write(a, b);"),
        file("src/protocol/d.ts", "const home = process.env.HOME;"),
        file("src/server/e.ts", "Bun.serve({});"),
        file("src/engine/f.ts", "/** Not Bun.serve. */"),
      ]),
    ).toEqual([
      "src/engine/a.ts reaches Bun's server",
      "src/engine/b.ts reaches the file system",
      "src/protocol/c.ts reaches the file system",
      "src/protocol/d.ts reaches the environment",
    ]);
  });

  test("only cli reads the environment", () => {
    expect(readingEnvironment(source)).toEqual([]);
    expect(
      readingEnvironment([
        file("src/storage/a.ts", "process.env.TMP"),
        file("src/server/b.ts", "Bun.env.TMP"),
        file("src/cli/c.ts", "process.env.TMP"),
      ]),
    ).toEqual(["src/storage/a.ts", "src/server/b.ts"]);
  });

  test("each file opens by saying what it is for", () => {
    expect(withoutHeader(source)).toEqual([]);
    expect(
      withoutHeader([
        file("src/cli/a.ts", 'import "x";\n/** Late. */'),
        file("src/cli/b.ts", "/**\n * Good.\n */\n"),
      ]),
    ).toEqual(["src/cli/a.ts"]);
  });

  test(`no file is longer than ${LINES_MAX} lines`, () => {
    expect(tooLong(source)).toEqual([]);
    const lines = (count: number): string => "line\n".repeat(count);
    expect(tooLong([file("src/cli/a.ts", lines(401)), file("src/cli/b.ts", lines(400))])).toEqual([
      "src/cli/a.ts has 401 lines",
    ]);
  });
});
