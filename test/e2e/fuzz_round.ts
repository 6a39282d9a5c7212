/**
 * Frames that are nearly right: built from hostile parts, and real ones mangled. Each gets one answer or a close that says
 * why, never `internal`; a client beside it gets what is its own all the time; and what is on the disk afterwards is
 * whole.
 */
import { expect } from "bun:test";
import fc from "fast-check";
import { MESSAGES } from "../../src/protocol/messages.ts";
import { runProgram } from "../support/program.ts";
import { SECRET_KEY, ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { TestClient } from "../support/test_client.ts";

const HOSTILE_KEY = "hostile";
const WITNESS = { col: "witness of the fuzzer", doc: "its document", ts: 7, data: "its own" };
/** Policy violation, and a frame too large: the closes that a text frame may end in. */
const CLOSE_CODES = [1008, 1009];

/** As JSON text: what a field may hold that it should not. */
const VALUES = [
  ...[
    '""',
    '"d"',
    '"c"',
    '"__proto__"',
    '"constructor"',
    '"../../etc/passwd"',
    '"/etc/passwd"',
    '"CON"',
    '".."',
    '"."',
    '"a\\u0000b"',
  ],
  ...[
    '"\\ud800"',
    '"😀"',
    '"/^(a+)+$/"',
    '"/(/"',
    '"/[/"',
    '"/a{1000}{1000}/"',
    '"/\\\\p{L}/i"',
    '"//"',
    '"/x/q"',
  ],
  ...[
    "0",
    "-0",
    "-1",
    "1.9",
    "1e999",
    "-1e-999",
    "9223372036854775807",
    "9223372036854775808",
    "1e18",
    "12345678901234567890123",
  ],
  ...[
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[[]]",
    '{"a":1}',
    "[null]",
    `${"[".repeat(600)}${"]".repeat(600)}`,
  ],
  `"${"n".repeat(4097)}"`,
  `"${"\\\\".repeat(300)}"`,
];
const FIELDS = [
  "col",
  "doc",
  "ts",
  "data",
  "from",
  "to",
  "fromTs",
  "toTs",
  "where",
  "filter",
  "limit",
  "reverse",
].concat(["key", "value", "action", "scope", "__proto__", "toString", "x"]);
const TYPES = [...Object.keys(MESSAGES), "auth", "toString", "__proto__", "", "INS"];
/** What is put into frames, in the place of something or between. */
const PIECES = [
  '"',
  "\\",
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  " ",
  "\u0000",
  "\n",
  "\ud800",
  "e999",
  "\\u12",
  "null",
  "é",
  "9".repeat(40),
];

const value = fc.oneof(
  fc.constantFrom(...VALUES),
  fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
);
const fields = fc
  .array(fc.tuple(fc.constantFrom(...FIELDS), value), { maxLength: 8 })
  .map((pairs) => `{${pairs.map(([name, text]) => `"${name}":${text}`).join(",")}}`);
const record = fc
  .record({ ts: value, doc: value, col: value, data: value })
  .map(({ ts, doc, col, data }) => `{"ts":${ts},"doc":${doc},"data":${data},"col":${col}}`);
/** One that is right, so that a small change makes it wrong in one place. */
const goodData = fc.constantFrom(
  '[{"ts":1,"doc":"d","data":"x","col":"c"},{"ts":2,"doc":"d","data":"{\\"a\\":1}","col":"c"}]',
  '{"col":"c","ts":9223372036854775807,"doc":"/d/","where":"x"}',
  '{"col":"c","doc":"d","from":0,"to":9,"limit":5,"reverse":true,"filter":"y"}',
  '{"col":"c","key":"k","value":"v"}',
  '{"doc":"d","col":"c","fromTs":1,"toTs":2}',
);
const data = fc.oneof(
  goodData,
  fields,
  fc.array(fc.oneof(record, value), { maxLength: 5 }).map((items) => `[${items.join(",")}]`),
  value,
);
const whole = fc
  .record({
    type: fc.constantFrom(...TYPES),
    data,
    isText: fc.boolean(),
    id: fc.constantFrom('"x"', '"é"', "5", '""'),
  })
  .map(
    ({ type, data, isText, id }) =>
      `{"id":${id},"type":${JSON.stringify(type)},"data":${isText ? JSON.stringify(data) : data}}`,
  );

/** Patterns of every kind: parts that nest, repeat hugely, and end in nothing. */
const pattern = fc.letrec((tie) => ({
  part: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(
      "a",
      ".",
      "[ab]",
      "[^a]",
      "\\d",
      "\\b",
      "^",
      "$",
      "\\p{L}",
      "\\pN",
      "é",
      "😀",
      "\\u00e9",
      "",
    ),
    fc.constantFrom(
      "(",
      ")",
      "[",
      "]",
      "{",
      "*",
      "\\",
      "(?=a)",
      "(?<n>a)",
      "\\1",
      "(?i)",
      "[z-a]",
      "\\Q",
      "\u0000",
    ),
    fc.tuple(tie("part"), tie("count")).map(([part, count]) => `(${part})${count}`),
    fc.tuple(tie("part"), tie("part")).map(([one, other]) => `(?:${one}|${other})*${one}`),
    fc.tuple(tie("part"), tie("part")).map((parts) => parts.join("")),
  ),
  count: fc.constantFrom("*", "+", "?", "*?", "{2}", "{1000}", "{0,1000}", "{1,}", "{1001}", "{99999999999}"),
})).part as fc.Arbitrary<string>;
const searched = fc
  .record({
    field: fc.constantFrom("doc", "where", "filter"),
    pattern,
    flags: fc.constantFrom("", "i", "ims", "x"),
    type: fc.constantFrom("qry", "qdoc"),
  })
  .map(({ field, pattern, flags, type }) =>
    JSON.stringify({
      id: "x",
      type,
      data: JSON.stringify({ col: "c", doc: "d", ts: 9, [field]: `/${pattern}/${flags}` }),
    }),
  );

