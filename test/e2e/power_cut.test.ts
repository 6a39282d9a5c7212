/**
 * Power cuts: after whatever the disk has lost of what was not synced, a server starts and has what was promised.
 */
import { expect, test } from "bun:test";
import { DURABILITIES } from "../../src/storage/storage.ts";
import { whyNoLibrary } from "./power_cut/recording.ts";
import { runPowerCuts } from "./power_cut/round.ts";

const reason = whyNoLibrary();
if (reason !== undefined) console.warn(`Power cuts are not tested: ${reason}`);

test.skipIf(reason !== undefined).each([...DURABILITIES])(
  "with durability %s a power cut takes nothing that was promised",
  async (durability) => {
    const seed = crypto.getRandomValues(new Int32Array(1))[0] as number;
    try {
      const { promised } = await runPowerCuts({ durability, seed, recordings: 2, cutsARecording: 3 });
      // A round in which nothing was promised would show nothing.
      expect(promised).toBeGreaterThan(0);
    } catch (cause) {
      throw new Error(`The promise was broken with seed ${seed}`, { cause });
    }
  },
  60_000,
);
