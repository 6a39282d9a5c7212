/**
 * Compiles src/assembly to WebAssembly, and writes it as text that is imported like any other source.
 *
 *   npm run assembly
 *
 * To be called after a change there. What it writes is committed, so that nothing has to be built to run from source; a
 * test tells when it is out of date.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
/** One with vectors, for engines that have them, and one without. */
export const MODULES = [
  {
    source: "src/assembly/frame.ts",
    compiled: "src/server/frame_code.ts",
    name: "FRAME_CODE",
    features: ["simd"],
  },
  {
    source: "src/assembly/message.ts",
    compiled: "src/server/message_code.ts",
    name: "MESSAGE_CODE",
    features: [],
  },
] as const;
type Module = (typeof MODULES)[number];

/** The text of the file that holds a module's code. @throws Error with what the compiler says */
export async function compiledText({ source, name, features }: Module): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "fluxiondb-assembly-"));
  try {
    const file = join(folder, "module.wasm");
    const options = ["-O3", "--runtime", "stub", "--noAssert", "--use", "abort="];
    for (const feature of features) options.push("--enable", feature);
    const compiler = Bun.resolveSync("assemblyscript/bin/asc.js", ROOT);
    const child = Bun.spawn([process.execPath, compiler, source, ...options, "--outFile", file], {
      cwd: ROOT,
      stderr: "pipe",
    });
    const [code, problem] = await Promise.all([child.exited, child.stderr.text()]);
    if (code !== 0) throw new Error(problem);
    const bytes = readFileSync(file);
    return [
      "/**",
      ` * What ${source} is compiled to: made by scripts/build_assembly.ts, not to be changed by hand.`,
      " */",
      `export const ${name} =`,
      `  "${bytes.toString("base64")}";`,
      "",
    ].join("\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) {
  for (const module of MODULES) {
    writeFileSync(join(ROOT, module.compiled), await compiledText(module));
    console.log(module.compiled);
  }
}
