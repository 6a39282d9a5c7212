/**
 * `serve --tls-cert --tls-key`, with certificates made for these tests alone.
 */
import { expect, test } from "bun:test";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { FluxionDB } from "../../src/client/fluxiondb.ts";
import { runProgram } from "../support/program.ts";
import { SECRET_KEY, ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

const fixture = (name: string): string => join(import.meta.dir, "fixtures", name);

/** Takes the certificates of these tests, which nobody has signed. */
class TrustingSocket extends WebSocket {
  constructor(url: string) {
    super(url, { tls: { rejectUnauthorized: false } } as never);
  }
}

const open = (server: ServerProcess): Promise<FluxionDB> =>
  FluxionDB.connect({ url: server.url, apiKey: SECRET_KEY, WebSocket: TrustingSocket, reconnect: false });

/** Whose certificate the server shows. */
function subjectOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

test("encrypts, and takes a new certificate on SIGHUP without losing a connection", async () => {
  using folder = new TemporaryFolder();
  const files = { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
  const put = (name: string): void => {
    copyFileSync(fixture(`${name}.cert.pem`), files.cert);
    copyFileSync(fixture(`${name}.key.pem`), files.key);
  };
  put("one");
  await using server = await ServerProcess.start({
    args: ["--tls-cert", files.cert, "--tls-key", files.key],
  });
  expect(server.url).toStartWith("wss://");
  expect(await subjectOf(server.port)).toBe("one");
  await using db = await open(server);
  await db.insert({ collection: "c", document: "d", ts: 1, data: "x" });
  await expect(
    FluxionDB.connect({ url: server.url.replace("wss", "ws"), apiKey: SECRET_KEY }),
  ).rejects.toMatchObject({ code: "connection_failed" });

  put("two");
  server.signal("SIGHUP");
  await server.waitForOutput(/The certificate was read again validUntil="\w+ \d+ /);
  expect(await subjectOf(server.port)).toBe("two");
  expect(await db.records("c", "d")).toEqual([{ ts: 1, data: "x" }]);
  await using later = await open(server);
  expect(await later.collections()).toEqual(["c"]);

  copyFileSync(fixture("one.key.pem"), files.key);
  server.signal("SIGHUP");
  await server.waitForOutput(/could not be read again, the old one stays in use error=.*is not the key of/);
  expect(await subjectOf(server.port)).toBe("two");
  expect(await db.collections()).toEqual(["c"]);
  expect(await server.kill("SIGTERM")).toBe(0);
});

test("a command says that it does not trust a certificate, and how it may", async () => {
  const args = ["--tls-cert", fixture("one.cert.pem"), "--tls-key", fixture("one.key.pem")];
  await using server = await ServerProcess.start({ args });
  const outcome = await runProgram(["collections", "--url", server.url, "--api-key", SECRET_KEY]);
  expect(outcome).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(
      /^fluxiondb: The certificate of wss:.* is not trusted: .*NODE_EXTRA_CA_CERTS\n$/,
    ),
  });
});

test("refuses files that are no certificate and key, and names them", async () => {
  using folder = new TemporaryFolder();
  writeFileSync(folder.join("nothing"), "");
  const [cert, key] = [fixture("one.cert.pem"), fixture("one.key.pem")];
  for (const [args, message] of [
    [["--tls-cert", cert], "Give both --tls-cert and --tls-key, or neither"],
    [["--tls-cert", "/none", "--tls-key", key], "--tls-cert: cannot read /none"],
    [["--tls-cert", folder.join("nothing"), "--tls-key", key], "holds no certificate"],
    [["--tls-cert", cert, "--tls-key", cert], "holds no private key"],
    [["--tls-cert", cert, "--tls-key", fixture("two.key.pem")], "is not the key of"],
  ] as const) {
    const { exitCode, stderr } = await runProgram(["serve", "--port", "0", ...args]);
    expect(exitCode).toBeGreaterThan(0);
    expect(stderr).toContain(message);
  }
});

test("lets in pages of the allowed origins only", async () => {
  await using server = await ServerProcess.start({
    args: ["--allow-origin", "https://a.example, http://b:81"],
  });
  const upgrade = async (headers: Record<string, string>): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${server.port}/?api-key=${SECRET_KEY}`, {
      headers: {
        ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
        ...{ "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", ...headers },
      },
    });
    return response.status;
  };
  expect(await upgrade({ origin: "https://a.example" })).toBe(101);
  expect(await upgrade({ origin: "http://b:81" })).toBe(101);
  expect(await upgrade({ origin: "https://a.example.evil" })).toBe(403);
  expect(await upgrade({ origin: "null" })).toBe(403);
  expect(await upgrade({})).toBe(101);
  const refused = await runProgram(["serve", "--allow-origin", "example.com"]);
  expect(refused).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("--allow-origin (FLUXIONDB_ALLOW_ORIGIN): expected an origin such as"),
  });
});
