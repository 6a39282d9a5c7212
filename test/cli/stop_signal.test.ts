import { describe, expect, test } from "bun:test";
import { join } from "node:path";

const STOP_SIGNAL = join(import.meta.dir, "../../src/cli/stop_signal.ts");

/** A process that says when it was asked to stop, and never does. */
function startStubborn({ isWaiting }: { isWaiting: boolean }): Bun.Subprocess<"ignore", "pipe", "inherit"> {
  const script = `
    import { StopSignal } from ${JSON.stringify(STOP_SIGNAL)};
    const stopSignal = new StopSignal({ info: () => {} });
    setInterval(() => {}, 1000);
    console.log("started");
    ${isWaiting ? "console.log(await stopSignal.received());" : ""}
  `;
  return Bun.spawn([process.execPath, "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
    killSignal: "SIGKILL",
  });
}

async function readLine(child: Bun.Subprocess<"ignore", "pipe", "inherit">): Promise<string> {
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return Buffer.from(value ?? []).toString();
}

describe.skipIf(process.platform === "win32")("StopSignal", () => {
  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)(
    "lets a second %s end the process at once, and takes an echo for the first",
    async (signal, exitCode) => {
      await using child = startStubborn({ isWaiting: true });
      expect(await readLine(child)).toBe("started\n");
      child.kill(signal);
      child.kill(signal);
      expect(await readLine(child)).toBe(`${signal}\n`);
      // Sent until it counts: when the moments of an echo are over is not for a test to know.
      const again = setInterval(() => child.kill(signal), 20);
      expect(await child.exited).toBe(exitCode);
      clearInterval(again);
    },
  );

  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)("lets the first %s end the process while nobody waits for it", async (signal, exitCode) => {
    await using child = startStubborn({ isWaiting: false });
    expect(await readLine(child)).toBe("started\n");
    child.kill(signal);
    expect(await child.exited).toBe(exitCode);
  });
});
