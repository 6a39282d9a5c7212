/**
 * Checks everything that can be checked from source: types, lint and format, tests.
 *
 *   npm test                              all of it
 *   npm test -- test/engine               only some of the tests; arguments are passed on to `bun test`
 *
 * All three run whatever the others say, so that one run shows all there is to mend.
 */
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");

async function run(name: string, args: readonly string[]): Promise<boolean> {
  console.error(`\n${name}`);
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: ROOT,
    stdio: ["inherit", "inherit", "inherit"],
  });
  const isPassed = (await child.exited) === 0;
  if (!isPassed) console.error(`${name}: failed`);
  return isPassed;
}

const results = [
  await run("Types (tsc)", ["x", "--no-install", "tsc"]),
  await run("Lint and format (biome)", ["x", "--no-install", "biome", "check", "--error-on-warnings"]),
  await run("Tests (bun test)", ["test", ...process.argv.slice(2)]),
];
process.exit(results.every(Boolean) ? 0 : 1);
