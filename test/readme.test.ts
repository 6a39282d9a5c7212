/**
 * The README against the tables it is made from. A failure prints the block as it should be, to be pasted.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describeSize } from "../src/cli/option_value.ts";
import { ERRORS } from "../src/protocol/errors.ts";
import * as limits from "../src/protocol/limits.ts";
import { MESSAGES } from "../src/protocol/messages.ts";
import { runProgram } from "./support/program.ts";

const ROOT = join(import.meta.dir, "..");
const README = readFileSync(join(ROOT, "README.md"), "utf8");
const LIMITS_SOURCE = readFileSync(join(ROOT, "src/protocol/limits.ts"), "utf8");

const NUMBER = new Intl.NumberFormat("en-US");

function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}

function renderMessages(): string {
  const rows = Object.entries(MESSAGES).map(([type, { permission, docs }]) => [
    `\`${type}\``,
    permission === "master" ? "master key" : permission,
    docs.data,
    docs.reply,
    docs.does,
  ]);
  return renderTable(["type", "permission", "`data`", "reply", "what it does"], rows);
}

function renderErrors(): string {
  const rows = Object.entries(ERRORS).map(([code, { meaning, remedy, onWire }]) => [
    `\`${code}\``,
    onWire ? "yes" : "no",
    meaning,
    remedy,
  ]);
  return renderTable(["code", "in the reply", "meaning", "what to do"], rows);
}

/** The comment above each limit says what it is for; its name says the unit. */
function renderLimits(): string {
  const commented = /\/\*\*([^/]*?)\*\/\nexport const (\w+)/g;
  const rows = [...LIMITS_SOURCE.matchAll(commented)].map(([, comment = "", name = ""]) => [
    `\`${name}\``,
    describeLimit(name, (limits as Readonly<Record<string, number>>)[name] as number),
    comment.replace(/\s*\n \* ?/g, " ").trim(),
  ]);
  return renderTable(["limit", "value", "what it bounds"], rows);
}

function describeLimit(name: string, value: number): string {
  if (name.includes("_BYTES")) return describeSize(value).replace(/(?=[KMG]i?B|B$)/, " ");
  if (name.endsWith("_SECONDS")) return `${value} s`;
  if (name.endsWith("_MS")) return `${value} ms`;
  return NUMBER.format(value);
}

function blockOf(name: string): string | undefined {
  const block = new RegExp(`<!-- ${name} -->\\n([\\s\\S]*?)\\n<!-- /${name} -->`).exec(README);
  return block?.[1];
}

describe("README.md", () => {
  test.each([
    ["messages", renderMessages()],
    ["errors", renderErrors()],
    ["limits", renderLimits()],
  ])("its block of %s is what the source says", (name, expected) => {
    if (blockOf(name) === expected) return;
    throw new Error(`README.md should have:\n\n<!-- ${name} -->\n${expected}\n<!-- /${name} -->\n`);
  });

  test("its block of limits misses none", () => {
    for (const name of Object.keys(limits)) expect(blockOf("limits")).toContain(`\`${name}\``);
  });

  test("has every option of serve, with its name in the environment", async () => {
    const { stdout } = await runProgram(["serve", "--help"]);
    const names = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+) <|\b(FLUXIONDB_[A-Z_]+)/gm)].map(
      ([, flag, variable]) => (flag ?? variable) as string,
    );
    expect(names).toContain("--durability");
    expect(names).toContain("FLUXIONDB_MAX_REPLY");
    for (const name of names) expect(README).toContain(`\`${name}\``);
  });

  test("has every command, and leads to files that are there", async () => {
    const { stdout } = await runProgram(["--help"]);
    const names = [...stdout.matchAll(/^ {2}([a-z]+(?:-[a-z]+)*)(?: [[<].*)? {2,}[A-Z]/gm)].map(
      ([, name]) => name,
    );
    expect(names.length).toBeGreaterThan(20);
    for (const name of names) expect(README).toMatch(new RegExp(`\`${name}[ \`]`));
    for (const [, path] of README.matchAll(/\]\(((?:src|test|scripts)\/[^)]+)\)/g)) {
      expect({ path, isThere: existsSync(join(ROOT, path as string)) }).toEqual({ path, isThere: true });
    }
  });
});
