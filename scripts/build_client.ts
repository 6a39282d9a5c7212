/**
 * Builds what the npm package holds: the client as one ESM file, and its types.
 *
 *   npm run build                         this, and the executable
 *   npm pack                              this, and the package
 *
 * Of the declarations only those are kept that the package's entry leads to, so that a user's compiler sees nothing of
 * the server and of what it is made with.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";

const ROOT = join(import.meta.dir, "..");
const ENTRY = "client/package_entry";
const OUTPUT = join(ROOT, "dist", "client");
const COMPILER =
  "x --no-install tsc -p tsconfig.json --noEmit false --declaration --emitDeclarationOnly".split(" ");
const SCRIPT = "fluxiondb.js";

export async function buildClient(): Promise<void> {
  rmSync(OUTPUT, { recursive: true, force: true });
  mkdirSync(OUTPUT, { recursive: true });
  await writeScript();
  writeTypes();
  console.log(`${relative(ROOT, OUTPUT)} (the npm package's content)`);
}

async function writeScript(): Promise<void> {
  const result = await Bun.build({
    entrypoints: [join(ROOT, "src", `${ENTRY}.ts`)],
    // Nothing in it is of Node.js or Bun alone.
    target: "browser",
    format: "esm",
    // Readable in a debugger; who bundles it makes it smaller.
    minify: false,
    throw: false,
  });
  const [output] = result.outputs;
  if (!result.success || output === undefined) {
    for (const log of result.logs) console.error(String(log));
    throw new Error("Cannot build the client");
  }
  await Bun.write(join(OUTPUT, SCRIPT), output);
}

function writeTypes(): void {
  const folder = mkdtempSync(join(tmpdir(), "fluxiondb-types-"));
  try {
    const { exitCode, stdout } = Bun.spawnSync(
      [process.execPath, ...COMPILER, "--outDir", folder, "--rootDir", ROOT],
      { cwd: ROOT },
    );
    if (exitCode !== 0) throw new Error(`Cannot write the client's types: ${stdout.toString()}`);
    copyDeclarations(join(folder, "src"), ENTRY, new Set());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const RELATIVE_IMPORT = /(from |import\()"(\.{1,2}\/[^"]+)\.ts"/g;

/** Copies a declaration file and all that it imports. */
function copyDeclarations(folder: string, file: string, done: Set<string>): void {
  if (done.has(file)) return;
  done.add(file);
  const text = readFileSync(join(folder, `${file}.d.ts`), "utf8");
  const target = join(OUTPUT, "types", `${file}.d.ts`);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text.replaceAll(RELATIVE_IMPORT, '$1"$2.js"'));
  for (const [, , path] of text.matchAll(RELATIVE_IMPORT)) {
    copyDeclarations(folder, join(dirname(file), path as string), done);
  }
}

if (import.meta.main) await buildClient();
