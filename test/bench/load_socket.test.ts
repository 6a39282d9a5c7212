/**
 * The driver against Bun's own server, which says what really arrived.
 */
import { expect, test } from "bun:test";
import { LoadSocket } from "../../src/bench/load_socket.ts";
import { askServer, messageFrame, runWorkload, type Workload } from "../../src/bench/runner.ts";

function serve(answer: (text: string) => string | undefined): Bun.Server<undefined> {
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) =>
      server.upgrade(request) ? undefined : new Response("no entry\n", { status: 403 }),
    websocket: {
      maxPayloadLength: 2 ** 26,
      open: (socket) => void socket.send("ready"),
      message: (socket, text) => {
        const reply = answer(String(text));
        if (reply === undefined) socket.close(1011, "enough");
        else socket.send(reply);
      },
    },
  });
}

const urlOf = (server: Bun.Server<undefined>): URL => new URL(`ws://127.0.0.1:${server.port}/`);

const WORKLOAD: Workload = {
  name: "test",
  messages: 500,
  differentFrames: 10,
  unitsPerMessage: 3,
  depth: 7,
  frame: (index) => messageFrame("qry", { index }),
};

test("texts of every length of header arrive as they were sent, and come back whole", async () => {
  await using server = serve((text) => `{"echo":${text}}`);
  const socket = await LoadSocket.open(urlOf(server), "k");
  for (const length of [0, 1, 90, 125, 126, 127, 1000, 65_535, 65_536, 300_000]) {
    const text = "ü".repeat(length);
    expect(await askServer(socket, "qry", { text })).toEqual({
      echo: { id: "b", type: "qry", data: JSON.stringify({ text }) },
    });
  }
  socket.close();
});

test("a workload sends each message once, and counts every reply's bytes", async () => {
  const seen = new Map<string, number>();
  await using server = serve((text) => {
    seen.set(text, (seen.get(text) ?? 0) + 1);
    return '{"id":"b"}';
  });
  const sockets = [await LoadSocket.open(urlOf(server), "k"), await LoadSocket.open(urlOf(server), "k")];
  const measured = await runWorkload(WORKLOAD, { sockets, pid: undefined });
  expect(measured).toMatchObject({ name: "test", units: 1500, replyBytes: 5000 });
  expect(measured.p50Ms).toBeGreaterThan(0);
  expect(measured.maxMs).toBeGreaterThanOrEqual(measured.p99Ms);
  expect([...seen.values()]).toEqual(Array.from({ length: 10 }, () => 50));
  for (const socket of sockets) socket.close();
});

test("an error among the replies ends the run, with the server's words", async () => {
  let count = 0;
  await using server = serve(() => (++count === 300 ? '{"id":"b","error":"no room"}' : '{"id":"b"}'));
  const sockets = [await LoadSocket.open(urlOf(server), "k")];
  const run = runWorkload(WORKLOAD, { sockets, pid: undefined });
  await expect(run).rejects.toThrow('The server answered with: {"id":"b","error":"no room"}');
});

test("a server that goes away ends the run", async () => {
  let count = 0;
  await using server = serve(() => (++count === 300 ? undefined : '{"id":"b"}'));
  const sockets = [await LoadSocket.open(urlOf(server), "k")];
  const run = runWorkload(WORKLOAD, { sockets, pid: undefined });
  await expect(run).rejects.toThrow("The server closed the connection");
});

test("a refused connection says what the server said, and none at all what to look for", async () => {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response("no entry\n", { status: 403 }),
  });
  const url = new URL(`ws://127.0.0.1:${server.port}/`);
  await expect(LoadSocket.open(url, "k")).rejects.toThrow("refused the connection: 403 Forbidden, no entry");
  await server.stop(true);
  await expect(LoadSocket.open(url, "k")).rejects.toThrow(
    /Nothing answers on 127\.0\.0\.1:[0-9]+\. Is the server/,
  );
});
