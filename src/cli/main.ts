/**
 * The program: reads the command line, runs a command, and turns whatever ends it into an exit code.
 *
 * 0 done · 1 the server, the network or the disk failed · 2 a mistake in what was typed · 130 interrupted.
 */
import { Command, CommanderError } from "commander";
import { DatabaseError, ERRORS } from "../protocol/errors.ts";
import { StorageError } from "../storage/storage.ts";
import { addBench } from "./bench.ts";
import { CommandError } from "./command_error.ts";
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE } from "./exit_code.ts";
import { describeError } from "./log.ts";
import { flushOutput, writeNote, writeOutput } from "./output.ts";
import { addServe } from "./serve.ts";
import { COMMIT, VERSION } from "./version.ts";

function createProgram(): Command {
  const program = new Command("fluxiondb")
    .description("A time-series server for fleets of devices: one binary, WebSocket in, SQLite behind.")
    .version(`fluxiondb ${VERSION} (${COMMIT})`, "-V, --version", "print the version and the commit")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print a command's help")
    .configureOutput({
      writeOut: writeOutput,
      writeErr: writeNote,
      outputError: (message) => complain(message.trim().replace(/^error: /, ""), EXIT_USAGE),
    })
    .configureHelp({ showGlobalOptions: false })
    .exitOverride();
  addServe(program);
  addBench(program);
  return program;
}

/** Runs the command line and returns the exit code. */
async function run(args: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync(args, { from: "user" });
    return EXIT_OK;
  } catch (error) {
    return explain(error);
  }
}

function explain(error: unknown): number {
  // Commander has printed these: help and the version end with 0, all else is a mistake in what was typed.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  if (error instanceof CommandError) return complain(error.message, error.exitCode);
  if (error instanceof DatabaseError) return complain(error.message, ERRORS[error.code].exitCode);
  if (error instanceof StorageError) return complain(error.message, EXIT_FAILED);
  return complain(`this is a bug: ${describeError(error)}`, EXIT_FAILED);
}

function complain(message: string, exitCode: number): number {
  writeNote(`fluxiondb: ${message}\n`);
  if (exitCode === EXIT_USAGE) writeNote("See fluxiondb --help, or --help behind a command\n");
  return exitCode;
}

const exitCode = await run(process.argv.slice(2));
await flushOutput();
process.exit(exitCode);
