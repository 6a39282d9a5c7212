import { expect, test } from "bun:test";
import { join } from "node:path";
import { runProgram } from "../support/program.ts";
import { ServerProcess } from "../support/server_process.ts";

const outcomeOf = async (args: readonly string[], env: Record<string, string> = {}) => {
  const { exitCode, stdout, stderr } = await runProgram(["health", ...args], { env });
  return { exitCode, stdout, stderr };
};

test("health ends with 0 when the server is ready, wherever it is said to be", async () => {
  await using server = await ServerProcess.start();
  expect(await outcomeOf(["--url", server.url])).toEqual({ exitCode: 0, stdout: "ready\n", stderr: "" });
  expect(await outcomeOf(["--alive"], { FLUXIONDB_URL: server.url })).toEqual({
    exitCode: 0,
    stdout: "ok\n",
    stderr: "",
  });
  expect((await outcomeOf([], { FLUXIONDB_PORT: String(server.port) })).exitCode).toBe(0);
});

test("health asks a server with a certificate too, whoever has signed that", async () => {
  const file = (name: string): string => join(import.meta.dir, "fixtures", name);
  const cert = file("one.cert.pem");
  await using server = await ServerProcess.start({
    args: ["--tls-cert", cert, "--tls-key", file("one.key.pem")],
  });
  const env = { FLUXIONDB_PORT: String(server.port), FLUXIONDB_TLS_CERT: cert };
  expect(await outcomeOf([], env)).toMatchObject({ exitCode: 0, stdout: "ready\n" });
});

test("health ends with 1 and the reason when it is not, or nobody is there", async () => {
  using busy = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) =>
      url.endsWith("/healthz") ? new Response("ok") : new Response("The disk is full\n", { status: 503 }),
  });
  const url = `http://127.0.0.1:${busy.port}`;
  expect(await outcomeOf(["--url", url])).toEqual({
    exitCode: 1,
    stdout: "",
    stderr: "fluxiondb: The disk is full\n",
  });
  expect((await outcomeOf(["--url", url, "--alive"])).exitCode).toBe(0);
  expect(await outcomeOf(["--url", "ws://127.0.0.1:1"])).toEqual({
    exitCode: 1,
    stdout: "",
    stderr:
      "fluxiondb: No answer from http://127.0.0.1:1: nobody listens there. Is the server running? Start one with: fluxiondb serve\n",
  });
  using silent = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Promise<Response>(() => {}) });
  const slow = await outcomeOf(["--url", `ws://127.0.0.1:${silent.port}`, "--timeout", "0.1"]);
  expect(slow.stderr).toContain("it takes too long. --timeout takes a longer time");
  using closing = Bun.listen({
    port: 0,
    hostname: "127.0.0.1",
    socket: { open: (socket) => void socket.end(), data: () => {} },
  });
  const { stderr } = await outcomeOf(["--url", `ws://127.0.0.1:${closing.port}`]);
  expect(stderr).toMatch(
    /the connection failed \(\w+\)\. Check --url, and that a server of FluxionDB runs there\n$/,
  );
});
