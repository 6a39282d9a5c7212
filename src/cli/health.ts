/**
 * `fluxiondb health`: whether a server is well, as an exit code, for containers and scripts.
 */
import { type Command, Option } from "commander";
import { fetchProblem } from "./client_error.ts";
import { readUrl } from "./client_options.ts";
import { CommandError } from "./command_error.ts";
import { GROUP_SERVER } from "./command_group.ts";
import { addCommand } from "./command_names.ts";
import { secondsIn } from "./option_value.ts";
import { writeOutput } from "./output.ts";

const HELP = `
Asks /readyz, without an API key: ends with 0 when data is loaded and the disk takes writes, and with 1 when not, or when
nobody answers; what the server says is printed. --alive asks /healthz, whether there is a server at all.

Without --url and FLUXIONDB_URL, it is the server on this machine that FLUXIONDB_PORT and FLUXIONDB_TLS_CERT describe, as
they do for \`serve\`. A certificate is not checked: there is no key to give away.

Examples:
  fluxiondb health
  fluxiondb health --url ws://db.example:8080 && echo well
`;

const TIMEOUT_SECONDS = { min: 0.1, max: 3600 };

export function addHealth(program: Command): void {
  const summary = "Tell whether a server is ready, by the exit code";
  addCommand(program, { name: "health", summary, group: GROUP_SERVER }, (command) => {
    command
      .addOption(new Option("--url <url>", "the server (FLUXIONDB_URL, or the one on this machine)"))
      .addOption(new Option("--alive", "only whether it is there"))
      .addOption(
        new Option("--timeout <seconds>", "how long to wait for its answer")
          .argParser((text) => secondsIn(TIMEOUT_SECONDS)(text, "--timeout"))
          .default(5000, "5"),
      )
      .addHelpText("after", HELP)
      .action(() => health(command));
  });
}

async function health(command: Command): Promise<void> {
  const { alive, timeout } = command.opts();
  const url = readUrl(command, serverOfEnvironment(process.env));
  url.protocol = url.protocol.replace(/^ws/, "http");
  url.pathname = alive === true ? "/healthz" : "/readyz";
  const { isWell, answer } = await ask(url, timeout);
  if (!isWell) throw new CommandError(answer);
  writeOutput(`${answer}\n`);
}

async function ask(url: URL, timeoutMs: number): Promise<{ isWell: boolean; answer: string }> {
  try {
    const response = await fetch(url, {
      signal: AbortSignal.timeout(timeoutMs),
      redirect: "error",
      tls: { rejectUnauthorized: false },
    });
    return { isWell: response.ok, answer: (await response.text()).trim() };
  } catch (error) {
    return { isWell: false, answer: `No answer from ${url.origin}: ${fetchProblem(error)}` };
  }
}

function serverOfEnvironment(environment: Readonly<Record<string, string | undefined>>): string {
  const protocol = environment.FLUXIONDB_TLS_CERT ? "wss" : "ws";
  return `${protocol}://127.0.0.1:${environment.FLUXIONDB_PORT || 8080}`;
}
