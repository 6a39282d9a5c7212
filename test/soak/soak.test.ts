/**
 * One round of the soak, which `npm run soak` repeats with one seed after another; without a seed there is nothing to do.
 */
import { describe, test } from "bun:test";
import fc from "fast-check";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { DURABILITIES } from "../../src/storage/storage.ts";
import { runCrashRounds } from "../e2e/crash_round.ts";
import { runFuzzRound } from "../e2e/fuzz_round.ts";
import { whyNoLibrary } from "../e2e/power_cut/recording.ts";
import { runPowerCuts } from "../e2e/power_cut/round.ts";
import { command } from "../engine/commands.ts";
import { AT_ONCE, compareWhole, runCommand, SMALL_CHUNKS } from "../engine/harness.ts";
import { ModelDatabase } from "../engine/model.ts";
import { runSteps, step } from "../storage/steps.ts";

const SEED = process.env.FLUXIONDB_SOAK_SEED;
const seed = Number(SEED);
const TIMEOUT_MS = 600_000;

describe.skipIf(SEED === undefined)("soak", () => {
  test(
    "model: long runs of random commands leave the same database as a sorted map",
    () => {
      fc.assert(
        fc.property(fc.array(command, { minLength: 1, maxLength: 400 }), (commands) => {
          const database = new MemoryDatabase({ chunks: SMALL_CHUNKS, longWork: AT_ONCE });
          const model = new ModelDatabase();
          for (const each of commands) runCommand(each, database, model);
          compareWhole(database, model);
        }),
        { seed, numRuns: 2000 },
      );
    },
    TIMEOUT_MS,
  );

  test(
    "storage: after any restarts, crashes and checkpoints the database is what the model is",
    async () => {
      const steps = fc.array(step, { minLength: 2, maxLength: 40 });
      const durability = fc.constantFrom("everysec" as const, "always" as const);
      await fc.assert(fc.asyncProperty(steps, durability, runSteps), { seed, numRuns: 60 });
    },
    TIMEOUT_MS,
  );

  test(
    "fuzz: frames that are nearly right are answered, and cost nobody else anything",
    async () => {
      await runFuzzRound({ seed, runs: 5000 });
    },
    TIMEOUT_MS,
  );

  test.skipIf(whyNoLibrary() !== undefined).each([...DURABILITIES])(
    "power cut: with durability %s it takes nothing that was promised",
    async (durability) => {
      await runPowerCuts({ durability, seed, recordings: 4, cutsARecording: 8 });
    },
    TIMEOUT_MS,
  );

  test.each([...DURABILITIES])(
    "crash: with durability %s a killed server keeps its promise",
    async (durability) => {
      await runCrashRounds(durability, { seed, rounds: 15 });
    },
    TIMEOUT_MS,
  );
});
