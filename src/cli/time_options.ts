/**
 * Options that are times, and the unit they are in.
 */
import { type Command, Option } from "commander";
import { oneOf } from "./option_value.ts";
import { type Clock, readTime, TIME_UNITS, type TimeUnit } from "./time_value.ts";

export type Times = {
  /** A time that was given; undefined for one that was not. */
  of(name: string): bigint | undefined;
  readonly now: bigint;
  /** That was given, for showing times by the calendar. */
  readonly unit: TimeUnit | undefined;
};

/** `names` to what is said of them. */
export function addTimes(command: Command, names: Readonly<Record<string, string>>): Command {
  for (const [name, description] of Object.entries(names)) {
    command.addOption(new Option(`--${name} <time>`, description));
  }
  return command.addOption(
    new Option(
      "--unit <unit>",
      `${TIME_UNITS.join("|")}: the unit of the records' times (default: s)`,
    ).argParser((text) => oneOf(TIME_UNITS)(text, "--unit")),
  );
}

export function readTimes(command: Command): Times {
  const values = command.opts();
  const unit: TimeUnit | undefined = values.unit;
  const clock: Clock = { unit: unit ?? "s", nowMs: Date.now() };
  return {
    unit,
    now: readTime("now", "now", clock),
    of: (name) => (values[name] === undefined ? undefined : readTime(values[name], `--${name}`, clock)),
  };
}
