/**
 * The names a command is about, as flags and as words behind it; and commands that have an older name as well.
 *
 *     fluxiondb history sensors room-1          fluxiondb fetch-document --col sensors --doc room-1
 */
import { type Command, Option } from "commander";
import { usageError } from "./command_error.ts";

const NAMES = {
  col: { flags: "--col <collection>", word: "collection", description: "the collection" },
  doc: { flags: "--doc <document>", word: "document", description: "the document" },
  key: { flags: "--key <key>", word: "key", description: "the key" },
  value: { flags: "--value <value>", word: "value", description: "the value" },
} as const;

type NameField = keyof typeof NAMES;
/** `col` has to be given, `doc?` may be. */
export type NameSpec = NameField | `${NameField}?`;
type Given<Spec extends NameSpec> = {
  readonly [Each in Spec as Each extends `${infer Field}?` ? Field : Each]: Each extends `${string}?`
    ? string | undefined
    : string;
};

/** What a command says of itself, under both of its names. */
export type CommandSpec = {
  readonly name: string;
  /** Works as it always has: it prints JSON, on a terminal too. */
  readonly older?: string;
  readonly summary: string;
  readonly group: string;
};

/** Adds a command under its name and, hidden, under its older one. */
export function addCommand(
  program: Command,
  { name, older, summary, group }: CommandSpec,
  build: (command: Command, spelling: { readonly isOlder: boolean }) => void,
): void {
  const described = (command: Command): Command => command.description(summary);
  build(described(program.command(name).helpGroup(group)), { isOlder: false });
  if (older === undefined) return;
  const command = described(program.command(older, { hidden: true }));
  command.addHelpText("after", `\nThe shorter spelling, with a table on a terminal: fluxiondb ${name}\n`);
  build(command, { isOlder: true });
}

/** Adds the names a command takes; `readNames` reads them again. */
export function addNames(command: Command, specs: readonly NameSpec[]): Command {
  for (const spec of specs) {
    const { flags, word, description } = NAMES[fieldOf(spec)];
    command.argument(`[${word}]`).addOption(new Option(flags, description));
  }
  return command;
}

/** @throws CommandError when one is missing, or is given twice */
export function readNames<Spec extends NameSpec>(command: Command, specs: readonly Spec[]): Given<Spec> {
  const words: readonly (string | undefined)[] = command.processedArgs;
  const flags = command.opts();
  // Words stand for what no flag has said, in their order.
  const open = specs.filter((spec) => flags[fieldOf(spec)] === undefined);
  const surplus = words.filter((word) => word !== undefined).slice(open.length);
  if (surplus.length > 0) throw usageError(`There is one name too many: ${JSON.stringify(surplus[0])}`);
  const names: Record<string, string | undefined> = {};
  for (const spec of specs) {
    const field = fieldOf(spec);
    names[field] = flags[field] ?? words[open.indexOf(spec)];
    if (names[field] !== undefined || spec.endsWith("?")) continue;
    throw usageError(`Give the ${NAMES[field].word}: ${NAMES[field].flags}`);
  }
  return names as Given<Spec>;
}

const fieldOf = (spec: NameSpec): NameField => spec.replace("?", "") as NameField;
