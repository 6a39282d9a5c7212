/**
 * All metrics of a server that does something, in the format that Prometheus reads.
 */
import { describe, expect, test } from "bun:test";
import { METRIC_TYPES } from "../support/metric_types.ts";
import { parsePrometheus } from "../support/prometheus_text.ts";
import { SECRET_KEY, ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

describe("/metrics", () => {
  test("has all there is to know of a server with data, each in its type", async () => {
    using folder = new TemporaryFolder();
    await using server = await ServerProcess.start({
      args: ["--data", folder.join("data"), "--flush-interval", "0.05", "--log-level", "debug"],
    });
    await using client = await server.connect();
    await client.request("ins", [{ ts: 1, doc: "d", col: "c", data: "x" }]);
    await client.request("sval", { col: "c", key: "k", value: "v" });
    await client.request("qry", { col: "c" });
    await client.request("gkeys", { col: "c" });
    await server.waitForOutput(/Checkpoint collections=1/);
    const ask = (key: string) => fetch(`http://127.0.0.1:${server.port}/metrics?api-key=${key}`);
    expect((await ask("nobody")).status).toBe(401);
    const families = parsePrometheus(await (await ask(SECRET_KEY)).text());

    const types = Object.fromEntries([...families].map(([name, { type }]) => [name, type]));
    const expected = Object.entries(METRIC_TYPES).map(([name, type]) => [`fluxiondb_${name}`, type]);
    expect(types).toEqual(Object.fromEntries(expected));
    const sampleOf = (name: string, labels: Readonly<Record<string, string>> = {}) =>
      [...families.values()]
        .flatMap(({ samples }) => samples)
        .find((each) => each.name === `fluxiondb_${name}` && Bun.deepEquals(each.labels, labels))?.value;
    for (const name of ["ready", "collections", "documents", "records", "key_values", "connections"]) {
      expect({ name, value: sampleOf(name) }).toEqual({ name, value: 1 });
    }
    expect(sampleOf("connections_refused_total", { reason: "api_key" })).toBe(1);
    expect(sampleOf("connections_refused_total", { reason: "limit" })).toBe(0);
    expect(sampleOf("request_errors_total", { type: "qry", code: "bad_request" })).toBe(1);
    expect(sampleOf("requests_total", { type: "gkeys" })).toBe(1);
    expect(sampleOf("commit_duration_seconds_count")).toBeGreaterThanOrEqual(2);
    expect(sampleOf("checkpoints_total")).toBeGreaterThanOrEqual(1);
    expect(sampleOf("checkpoint_failures_total")).toBe(0);
    expect(sampleOf("disk_data_bytes")).toBeGreaterThan(8192);
    expect(sampleOf("cpu_seconds_total")).toBeGreaterThan(0);
  });
});
