import { describe, expect, test } from "bun:test";
import { Log, type LogFormat, type LogLevel } from "../../src/cli/log.ts";

const NOON = new Date("2026-03-01T12:00:00.000Z");

function logTo(lines: string[], options: { level?: LogLevel; format?: LogFormat } = {}): Log {
  return new Log({
    level: "debug",
    format: "text",
    ...options,
    write: (line) => lines.push(line),
    now: () => NOON,
  });
}

describe("Log", () => {
  test("writes a line an event, with quotes only where they are needed", () => {
    const lines: string[] = [];
    logTo(lines).connected({ ip: "127.0.0.1", name: "pump 1" });
    logTo(lines).connected({ ip: "::1", name: null });
    expect(lines).toEqual([
      '2026-03-01T12:00:00.000Z info  Client connected ip=127.0.0.1 name="pump 1"\n',
      "2026-03-01T12:00:00.000Z info  Client connected ip=::1\n",
    ]);
  });

  test("says who changed which API key to what, and knows it by its fingerprint", () => {
    const lines: string[] = [];
    const by = { ip: "10.0.0.1", name: "admin's laptop", fingerprint: "sha256:0123456789abcdef" };
    const limits = { expiresAt: NOON.getTime(), collections: ["a b", "/c/"] };
    logTo(lines).keyChanged({ ...by, action: "add", scope: "readonly", ...limits });
    logTo(lines).keyChanged({ ...by, action: "remove", scope: "read_write" });
    const start = "2026-03-01T12:00:00.000Z info ";
    const who = 'ip=10.0.0.1 name="admin\'s laptop"';
    expect(lines).toEqual([
      `${start} API key added ${who} action=add key=sha256:0123456789abcdef scope=readonly ` +
        'expires=2026-03-01T12:00:00.000Z collections="a b,/c/"\n',
      `${start} API key removed ${who} action=remove key=sha256:0123456789abcdef scope=read_write\n`,
    ]);
  });

  test("writes the same as JSON", () => {
    const lines: string[] = [];
    logTo(lines, { format: "json" }).slowRequest({ ip: "::1", name: null, type: "qdoc", ms: 1234.5 });
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] as string)).toEqual({
      time: "2026-03-01T12:00:00.000Z",
      level: "warn",
      message: "Slow request",
      ip: "::1",
      name: null,
      type: "qdoc",
      ms: 1235,
    });
  });

  test.each(["text", "json"] as const)(
    "keeps a client's name on its line, and tame on a terminal: %s",
    (format) => {
      const lines: string[] = [];
      logTo(lines, { format }).connected({ ip: "::1", name: "a\nb\u001b[31m\u009b31m\u2028\u007f" });
      expect(lines).toHaveLength(1);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
      expect((lines[0] as string).trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
    },
  );

  test("leaves out what is less than its level, but never that the server is ready", () => {
    const lines: string[] = [];
    const log = logTo(lines, { level: "error" });
    log.debug("d");
    log.info("i");
    log.warn("w");
    log.error("e");
    log.ready("Ready: here", { port: 1 });
    expect(lines).toEqual([
      "2026-03-01T12:00:00.000Z error e\n",
      "2026-03-01T12:00:00.000Z info  Ready: here\n",
    ]);
  });

  test("shows an unexpected error with its stack and its causes", () => {
    const lines: string[] = [];
    logTo(lines).bug(new Error("outer", { cause: new Error("inner") }), { type: "qry" });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("Bug in the server type=qry");
    expect(lines[0]).toMatch(/outer.*log\.test\.ts.*caused by .*inner/);
  });
});
