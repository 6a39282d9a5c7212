/**
 * Builds the one executable, server, storage threads and all, with the runtime inside; and the client's package.
 *
 *   npm run build                                 dist/fluxiondb, for this machine
 *   npm run build -- --target bun-linux-arm64     dist/fluxiondb-linux-arm64
 */
import { mkdirSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { Command, Option } from "commander";
import packageJson from "../package.json" with { type: "json" };
import { buildClient } from "./build_client.ts";

const ROOT = join(import.meta.dir, "..");
const TARGETS = [
  "bun-linux-x64",
  "bun-linux-arm64",
  "bun-linux-x64-musl",
  "bun-linux-arm64-musl",
  "bun-darwin-x64",
  "bun-darwin-arm64",
  "bun-windows-x64",
  "bun-windows-arm64",
] as const;
type Target = (typeof TARGETS)[number];

/** A thread's code is an entry point of its own; it is found beside the first one, by its path below src. */
const ENTRY_POINTS = [
  "src/cli/main.ts",
  "src/storage/worker.ts",
  "src/engine/pattern_worker.ts",
  "src/server/frame_worker.ts",
];

function git(...args: string[]): string | undefined {
  if (Bun.which("git") === null) return undefined;
  const { success, stdout } = Bun.spawnSync(["git", ...args], { cwd: ROOT, stderr: "ignore" });
  return success ? stdout.toString().trim() : undefined;
}

/** A build without the repository, as in a container, is told. */
function commit(): string {
  const given = process.env.FLUXIONDB_COMMIT;
  if (given) return given;
  const hash = git("rev-parse", "--short", "HEAD");
  if (hash === undefined) return "unknown";
  return git("status", "--porcelain", "--untracked-files=no") ? `${hash}-dirty` : hash;
}

function outputFile(target: Target | undefined): string {
  const suffix = target === undefined ? "" : target.slice("bun".length);
  const isWindows = target?.includes("windows") ?? process.platform === "win32";
  return join(ROOT, "dist", `fluxiondb${suffix}${isWindows ? ".exe" : ""}`);
}

/** Bun fetches the runtime of another machine from the npm registry, once. */
async function build(target: Target | undefined): Promise<void> {
  mkdirSync(join(ROOT, "dist"), { recursive: true });
  const outfile = outputFile(target);
  const result = await Bun.build({
    entrypoints: ENTRY_POINTS.map((file) => join(ROOT, file)),
    root: join(ROOT, "src"),
    compile: {
      outfile,
      ...(target && { target }),
      // What lies in the working directory of a database is none of its business.
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
    minify: true,
    // `--version` answers in 20 ms instead of 48, for 3 MB more.
    bytecode: true,
    format: "esm",
    // Stack traces name the source; the executable holds the maps.
    sourcemap: "linked",
    define: {
      FLUXIONDB_BUILD_VERSION: JSON.stringify(packageJson.version),
      FLUXIONDB_BUILD_SOURCES: JSON.stringify("./"),
      FLUXIONDB_BUILD_COMMIT: JSON.stringify(commit()),
    },
    throw: false,
  });
  if (!result.success) {
    for (const log of result.logs) console.error(String(log));
    const hint =
      target === undefined ? "" : `: can the npm registry be reached for the runtime of ${target}?`;
    console.error(`Cannot build ${relative(ROOT, outfile)}${hint}`);
    process.exit(1);
  }
  for (const { kind, path } of result.outputs) if (kind === "sourcemap") rmSync(path, { force: true });
  console.log(`${relative(ROOT, outfile)} (${(statSync(outfile).size / 1e6).toFixed(0)} MB)`);
}

await new Command("npm run build --")
  .description("Build dist/fluxiondb, one executable, and dist/client, what the npm package holds.")
  .addOption(new Option("--target <target>", "another machine to build for").choices(TARGETS))
  .addHelpText("after", "\nExample:\n  $ npm run build -- --target bun-linux-arm64\n")
  .action(async ({ target }: { target?: Target }) => {
    await build(target);
    await buildClient();
  })
  .parseAsync();
