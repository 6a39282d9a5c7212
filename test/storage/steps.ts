/**
 * Random steps in a database's life on disk: commands, checkpoints, crashes and restarts, held against the model.
 */
import fc from "fast-check";
import type { Durability } from "../../src/storage/storage.ts";
import { command, type ModelCommand } from "../engine/commands.ts";
import { compareWhole, runCommand } from "../engine/harness.ts";
import { ModelDatabase } from "../engine/model.ts";
import { World } from "./world.ts";

export type Step =
  | { type: "checkpoint" | "start checkpoint" | "crash" | "restart" }
  | { type: "commands"; commands: ModelCommand[] };

export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .array(command, { minLength: 1, maxLength: 8 })
      .map((commands) => ({ type: "commands" as const, commands })),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom({ type: "checkpoint" as const }, { type: "start checkpoint" as const }),
  },
  { weight: 2, arbitrary: fc.constantFrom({ type: "crash" as const }, { type: "restart" as const }) },
);

/** Resolves when all of them are committed. */
export async function runCommands(
  world: World,
  model: ModelDatabase,
  commands: readonly ModelCommand[],
): Promise<void> {
  // Groups are committed in order: when the last command is, all are.
  let last: Promise<void> | undefined;
  try {
    for (const each of commands) last = runCommand(each, world.database, model) ?? last;
  } catch (error) {
    // Nobody waits for those before it then, and their failure must not hide this one.
    last?.catch(() => {});
    throw error;
  }
  await last;
}

/** After each crash and restart, and at the end, the database is what the model is. */
export async function runSteps(steps: readonly Step[], durability: Durability = "everysec"): Promise<void> {
  await using world = await World.open(durability);
  const model = new ModelDatabase();
  let checkpoint: Promise<unknown> | undefined;
  const startCheckpoint = (): Promise<unknown> =>
    world.database
      .checkpoint()
      // A crash in the middle of it is what this is for.
      .catch(() => {})
      .finally(() => {
        checkpoint = undefined;
      });
  for (const each of [...steps, { type: "crash" } as const]) {
    if (each.type === "commands") await runCommands(world, model, each.commands);
    else if (each.type === "start checkpoint") checkpoint ??= startCheckpoint();
    else if (each.type === "checkpoint") await (checkpoint ?? world.database.checkpoint());
    else {
      if (each.type === "crash") await world.crash();
      await checkpoint;
      if (each.type === "restart") await world.close();
      await world.open();
      compareWhole(world.database, model);
    }
  }
}
