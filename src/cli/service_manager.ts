/**
 * Tells systemd how the server is, by the protocol of sd_notify: a datagram a message, to the socket that NOTIFY_SOCKET
 * names. Without that variable nothing here is used.
 *
 * Bun has no datagram sockets of this kind, so the system's own functions are called.
 *
 * https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
 */
import { dlopen, FFIType } from "bun:ffi";

/** Whose functions they are: glibc, or musl. */
const LIBRARIES = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];
const FUNCTIONS = {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  sendto: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i64_fast,
  },
  clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
} as const;
const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0x8_0002;
/** No signal, and no waiting: the event loop is more important than a message. */
const MSG_NOSIGNAL_DONTWAIT = 0x4040;
const CLOCK_MONOTONIC = 1;
/** What fits into the address of such a socket. */
const PATH_BYTES_MAX = 107;
/** systemd wants to hear of a process twice in the time after which it gives it up. */
const WATCHDOG_SHARE = 2;

/** What systemd does not take at once, it takes soon: it has room for a few messages and reads them all the time. */
const RETRIES = 10;
const RETRY_MS = 100;

type Environment = Readonly<Record<string, string | undefined>>;

export class ServiceManager {
  readonly #libc: ReturnType<typeof load>;
  readonly #socket: number;
  readonly #address: Uint8Array;
  readonly #onFailure: (reason: string) => void;
  readonly #watchdogMs: number | undefined;
  /** The first of them is tried again when there are any. */
  readonly #waiting: string[] = [];
  #hasFailed = false;
  #watchdog: ReturnType<typeof setInterval> | undefined;

  private constructor(path: string, environment: Environment, onFailure: (reason: string) => void) {
    this.#onFailure = onFailure;
    this.#watchdogMs = watchdogMs(environment);
    this.#address = addressOf(path);
    this.#libc = load();
    this.#socket = this.#libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
    if (this.#socket < 0) throw new Error("the system gives no socket");
  }

  /** Undefined where nobody wants to be told, or cannot be, which `onFailure` hears of. */
  static of(environment: Environment, onFailure: (reason: string) => void): ServiceManager | undefined {
    const path = environment.NOTIFY_SOCKET;
    if (!path) return undefined;
    try {
      return new ServiceManager(path, environment, onFailure);
    } catch (error) {
      onFailure(`${path}: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** One line for a person who looks at the service. */
  status(text: string): void {
    this.#send([`STATUS=${oneLine(text)}`]);
  }

  /** From the first time on, a timer of the event loop says that the loop goes on, if systemd wants to hear of it. */
  ready(text: string): void {
    this.#send(["READY=1", `STATUS=${oneLine(text)}`]);
    if (this.#watchdogMs === undefined || this.#watchdog !== undefined) return;
    this.#watchdog = setInterval(() => {
      if (this.#waiting.length === 0) this.#isSent("WATCHDOG=1");
    }, this.#watchdogMs);
    this.#watchdog.unref();
  }

  /** `ready` ends it. */
  reloading(): void {
    this.#send(["RELOADING=1", `MONOTONIC_USEC=${this.#monotonicMicroseconds()}`]);
  }

  stopping(): void {
    this.#send(["STOPPING=1", "STATUS=Saving what is not saved yet"]);
  }

  #monotonicMicroseconds(): bigint {
    const time = new BigInt64Array(2);
    this.#libc.clock_gettime(CLOCK_MONOTONIC, time);
    const [seconds = 0n, nanoseconds = 0n] = time;
    return seconds * 1_000_000n + nanoseconds / 1000n;
  }

  /** In order: what the socket has no room for now is tried again. */
  #send(lines: readonly string[]): void {
    this.#waiting.push(lines.join("\n"));
    if (this.#waiting.length === 1) this.#sendWaiting(RETRIES);
  }

  #sendWaiting(retriesLeft: number): void {
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      if (this.#isSent(next)) {
        this.#waiting.shift();
        continue;
      }
      if (retriesLeft > 0) setTimeout(() => this.#sendWaiting(retriesLeft - 1), RETRY_MS).unref();
      else {
        this.#waiting.length = 0;
        // Once: it would be said again with each message.
        if (!this.#hasFailed) this.#onFailure(`the socket did not take ${next.split("\n")[0]}`);
        this.#hasFailed = true;
      }
      return;
    }
  }

  #isSent(text: string): boolean {
    const message = Buffer.from(text);
    const { length } = message;
    const address = this.#address;
    const { sendto } = this.#libc;
    return (
      Number(sendto(this.#socket, message, length, MSG_NOSIGNAL_DONTWAIT, address, address.length)) === length
    );
  }
}

/** How often it is told that all is well; undefined when nobody asks, or it is another process that they ask. */
function watchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }: Environment): number | undefined {
  const microseconds = Number(WATCHDOG_USEC);
  if (!(microseconds > 0)) return undefined;
  if (WATCHDOG_PID !== undefined && Number(WATCHDOG_PID) !== process.pid) return undefined;
  return microseconds / 1000 / WATCHDOG_SHARE;
}

function load() {
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, FUNCTIONS).symbols;
    } catch {
      // The other one, then.
    }
  }
  throw new Error(`none of ${LIBRARIES.join(", ")} can be loaded`);
}

/** struct sockaddr_un. A name that begins with @ is one that no file stands for: its first byte is zero. */
function addressOf(path: string): Uint8Array {
  if (!/^[/@]/.test(path)) throw new Error("expected a path, or a name that begins with @");
  const isAbstract = path.startsWith("@");
  const name = Buffer.from(isAbstract ? path.slice(1) : path);
  if (name.length > PATH_BYTES_MAX - (isAbstract ? 1 : 0)) throw new Error("the path is too long");
  const family = Buffer.from(new Uint16Array([AF_UNIX]).buffer);
  const zero = Buffer.alloc(1);
  return Buffer.concat(isAbstract ? [family, zero, name] : [family, name, zero]);
}

const oneLine = (text: string): string => text.replaceAll("\n", " ");
