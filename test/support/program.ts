/**
 * The program under test: the executable named by FLUXIONDB_BINARY, or the source.
 */
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");
const BINARY = process.env.FLUXIONDB_BINARY;

export const PROGRAM: readonly string[] =
  BINARY === undefined ? [process.execPath, join(ROOT, "src/cli/main.ts")] : [resolve(ROOT, BINARY)];

export type Environment = Readonly<Record<string, string>>;

/** This process' environment without the settings that the program reads from it, and with these. */
export function environmentWith(added: Environment): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("FLUXIONDB_"));
  return { ...Object.fromEntries(inherited), NO_COLOR: "1", ...added };
}

export type Outcome = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

/** Runs a command that ends by itself. */
export async function runProgram(
  args: readonly string[],
  { env = {}, cwd = ROOT, input }: { env?: Environment; cwd?: string; input?: string } = {},
): Promise<Outcome> {
  await using child = Bun.spawn([...PROGRAM, ...args], {
    cwd,
    env: environmentWith(env),
    stdio: [input === undefined ? "ignore" : Buffer.from(input), "pipe", "pipe"],
    killSignal: "SIGKILL",
  });
  const [exitCode, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exitCode, stdout, stderr };
}
