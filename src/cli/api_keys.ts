/**
 * API keys: `fluxiondb keys`, `add-key` and `remove-key`. They need the master key.
 */
import { randomBytes } from "node:crypto";
import { type Command, Option } from "commander";
import type { FluxionDB } from "../client/fluxiondb.ts";
import { readScope, type Scope } from "../protocol/scope.ts";
import { addClientOptions, readKeyFile, withClient } from "./client_options.ts";
import { usageError } from "./command_error.ts";
import { GROUP_KEYS } from "./command_group.ts";
import { addCommand } from "./command_names.ts";
import { confirm } from "./confirmation.ts";
import { addYes } from "./deletion.ts";
import { writeDone } from "./done.ts";
import { addLimitOptions, limitColumns, readLimitOptions } from "./key_limits.ts";
import { writeResult } from "./result.ts";

const MADE_KEY_BYTES = 20;

export function addKeyCommands(program: Command): void {
  addKeys(program);
  addAddKey(program);
  addRemoveKey(program);
}

function addKeys(program: Command): void {
  addCommand(program, { name: "keys", summary: "List the API keys", group: GROUP_KEYS }, (command) => {
    addClientOptions(command)
      .addHelpText("after", "\nExample:\n  fluxiondb keys --api-key-file data/secret.key\n")
      .action(() =>
        withClient(command, async (client, signal) => {
          const keys = await client.apiKeys({ signal });
          const limits = limitColumns(keys);
          const rows = () =>
            keys.map((each) => [
              each.key,
              each.deletable ? each.scope : "master key",
              ...limits.map(({ cell }) => cell(each)),
            ]);
          const table = () => ({ head: ["key", "scope", ...limits.map(({ head }) => head)], rows: rows() });
          writeResult(keys, table, { json: command.opts().json === true });
        }),
      );
  });
}

const ADD_HELP = `
Scopes: readonly, read_write, read_write_delete. A key that is there already gets the new scope, at once.
Without --key and --key-file one is made, and shown this once. With --key, \`ps\` shows it to all users of this machine.

Limits: a key that has expired is refused, and whoever is connected with it is closed. One that is limited to
collections can do nothing to others and does not learn of them. Of a key that is there already, limits that are not
given stay as they are, and so does its scope where only limits are: --expires never and --all-collections lift them.

Examples:
  fluxiondb add-key --scope read_write
  fluxiondb add-key --key-file pump.key --scope readonly
  fluxiondb add-key --scope read_write --expires 30d --collections pumps,/^site-7-/
`;

function addAddKey(program: Command): void {
  const summary = "Add an API key, or change one's scope and limits";
  addCommand(program, { name: "add-key", summary, group: GROUP_KEYS }, (command) => {
    addLimitOptions(
      addKeyOptions(command).addOption(
        new Option(
          "--scope <scope>",
          "what it may do (default: readonly, or as it is where only limits change)",
        ).argParser(scopeOf),
      ),
    );
    addClientOptions(command)
      .addHelpText("after", ADD_HELP)
      .action(async () => {
        const given = readKey(command);
        const limits = readLimitOptions(command, Date.now());
        const key = given ?? randomBytes(MADE_KEY_BYTES).toString("hex");
        await withClient(command, async (client, signal) => {
          const known = Object.keys(limits).length > 0 ? await scopeOfKey(client, given, signal) : undefined;
          const wanted = command.opts().scope ?? known ?? "readonly";
          const held = await client.putApiKey(key, wanted, { ...limits, signal });
          const { scope, expiresAt, collections } = held;
          const made = given === undefined ? { key } : {};
          const members = { id: crypto.randomUUID(), ...made };
          const sentence = `Added a key with the scope ${scope}${given === undefined ? `: ${key}` : ""}`;
          const added = { ...held, key, deletable: true };
          const shown = limitColumns([added]).map(({ head, cell }) => `${head} ${cell(added)}`);
          // In the order of the older tool, which knows of no limits.
          const last = {
            scope,
            ...(expiresAt !== undefined && { expiresAt }),
            ...(collections !== undefined && { collections }),
          };
          writeDone([sentence, ...shown].join(", "), { json: true, members, last });
        });
      });
  });
}

function addRemoveKey(program: Command): void {
  const summary = "Remove an API key, and disconnect whoever uses it";
  addCommand(program, { name: "remove-key", summary, group: GROUP_KEYS }, (command) => {
    addYes(addKeyOptions(command));
    addClientOptions(command)
      .addHelpText("after", "\nExample:\n  fluxiondb remove-key --key-file pump.key\n")
      .action(async () => {
        const key = readKey(command);
        if (key === undefined) throw usageError("Give the key: --key <key>, or --key-file <file>");
        await withClient(command, async (client, signal) => {
          const isYes = command.opts().yes === true;
          await confirm("Remove this API key, and disconnect whoever uses it?", { isYes, signal });
          await client.removeApiKey(key, { signal });
          writeDone("Removed the key", { json: true, members: { id: crypto.randomUUID() } });
        });
      });
  });
}

const addKeyOptions = (command: Command): Command =>
  command
    .addOption(new Option("--key <key>", "the API key"))
    .addOption(new Option("--key-file <file>", "a file that holds it"));

function readKey(command: Command): string | undefined {
  const { key, keyFile } = command.opts();
  if (key !== undefined && keyFile !== undefined) throw usageError("Give --key or --key-file, not both");
  return keyFile === undefined ? key : readKeyFile(keyFile, "--key-file");
}

/** Of a key that is there already. */
async function scopeOfKey(
  client: FluxionDB,
  key: string | undefined,
  signal: AbortSignal,
): Promise<Scope | undefined> {
  if (key === undefined) return undefined;
  return (await client.apiKeys({ signal })).find((each) => each.key === key)?.scope;
}

function scopeOf(text: string): Scope {
  const scope = readScope(text);
  if (scope !== undefined) return scope;
  throw usageError(
    `--scope: expected readonly, read_write or read_write_delete, got ${JSON.stringify(text)}`,
  );
}
