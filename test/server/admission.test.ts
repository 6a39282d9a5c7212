import { describe, expect, test } from "bun:test";
import { ApiKeys } from "../../src/engine/api_keys.ts";
import { Admission, type AdmissionOptions, type Refusal } from "../../src/server/admission.ts";
import { KEYS, TestServer } from "./test_server.ts";

function admission(options: Partial<AdmissionOptions> = {}) {
  let nowMs = 0;
  const apiKeys = new ApiKeys({ secretKey: "master", stored: [] });
  const made = new Admission({
    apiKeys,
    connections: { size: 0, countOf: () => 0 },
    allowedOrigins: [],
    connectionsMax: 1,
    connectionsPerKeyMax: 1,
    connectionsPerSecondMax: 1000,
    nowMs: () => nowMs,
    dateMs: () => nowMs,
    ...options,
  });
  const login = (key: string, ip = "10.0.0.1") => made.admit(new Request(`http://x/?api-key=${key}`), ip);
  return { login, later: (ms: number) => (nowMs += ms) };
}

const delayOf = (result: unknown): number => (result as Refusal).delayMs;

describe("Admission", () => {
  test("answers failed logins later each time, by address, and forgets them with time", () => {
    const { login, later } = admission();
    const delays = Array.from({ length: 13 }, () => delayOf(login("wrong")));
    expect(delays).toEqual([0, 0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    expect(delayOf(login("wrong", "10.0.0.2"))).toBe(0);
    // The right key is let in all the same.
    expect(login("master")).toMatchObject({ apiKey: { isMaster: true } });
    later(10 * 60_000);
    expect(delayOf(login("wrong"))).toBe(0);
  });

  test("remembers a bounded number of addresses", () => {
    const { login } = admission();
    for (let at = 0; at < 10; at++) login("wrong", "first");
    expect(delayOf(login("wrong", "first"))).toBeGreaterThan(0);
    for (let at = 0; at < 10_000; at++) login("wrong", `10.1.${at >> 8}.${at & 255}`);
    expect(delayOf(login("wrong", "first"))).toBe(0);
  });
});

describe("a server", () => {
  test("takes so many connections, in all and with a key", async () => {
    await using server = new TestServer({ connectionsMax: 3, connectionsPerKeyMax: 2 });
    const refusalOf = async (key: string): Promise<[number, string]> => {
      const response = await server.upgrade(`/?api-key=${key}`);
      return [response.status, await response.text()];
    };
    await using first = await server.connect({ key: KEYS.readonly });
    await using _second = await server.connect({ key: KEYS.readonly });
    expect(await refusalOf(KEYS.readonly)).toEqual([503, "Too many connections with this API key"]);
    await using _third = await server.connect({ key: KEYS.read_write });
    expect(await refusalOf(KEYS.read_write)).toEqual([503, "Too many connections"]);
    expect(server.log.of("rejected").map(({ reason }) => reason)).toEqual([
      "Too many connections with this API key",
      "Too many connections",
    ]);
    await first.close();
    while (server.connectionCount > 2) await Bun.sleep(1);
    await using again = await server.connect({ key: KEYS.readonly });
    expect(again).toBeDefined();
  });
});
