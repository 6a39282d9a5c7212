/**
 * `fluxiondb status` and `clients`: how a server is, and who is connected to it.
 */
import type { Command } from "commander";
import type { ServerStatus } from "../protocol/server_status.ts";
import { addClientOptions, withClient } from "./client_options.ts";
import { GROUP_SERVER } from "./command_group.ts";
import { addCommand } from "./command_names.ts";
import { bold } from "./output.ts";
import { describeDuration } from "./progress_bar.ts";
import { writeResult } from "./result.ts";

const INTEGER = new Intl.NumberFormat("en-US");

export function addStatus(program: Command): void {
  const summary = "Show how a server is: version, uptime, counts, memory, disk";
  addCommand(program, { name: "status", summary, group: GROUP_SERVER }, (command) => {
    addClientOptions(command)
      .addHelpText("after", "\nExamples:\n  fluxiondb status\n  fluxiondb status --json | jq .memory\n")
      .action(() =>
        withClient(command, async (client, signal) => {
          const status = await client.status({ signal });
          writeResult(status, () => renderStatus(status), { json: command.opts().json === true });
        }),
      );
  });
}

export function renderStatus(status: ServerStatus): string {
  const { memory, writes, disk, lastCheckpoint } = status;
  const share = Math.round((memory.usedBytes / memory.limitBytes) * 100);
  const lines: readonly (readonly [string, string])[] = [
    ["Version", `${status.version} (${status.commit})`],
    ["Up for", describeDuration(status.uptimeMs)],
    ["Collections", INTEGER.format(status.collections)],
    ["Documents", INTEGER.format(status.documents)],
    ["Records", INTEGER.format(status.records)],
    ["Key-values", INTEGER.format(status.keyValues)],
    ["Connections", INTEGER.format(status.connections)],
    [
      "Memory",
      `${describeBytes(memory.usedBytes)} of ${describeBytes(memory.limitBytes)} for records and caches (${share} %), ` +
        `${describeBytes(memory.residentBytes)} in all`,
    ],
    ["Durability", status.durability === "memory" ? "none: data is in memory only" : status.durability],
    ...(writes === null
      ? []
      : ([
          ["Writes", `answered up to ${writes.acknowledged}, on the disk up to ${writes.durable}`],
        ] as const)),
    ...(disk === null
      ? []
      : ([
          [
            "Disk",
            `${describeBytes(disk.dataBytes)} of data, ${describeBytes(disk.journalBytes)} of journal`,
          ],
          ["Checkpoint", describeCheckpoint(lastCheckpoint)],
        ] as const)),
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, text]) => `${bold(name.padEnd(width))}  ${text}\n`).join("");
}

const describeCheckpoint = (last: ServerStatus["lastCheckpoint"]): string =>
  last === null ? "none yet" : `${describeDuration(last.agoMs)} ago, took ${describeDuration(last.tookMs)}`;

/** Three digits that count: `12.3 MiB`. */
export function describeBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(3))} ${units[unit]}`;
}

export function addClients(program: Command): void {
  const summary = "List who is connected";
  addCommand(
    program,
    { name: "clients", older: "connections", summary, group: GROUP_SERVER },
    (command, { isOlder }) => {
      addClientOptions(command)
        .addHelpText("after", "\nExample:\n  fluxiondb clients\n")
        .action(() =>
          withClient(command, async (client, signal) => {
            const connections = await client.connections({ signal });
            const rows = () =>
              connections.map(({ ip, since, name, self }) => [
                name ?? undefined,
                ip,
                describeDuration(since),
                self ? "this one" : "",
              ]);
            const table = () => ({ head: ["name", "address", "for", ""], rows: rows() });
            const ordered = connections.map(({ ip, since, self, name }) => ({ ip, since, self, name }));
            writeResult(ordered, table, { json: isOlder || command.opts().json === true });
          }),
        );
    },
  );
}
