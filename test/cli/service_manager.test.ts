/**
 * What a server tells systemd, over a real socket.
 */
import { describe, expect, test } from "bun:test";
import { NotifySocket } from "../support/notify_socket.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

describe.skipIf(process.platform !== "linux")("systemd is told", () => {
  test.each(["a path", "an abstract name"])("by %s, from the start to the end", async (kind) => {
    using folder = new TemporaryFolder();
    const name = kind === "a path" ? folder.join("notify") : `@fluxiondb-test-${process.pid}`;
    using socket = new NotifySocket(name);
    await using server = await ServerProcess.start({
      args: ["--data", folder.join("data")],
      env: { NOTIFY_SOCKET: name, WATCHDOG_USEC: "40000" },
    });
    const ready = await socket.waitFor(/^READY=1\nSTATUS=Ready: ws:/);
    expect(ready.text).toContain("0 collections");
    await socket.waitFor(/^WATCHDOG=1$/);
    await socket.waitFor(/^WATCHDOG=1$/, socket.messages.length);
    server.signal("SIGHUP");
    const reloading = await socket.waitFor(/^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*$/);
    await socket.waitFor(/^READY=1\n/, reloading.index);
    expect(await server.kill("SIGTERM")).toBe(0);
    await socket.waitFor(/^STOPPING=1\n/);
    expect(socket.messages.filter((text) => text.startsWith("STOPPING"))).toHaveLength(1);
    expect(server.output).not.toContain("service manager");
  });

  test("nothing by the watchdog of another process", async () => {
    using folder = new TemporaryFolder();
    const name = folder.join("notify");
    using socket = new NotifySocket(name);
    await using server = await ServerProcess.start({
      env: { NOTIFY_SOCKET: name, WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" },
    });
    server.signal("SIGHUP");
    await socket.waitFor(/^RELOADING=1/);
    await socket.waitFor(/^READY=1/, 2);
    expect(socket.messages.filter((text) => text.includes("WATCHDOG"))).toEqual([]);
  });

  test.each([
    ["/nowhere/notify", /service manager.*the socket did not take READY=1/],
    ["vsock:2:1234", /service manager.*expected a path/],
    [`/${"x".repeat(200)}`, /service manager.*too long/],
  ])("or the log is, when it cannot be: %p", async (name, message) => {
    await using server = await ServerProcess.start({ env: { NOTIFY_SOCKET: name } });
    await server.waitForOutput(message);
    expect(await server.kill("SIGTERM")).toBe(0);
  });
});
