/**
 * `fluxiondb version`.
 */
import { type Command, Option } from "commander";
import { GROUP_SHELL } from "./command_group.ts";
import { addCommand } from "./command_names.ts";
import { writeResult } from "./result.ts";
import { COMMIT, VERSION } from "./version.ts";

export function addVersion(program: Command): void {
  addCommand(
    program,
    { name: "version", summary: "Print the version and the commit", group: GROUP_SHELL },
    (command) => {
      command
        .addOption(new Option("--json", "JSON on a terminal too"))
        .addHelpText("after", "\nExample:\n  fluxiondb version --json | jq -r .version\n")
        .action(() => {
          const version = { version: VERSION, commit: COMMIT, bun: Bun.version };
          const text = () => `fluxiondb ${VERSION} (${COMMIT}), Bun ${Bun.version}\n`;
          writeResult(version, text, { json: command.opts().json === true });
        });
    },
  );
}
