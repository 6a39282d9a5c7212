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
const SOURCE = "src/assembly/records.ts";
export const COMPILED = "src/server/records_code.ts";

/** The text of the file that holds the code. @throws Error with what the compiler says */
export async function compiledText(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "fluxiondb-assembly-"));
  try {
    const file = join(folder, "records.wasm");
    const options = ["-O3", "--enable", "simd", "--runtime", "stub", "--noAssert", "--use", "abort="];
    const compiler = Bun.resolveSync("assemblyscript/bin/asc.js", ROOT);
    const child = Bun.spawn([process.execPath, compiler, SOURCE, ...options, "--outFile", file], {
      cwd: ROOT,
      stderr: "pipe",
    });
    const [code, problem] = await Promise.all([child.exited, child.stderr.text()]);
    if (code !== 0) throw new Error(problem);
    return textOf(readFileSync(file));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function textOf(code: Buffer): string {
  return [
    "/**",
    ` * What ${SOURCE} is compiled to: made by scripts/build_assembly.ts, not to be changed by hand.`,
    " */",
    "export const RECORDS_CODE =",
    `  "${code.toString("base64")}";`,
    "",
  ].join("\n");
}

if (import.meta.main) {
  writeFileSync(join(ROOT, COMPILED), await compiledText());
  console.log(COMPILED);
}
