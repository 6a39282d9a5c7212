/**
 * The program's entry point: commands, and the one place where their errors end.
 */
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE } from "./exit_code.ts";
import { fail } from "./output.ts";
import { serveCommand } from "./serve.ts";
import { COMMIT, VERSION } from "./version.ts";

const HELP_AFTER = `
Examples:
  $ fluxiondb serve --data ./data
  $ fluxiondb help serve
`;

const program = new Command("fluxiondb")
  .description("FluxionDB: a time-series server for fleets of devices.")
  .version(`fluxiondb ${VERSION} (${COMMIT})`, "-V, --version", "print version and commit")
  .helpOption("-h, --help", "print help")
  .showHelpAfterError("(add --help for what there is)")
  .exitOverride()
  .addHelpText("after", HELP_AFTER);
program.addCommand(serveCommand().copyInheritedSettings(program));

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeFor(error);
  // A worker thread that is left over must not keep the process.
  if (process.exitCode !== EXIT_OK) process.exit();
}

function exitCodeFor(error: unknown): number {
  // Commander has written its own message already.
  if (error instanceof CommanderError && !(error instanceof InvalidArgumentError)) {
    return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  }
  fail(error instanceof Error ? error.message : String(error));
  return error instanceof InvalidArgumentError ? EXIT_USAGE : EXIT_FAILED;
}
