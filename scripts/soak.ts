/**
 * Random tests until told to stop: the model test, restarts and crashes of the storage, kill -9 under load, power cuts,
 * frames that are nearly right, in turn.
 *
 *   npm run soak                                   until Ctrl-C
 *   npm run soak -- --minutes 30
 *   npm run soak -- --seed 42 --only crash         one round again, as a failure says
 *
 * Each round is `bun test` on a part of test/soak with a seed of its own, in a group of processes of its own: a runtime
 * that dies is a failure like any other, and none of a round's servers outlives the soak.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";

const ROOT = join(import.meta.dir, "..");
const PARTS = ["model", "storage", "crash", "power cut", "fuzz"] as const;
type Part = (typeof PARTS)[number];
type Round = { readonly part: Part; readonly seed: number };

/** The terminal is closed, Ctrl-C, and what a supervisor sends. */
const STOP_SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"] as const;
const EXIT_FAILED = 1;
const SEED_MAX = 2 ** 31 - 1;
/** The processes of a round that was stopped may still be making files. */
const REMOVE_RETRIES_MAX = 10;

type SoakOptions = { readonly seed?: number; readonly only?: Part; readonly minutes?: number };

async function soak({ seed, only, minutes = Number.POSITIVE_INFINITY }: SoakOptions): Promise<void> {
  const startedAt = performance.now();
  const seconds = (): number => Math.round((performance.now() - startedAt) / 1000);
  const stopping = new AbortController();
  // Again and again: npm and a terminal each pass Ctrl-C on.
  for (const signal of STOP_SIGNALS) process.on(signal, () => stopping.abort());
  const folder = mkdtempSync(join(tmpdir(), "fluxiondb-soak-"));
  let count = 0;
  try {
    for (const round of roundsOf(only === undefined ? PARTS : [only], seed)) {
      const failure = await run(round, { folder, signal: stopping.signal });
      if (stopping.signal.aborted) break;
      count++;
      if (failure !== undefined) {
        report(round, failure);
        process.exitCode = EXIT_FAILED;
        return;
      }
      console.log(`round ${count}: ${round.part}, seed ${round.seed}, ${seconds()} s`);
      if (seconds() >= minutes * 60) break;
    }
    console.log(`${count} rounds in ${seconds()} s, no failure`);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: REMOVE_RETRIES_MAX });
  }
}

/** Without a seed there is no end; with one, a round of each part. */
function* roundsOf(parts: readonly Part[], seed: number | undefined): Generator<Round> {
  do {
    for (const part of parts) yield { part, seed: seed ?? randomSeed() };
  } while (seed === undefined);
}

const randomSeed = (): number => crypto.getRandomValues(new Int32Array(1))[0] as number;

/** Resolves with the output of a round that failed; a signal ends it at once, and then the output means nothing. */
async function run(
  { part, seed }: Round,
  { folder, signal }: { folder: string; signal: AbortSignal },
): Promise<string | undefined> {
  if (signal.aborted) return undefined;
  const child = Bun.spawn([process.execPath, "test", "test/soak", "--test-name-pattern", `${part}:`], {
    cwd: ROOT,
    env: { ...process.env, FLUXIONDB_SOAK_SEED: String(seed), TMPDIR: folder },
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own: Ctrl-C reaches it through this process only, and not as a failure.
    detached: true,
  });
  const end = (): void => killGroup(child.pid);
  signal.addEventListener("abort", end, { once: true });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  signal.removeEventListener("abort", end);
  // Servers of a round that failed.
  end();
  return exitCode === 0 ? undefined : stdout + stderr;
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // Nothing is left of it.
  }
}

function report({ part, seed }: Round, failure: string): void {
  console.error(failure);
  console.error(`The ${part} round failed with seed ${seed}. Once more:\n`);
  const name = part.includes(" ") ? `"${part}"` : part;
  console.error(`  npm run soak -- --seed ${seed} --only ${name}\n`);
  if (part === "crash" || part === "power cut") {
    console.error("The seed decides what is written and for how long; the disk's timing is new each time.");
  }
}

function readSeed(text: string): number {
  const seed = Number(text);
  if (/^-?[0-9]+$/.test(text) && Math.abs(seed) <= SEED_MAX) return seed;
  throw new InvalidArgumentError(`Expected an integer of 32 bits, got "${text}".`);
}

function readMinutes(text: string): number {
  const minutes = Number(text);
  if (/^[0-9]+(\.[0-9]+)?$/.test(text) && minutes > 0) return minutes;
  throw new InvalidArgumentError(`Expected a number above 0, got "${text}".`);
}

await new Command("npm run soak --")
  .description("Run random tests until told to stop (Ctrl-C), or until one fails.")
  .addOption(new Option("--seed <number>", "one round of each part with this seed").argParser(readSeed))
  .addOption(new Option("--only <part>", "rounds of this part only").choices(PARTS))
  .addOption(
    new Option("--minutes <number>", "stop after the round that passes this time").argParser(readMinutes),
  )
  .addHelpText(
    "after",
    "\nExamples:\n  $ npm run soak -- --minutes 30\n  $ npm run soak -- --seed 42 --only crash",
  )
  .action(soak)
  .parseAsync();
