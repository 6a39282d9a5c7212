/**
 * A server process, and the program run against it as a user or a script would.
 */
import { type Environment, type Outcome, runProgram } from "../support/program.ts";
import { SECRET_KEY, ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

export class CommandWorld implements AsyncDisposable {
  readonly folder = new TemporaryFolder();
  readonly server: ServerProcess;

  private constructor(server: ServerProcess) {
    this.server = server;
  }

  static async open(args: readonly string[] = []): Promise<CommandWorld> {
    return new CommandWorld(await ServerProcess.start({ args }));
  }

  get env(): Environment {
    return { FLUXIONDB_URL: this.server.url, FLUXIONDB_API_KEY: SECRET_KEY };
  }

  /** In a pipe, its words split at spaces. */
  run(
    command: string | readonly string[],
    options: { input?: string; env?: Environment } = {},
  ): Promise<Outcome> {
    const args = typeof command === "string" ? command.split(" ") : command;
    return runProgram(args, { ...options, env: { ...this.env, ...options.env } });
  }

  /** What it prints; anything but success is a failure of the test. */
  async output(command: string | readonly string[], options: { input?: string } = {}): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(command, options);
    if (exitCode !== 0) throw new Error(`${String(command)} ended with ${exitCode}: ${stderr}`);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }
}
