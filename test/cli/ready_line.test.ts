import { expect, test } from "bun:test";
import { describeReady, type Ready } from "../../src/cli/ready_line.ts";

const READY: Ready = {
  host: "127.0.0.1",
  port: 8080,
  data: "./data",
  durability: "everysec",
  counts: { collections: 1, documents: 1002, records: 1_234_567 },
  loadedMs: 123,
};

test("describeReady() says where the server listens and what it has loaded", () => {
  expect(describeReady(READY)).toBe(
    "Ready: ws://127.0.0.1:8080, data in ./data (durability everysec), 1 collection, 1,002 documents, " +
      "1,234,567 records, loaded in 0.12 s",
  );
});

test("describeReady() says that memory alone saves nothing", () => {
  expect(describeReady({ ...READY, data: undefined })).toBe(
    "Ready: ws://127.0.0.1:8080, in memory only: nothing is saved",
  );
});

test("describeReady() puts an IPv6 address into brackets", () => {
  expect(describeReady({ ...READY, host: "::1" })).toStartWith("Ready: ws://[::1]:8080, ");
});
