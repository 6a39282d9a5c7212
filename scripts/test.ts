/**
 * Checks everything that can be checked from source: types, lint and format, tests.
 *
 *   npm test                              all of it
 *   npm test -- test/engine               only some of the tests; arguments are passed on to `bun test`
 *
 * All run whatever the others say, so that one run shows all there is to mend. Each folder of tests has a process of its
 * own: the garbage of a million records, and the threads of databases that are left as after a crash, make one of more
 * than a gigabyte, which is more than some machines have beside the servers that later tests start.
 */
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");

/** What `bun test` is called with: the files of the top folder, and each folder in it. */
function testGroups(): string[][] {
  const files = [...new Bun.Glob("test/**/*.test.ts").scanSync({ cwd: ROOT })].sort();
  const isTop = (file: string): boolean => file.split("/").length === 2;
  const folders = new Set(
    files.filter((file) => !isTop(file)).map((file) => file.split("/").slice(0, 2).join("/")),
  );
  // With a slash behind it: `test/cli` would be found in `test/client` too.
  return [files.filter(isTop).map((file) => `./${file}`), ...[...folders].map((folder) => [`${folder}/`])];
}

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

const given = process.argv.slice(2);
const results = [
  await run("Types (tsc)", ["x", "--no-install", "tsc"]),
  await run("Types (tsc) of src/assembly", ["x", "--no-install", "tsc", "-p", "src/assembly"]),
  await run("Lint and format (biome)", ["x", "--no-install", "biome", "check", "--error-on-warnings"]),
];
for (const args of given.length > 0 ? [given] : testGroups()) {
  results.push(await run(`Tests (bun test ${args.join(" ")})`, ["test", ...args]));
}
process.exit(results.every(Boolean) ? 0 : 1);
