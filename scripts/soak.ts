/**
 * Random tests until told to stop: the model test, restarts and crashes of the storage, kill -9 under load.
 *
 *   npm run soak                                   until Ctrl-C
 *   npm run soak -- --minutes 30
 *   npm run soak -- --seed 42 --only crash         one round again, as a failure says
 *
 * Each round is `bun test` on test/soak with a seed of its own, so a round that fails can be had again.
 */
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";

const ROOT = join(import.meta.dir, "..");
const PARTS = ["model", "storage", "crash"] as const;
const EXIT_FAILED = 1;

type SoakOptions = { seed?: number; only?: (typeof PARTS)[number]; minutes?: number };

function readNumber(text: string): number {
  if (/^-?[0-9]+(\.[0-9]+)?$/.test(text)) return Number(text);
  throw new InvalidArgumentError(`Expected a number, got "${text}".`);
}

/** Resolves with the output of a round that failed, or undefined. */
async function runRound(seed: number, only: string | undefined): Promise<string | undefined> {
  const filter = only === undefined ? [] : ["--test-name-pattern", `${only}:`];
  const child = Bun.spawn([process.execPath, "test", "test/soak", ...filter], {
    cwd: ROOT,
    env: { ...process.env, FLUXIONDB_SOAK_SEED: String(seed) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return exitCode === 0 ? undefined : stdout + stderr;
}

async function soak({
  seed: onlySeed,
  only,
  minutes = Number.POSITIVE_INFINITY,
}: SoakOptions): Promise<void> {
  const startedAt = performance.now();
  const seconds = (): number => Math.round((performance.now() - startedAt) / 1000);
  let rounds = 0;
  const end = (): never => {
    console.log(`${rounds} rounds in ${seconds()} s, no failure`);
    process.exit(0);
  };
  process.on("SIGINT", end);
  process.on("SIGTERM", end);
  do {
    const seed = onlySeed ?? (crypto.getRandomValues(new Int32Array(1))[0] as number);
    const failure = await runRound(seed, only);
    if (failure !== undefined) {
      console.error(failure);
      console.error(`Round ${rounds + 1} failed with seed ${seed}. Once more:\n`);
      console.error(`  npm run soak -- --seed ${seed}${only === undefined ? "" : ` --only ${only}`}\n`);
      process.exit(EXIT_FAILED);
    }
    rounds++;
    console.log(`round ${rounds}: seed ${seed}, ${seconds()} s`);
  } while (onlySeed === undefined && seconds() < minutes * 60);
  end();
}

await new Command("npm run soak --")
  .description("Run random tests until told to stop, or until one fails.")
  .addOption(new Option("--seed <number>", "run one round with this seed").argParser(readNumber))
  .addOption(new Option("--only <part>", "only one part of each round").choices(PARTS))
  .addOption(new Option("--minutes <number>", "stop by itself after so long").argParser(readNumber))
  .addHelpText("after", "\nExample:\n  $ npm run soak -- --minutes 30\n")
  .action(soak)
  .parseAsync();