/** Places are parts of the length, from 0 to below 1. */
const change = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 0, max: 6 }),
  piece: fc.oneof(fc.constant(""), fc.constantFrom(...PIECES), fc.string({ unit: "binary", maxLength: 3 })),
});
const mangled = fc.tuple(whole, fc.array(change, { minLength: 1, maxLength: 4 })).map(([frame, changes]) =>
  changes.reduce((text, { at, length, piece }) => {
    const start = Math.floor(at * text.length);
    return text.slice(0, start) + piece + text.slice(start + length);
  }, frame),
);

const frames = fc.array(fc.oneof(whole, mangled, searched), { minLength: 1, maxLength: 20 });

export async function runFuzzRound({
  seed,
  runs,
}: {
  readonly seed: number;
  readonly runs: number;
}): Promise<void> {
  using folder = new TemporaryFolder();
  const args = ["--data", folder.join("data"), "--flush-interval", "0.5", "--log-level", "error"];
  {
    await using server = await ServerProcess.start({ args });
    await using witness = await server.connect();
    await witness.request("ins", [WITNESS]);
    await witness.request("keys", { action: "add", key: HOSTILE_KEY, scope: "read_write_delete" });
    const session = new HostileSession(server.url);
    await fc.assert(
      fc.asyncProperty(frames, async (batch) => {
        for (const frame of batch) await session.exchange(frame);
        await checkWitness(witness);
      }),
      { seed, numRuns: runs },
    );
    await session.close();
    expect(server.output).not.toContain("Bug in the server");
    expect(await server.kill("SIGTERM")).toBe(0);
  }
  const { exitCode, stderr } = await runProgram(["check", folder.join("data")]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  await using again = await ServerProcess.start({ args, env: { FLUXIONDB_SECRET_KEY: SECRET_KEY } });
  await using witness = await again.connect();
  await checkWitness(witness);
}

async function checkWitness(witness: TestClient): Promise<void> {
  const { col, doc, ts, data } = WITNESS;
  expect(await witness.request("qdoc", { col, doc, from: 0, to: 9 })).toMatchObject({
    records: [{ ts, data }],
  });
}

/** A connection that is opened again whenever it was closed. */
class HostileSession {
  readonly #url: string;
  #client: TestClient | undefined;
  #count = 0;

  constructor(url: string) {
    this.#url = url;
  }

  /** Sends a frame and then a good one: there is at most one answer before the good one's, or a close. */
  async exchange(frame: string): Promise<void> {
    this.#client ??= await TestClient.connect(this.#url, { key: HOSTILE_KEY });
    const client = this.#client;
    const probe = `{"id":"probe ${++this.#count}"}`;
    client.send(frame);
    client.send(`{"id":"probe ${this.#count}","type":"ins","data":[]}`);
    const answers: string[] = [];
    for (;;) {
      const answer = await client.next().catch(() => undefined);
      if (answer === undefined) {
        const { code } = await client.closed;
        expect(CLOSE_CODES).toContain(code);
        this.#client = undefined;
        break;
      }
      if (answer === probe) break;
      answers.push(answer);
    }
    expect(answers).toHaveLength(1);
    const reply = JSON.parse(answers[0] as string);
    expect(reply.code).not.toBe("internal");
    const id = idOf(frame);
    if (id === undefined) expect(reply.code).toBe("bad_frame");
    else expect(reply.id).toBe(id);
  }

  async close(): Promise<void> {
    await this.#client?.close();
  }
}

/** The id that an answer has to carry: of the frame as it arrives, which has no halves of surrogate pairs. */
function idOf(frame: string): string | undefined {
  try {
    const message = JSON.parse(frame.toWellFormed());
    if (typeof message !== "object" || message === null || Array.isArray(message)) return undefined;
    if (!Object.hasOwn(message, "id")) return undefined;
    return typeof message.id === "string" && message.id !== "" ? message.id : undefined;
  } catch {
    return undefined;
  }
}
