/**
 * Key-values: `fluxiondb set`, `get`, `value-keys` and `delete-value`.
 */
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { readPattern } from "../protocol/pattern.ts";
import { addClientOptions, withClient } from "./client_options.ts";
import { CommandError, usageError } from "./command_error.ts";
import { GROUP_VALUES } from "./command_group.ts";
import { addCommand, addNames, readNames } from "./command_names.ts";
import { addYes, confirmDeletion } from "./deletion.ts";
import { writeDone } from "./done.ts";
import { EXIT_NOT_FOUND } from "./exit_code.ts";
import { writeResult } from "./result.ts";

export function addValueCommands(program: Command): void {
  addSet(program);
  addGet(program);
  addValueKeys(program);
  addDeleteValue(program);
}

function addSet(program: Command): void {
  const summary = "Set a key's value";
  addCommand(
    program,
    { name: "set", older: "set-value", summary, group: GROUP_VALUES },
    (command, { isOlder }) => {
      addNames(command, ["col", "key", "value?"]);
      command.addOption(
        new Option("--value-file <file>", "a file that holds the value; - is standard input"),
      );
      addClientOptions(command)
        .addHelpText(
          "after",
          "\nExamples:\n  fluxiondb set sensors unit °C\n  fluxiondb set sensors map --value-file map.json\n",
        )
        .action(async () => {
          const { col, key, value } = readNames(command, ["col", "key", "value?"]);
          if (value !== undefined && command.opts().valueFile !== undefined) {
            throw usageError("Give the value or --value-file, not both");
          }
          const text = value ?? readValueFile(command.opts().valueFile);
          await withClient(command, async (client, signal) => {
            await client.setValue(col, key, text, { signal });
            const json = isOlder || command.opts().json === true;
            writeDone(`Set ${JSON.stringify(key)} in ${JSON.stringify(col)}`, { json });
          });
        });
    },
  );
}

function readValueFile(file: string | undefined): string {
  if (file === undefined) throw usageError("Give the value: --value <value>, or --value-file <file>");
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (cause) {
    throw usageError(`--value-file: cannot read ${file}: ${(cause as Error).message}`);
  }
}

function addGet(program: Command): void {
  const summary = "Show the values of a collection's keys";
  addCommand(
    program,
    { name: "get", older: "get-values", summary, group: GROUP_VALUES },
    (command, { isOlder }) => {
      addNames(command, ["col", "key?"]);
      addClientOptions(command)
        .addHelpText(
          "after",
          "\nWithout a key: all of them; a /pattern/ is some of them.\n\nExamples:\n  fluxiondb get sensors\n  fluxiondb get sensors '/^limit/'\n",
        )
        .action(async () => {
          const { col, key } = readNames(command, ["col", "key?"]);
          await withClient(command, async (client, signal) => {
            const values = await client.values(col, key, { signal });
            // A key that is not there has an empty value, to the protocol and to older scripts.
            const isLiteral = key !== undefined && readPattern(key) === undefined;
            if (!isOlder && isLiteral && (values.get(key) ?? "") === "") {
              const keys = await client.valueKeys(col, { signal });
              if (!keys.includes(key))
                throw notFound(`There is no key ${JSON.stringify(key)} in ${JSON.stringify(col)}`);
            }
            const json = isOlder || command.opts().json === true;
            const table = () => ({ head: ["key", "value"], rows: [...values] });
            writeResult(Object.fromEntries(values), table, { json, empty: "There are no key-values" });
          });
        });
    },
  );
}

function addValueKeys(program: Command): void {
  const summary = "List a collection's keys";
  addCommand(
    program,
    { name: "value-keys", older: "list-keys", summary, group: GROUP_VALUES },
    (command, { isOlder }) => {
      addNames(command, ["col"]);
      addClientOptions(command)
        .addHelpText("after", "\nExample:\n  fluxiondb value-keys sensors\n")
        .action(async () => {
          const { col } = readNames(command, ["col"]);
          await withClient(command, async (client, signal) => {
            const keys = await client.valueKeys(col, { signal });
            const json = isOlder || command.opts().json === true;
            const table = () => ({ head: ["key"], rows: keys.map((key) => [key]) });
            writeResult(keys, table, { json, empty: "There are no key-values" });
          });
        });
    },
  );
}

function addDeleteValue(program: Command): void {
  const summary = "Delete a key and its value";
  addCommand(program, { name: "delete-value", summary, group: GROUP_VALUES }, (command) => {
    addNames(command, ["col", "key"]);
    addYes(command);
    addClientOptions(command)
      .addHelpText("after", "\nExample:\n  fluxiondb delete-value sensors unit\n")
      .action(async () => {
        const { col, key } = readNames(command, ["col", "key"]);
        await withClient(command, async (client, signal) => {
          const what = `the key ${JSON.stringify(key)} of ${JSON.stringify(col)}`;
          await confirmDeletion(command, what, signal);
          await client.deleteValue(col, key, { signal });
          writeDone(`Deleted ${what}`, { json: true });
        });
      });
  });
}

const notFound = (message: string): CommandError => new CommandError(message, { exitCode: EXIT_NOT_FOUND });
