/**
 * What systemd is to a service: a datagram socket that hears what the service says of itself.
 */
import { dlopen, FFIType } from "bun:ffi";

const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
});
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const LOOK_MS = 2;

export class NotifySocket implements Disposable {
  readonly #socket = libc.socket(AF_UNIX, SOCK_DGRAM, 0);
  readonly #buffer = new Uint8Array(4096);
  /** All that was heard so far. */
  readonly messages: string[] = [];

  /** `name`: as NOTIFY_SOCKET has it, a path or `@` and a name. */
  constructor(name: string) {
    const path = Buffer.from(`${name.replace(/^@/, "\0")}${name.startsWith("@") ? "" : "\0"}`);
    const address = Buffer.concat([Buffer.from(new Uint16Array([AF_UNIX]).buffer), path]);
    if (libc.bind(this.#socket, address, address.length) !== 0) throw new Error(`Cannot bind ${name}`);
  }

  /** The first message from `from` on that matches, and its place. */
  async waitFor(pattern: RegExp, from = 0): Promise<{ text: string; index: number }> {
    for (;;) {
      this.#read();
      const index = this.messages.findIndex((text, at) => at >= from && pattern.test(text));
      if (index >= 0) return { text: this.messages[index] as string, index };
      await Bun.sleep(LOOK_MS);
    }
  }

  #read(): void {
    for (;;) {
      const length = Number(libc.recv(this.#socket, this.#buffer, this.#buffer.length, MSG_DONTWAIT));
      if (length < 0) return;
      this.messages.push(Buffer.from(this.#buffer.subarray(0, length)).toString());
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.#socket);
  }
}
