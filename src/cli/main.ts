/**
 * The program: reads the command line, runs a command, and turns whatever ends it into an exit code.
 */
import { Command, CommanderError } from "commander";
import { FluxionError } from "../client/fluxion_error.ts";
import { DatabaseError, ERRORS } from "../protocol/errors.ts";
import { StorageError } from "../storage/storage.ts";
import { addKeyCommands } from "./api_keys.ts";
import { addExport, addImport } from "./archive.ts";
import { addBackup } from "./backup.ts";
import { addBench } from "./bench.ts";
import { addCheck } from "./check.ts";
import { explainClientError } from "./client_error.ts";
import { CommandError } from "./command_error.ts";
import { GROUP_SHELL } from "./command_group.ts";
import { addCompletion } from "./completion.ts";
import { addDeletions } from "./deletion.ts";
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE } from "./exit_code.ts";
import { addCollections, addHistory, addLatest } from "./fetch.ts";
import { addHealth } from "./health.ts";
import { addInsert, addInsertRecord } from "./insert.ts";
import { describeError } from "./log.ts";
import { flushNotes, flushOutput, OutputClosed, writeNote, writeOutput } from "./output.ts";
import { addQuery } from "./query.ts";
import { addRestore } from "./restore.ts";
import { addServe } from "./serve.ts";
import { addClients, addStatus } from "./status.ts";
import { addValueCommands } from "./values.ts";
import { COMMIT, VERSION } from "./version.ts";
import { addVersion } from "./version_command.ts";

const HELP = `
Commands that talk to a server take --url and --api-key-file, or FLUXIONDB_URL and FLUXIONDB_API_KEY. They print a table
on a terminal and JSON in a pipe. Commands of the older tool (fetch-latest, insert-record, …) work as they did.

Exit codes:
  0 done   1 the server, the network or the disk failed   2 a mistake in what was typed   3 the API key may not
  4 not found   130 interrupted by Ctrl-C   143 by SIGTERM

First steps:
  fluxiondb serve --data ./data
  export FLUXIONDB_API_KEY=$(cat data/secret.key)
  fluxiondb insert sensors room-1 --data '{"t":21.5}'
  fluxiondb query sensors
`;

function createProgram(): Command {
  const program = new Command("fluxiondb")
    .description("A time-series server for fleets of devices: one binary, WebSocket in, SQLite behind.")
    .version(`fluxiondb ${VERSION} (${COMMIT})`, "-V, --version", "print the version and the commit")
    .helpOption("-h, --help", "print this help")
    .addHelpCommand(createHelpCommand())
    .configureOutput({
      writeOut: writeOutput,
      writeErr: writeNote,
      outputError: (message) => complain(message.trim().replace(/^error: /, ""), EXIT_USAGE),
    })
    .configureHelp({ showGlobalOptions: false, subcommandTerm: termOf })
    .addHelpText("after", HELP)
    .exitOverride();
  addServe(program);
  addStatus(program);
  addClients(program);
  addHealth(program);
  addBench(program);
  addQuery(program);
  addLatest(program);
  addHistory(program);
  addCollections(program);
  addInsert(program);
  addInsertRecord(program);
  addDeletions(program);
  addValueCommands(program);
  addKeyCommands(program);
  addExport(program);
  addImport(program);
  addBackup(program);
  addRestore(program);
  addCheck(program);
  addCompletion(program);
  addVersion(program);
  return program;
}

/** Commander performs it; here it gets its place in the list. */
const createHelpCommand = (): Command =>
  new Command("help").argument("[command]").description("Print a command's help").helpGroup(GROUP_SHELL);

/** A command and the names behind it; that there are options goes without saying. */
function termOf(command: Command): string {
  const words = command.registeredArguments.map((word) =>
    word.required ? `<${word.name()}>` : `[${word.name()}]`,
  );
  return [command.name(), ...words].join(" ");
}

/** Runs the command line and returns the exit code. */
async function run(args: readonly string[]): Promise<number> {
  try {
    const program = createProgram();
    await program.parseAsync(withoutHelp(program, args), { from: "user" });
    return EXIT_OK;
  } catch (error) {
    return explain(error);
  }
}

/** Commander answers `help nonsense` with the general help: this is the way to what it says to `nonsense`. */
function withoutHelp(program: Command, args: readonly string[]): readonly string[] {
  const [first, name, ...rest] = args;
  const isKnown = name === "help" || program.commands.some((command) => command.name() === name);
  return first === "help" && name !== undefined && !name.startsWith("-") && !isKnown ? [name, ...rest] : args;
}

function explain(error: unknown): number {
  // Commander has printed these: help and the version end with 0, all else is a mistake in what was typed.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  if (error instanceof OutputClosed) return EXIT_OK;
  if (error instanceof CommandError) return complain(error.message, error.exitCode);
  if (error instanceof FluxionError) {
    const { text, exitCode } = explainClientError(error);
    return complain(text, exitCode);
  }
  if (error instanceof DatabaseError) return complain(error.message, ERRORS[error.code].exitCode);
  if (error instanceof StorageError) return complain(error.message, EXIT_FAILED);
  return complain(`this is a bug: ${describeError(error)}`, EXIT_FAILED);
}

function complain(message: string, exitCode: number): number {
  writeNote(`fluxiondb: ${message}\n`);
  if (exitCode === EXIT_USAGE) writeNote("See fluxiondb --help, or --help behind a command\n");
  return exitCode;
}

/** A result that does not reach its reader makes a failure of what was done. */
async function finish(exitCode: number): Promise<number> {
  try {
    await flushOutput();
    return exitCode;
  } catch (error) {
    return exitCode === EXIT_OK ? explain(error) : exitCode;
  }
}

const exitCode = await finish(await run(process.argv.slice(2)));
await flushNotes();
process.exit(exitCode);
