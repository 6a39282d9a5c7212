/**
 * Measures the executable: speed against a yardstick, latency, memory, disk, start, stalls, hostile clients, and growth.
 *
 *   npm run bench                                   all of it, about half an hour
 *   npm run bench -- --section speed --rounds 1     one part of it
 *   npm run bench -- --json > results.jsonl         a line of JSON a row
 *   npm run bench -- --large                        also with 50 million records, for which it takes 12 GB
 *   npm run bench -- --tiny                         all of it in seconds, to see that it works
 *
 * Linux only: what a process uses is read from /proc. Build first; `--binary FILE` takes another executable.
 */
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { measureFootprint } from "./bench/footprint.ts";
import { measureGrowth } from "./bench/growth.ts";
import { measureHostile } from "./bench/hostile.ts";
import type { Setup } from "./bench/setup.ts";
import { measureLone, measureSpeed } from "./bench/speed.ts";
import { measureStalls } from "./bench/stalls.ts";

const SECTIONS: Readonly<Record<string, (setup: Setup) => Promise<void>>> = {
  speed: measureSpeed,
  lone: measureLone,
  footprint: measureFootprint,
  stalls: measureStalls,
  hostile: measureHostile,
  growth: measureGrowth,
};

function readSetup(): { setup: Setup; sections: readonly string[] } {
  const { values } = parseArgs({
    options: {
      section: { type: "string", multiple: true, default: Object.keys(SECTIONS) },
      rounds: { type: "string", default: "3" },
      binary: { type: "string", default: join(import.meta.dir, "..", "dist", "fluxiondb") },
      json: { type: "boolean", default: false },
      tiny: { type: "boolean", default: false },
      large: { type: "boolean", default: false },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--rounds: expected a whole number from 1");
  const unknown = values.section.find((name) => !Object.hasOwn(SECTIONS, name));
  if (unknown !== undefined) {
    throw new Error(`--section: expected ${Object.keys(SECTIONS).join(", ")}, got "${unknown}"`);
  }
  if (!existsSync(values.binary))
    throw new Error(`There is no ${values.binary}: run \`npm run build\` first`);
  return {
    setup: {
      binary: values.binary,
      rounds: values.tiny ? 1 : rounds,
      json: values.json,
      isTiny: values.tiny,
      isLarge: values.large,
    },
    sections: values.section,
  };
}

try {
  if (process.platform !== "linux") throw new Error("The benchmark reads /proc, which is on Linux only");
  const { setup, sections } = readSetup();
  if (!setup.json) console.log(`Bun ${Bun.version}, ${cpus().length} × ${cpus()[0]?.model}`);
  for (const name of sections) await SECTIONS[name]?.(setup);
  process.exit(0);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
