/**
 * A short round of the fuzzer. `npm run soak` does the same until told to stop.
 */
import { test } from "bun:test";
import { runFuzzRound } from "./fuzz_round.ts";

test("frames that are nearly right are answered, and cost nobody else anything", async () => {
  const seed = crypto.getRandomValues(new Int32Array(1))[0] as number;
  await runFuzzRound({ seed, runs: 150 });
}, 60_000);
