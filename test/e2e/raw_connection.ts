/**
 * A WebSocket as its bytes, for what no client library sends, and to tell whether every byte arrives.
 *
 * What is read behind the server's first frame is hashed, not kept.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { SECRET_KEY } from "../support/server_process.ts";

const READY_FRAME = '{"message":"Authentication successful","type":"ready"}';

/** The first byte of a frame: whether it is the last of its message, and what it is. */
export const FINAL = 0x80;
export const TEXT = 1;

const MASKED = 0x80;
/** In place of a length: the length follows in so many bits. */
const LENGTH_16_BITS = 126;
const LENGTH_64_BITS = 127;

/** A client's frame of less than 64 KiB. Its mask is of zeros, which leaves the payload as it is. */
export function clientFrame(firstByte: number, payload: Uint8Array | string): Buffer {
  const bytes = Buffer.from(payload);
  const { length } = bytes;
  const head = length < LENGTH_16_BITS ? [length] : [LENGTH_16_BITS, length >> 8, length & 0xff];
  head[0] = (head[0] as number) | MASKED;
  return Buffer.concat([Buffer.from([firstByte, ...head, 0, 0, 0, 0]), bytes]);
}

/** A server's text frame, of 64 KiB or more. */
export function serverFrame(payload: Uint8Array): Buffer {
  const head = Buffer.from([FINAL | TEXT, LENGTH_64_BITS, 0, 0, 0, 0, 0, 0, 0, 0]);
  head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}

export class RawConnection implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #hash = new Bun.CryptoHasher("sha256");
  #length = 0;

  /** Resolves when the server has closed it. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on("end", resolve).on("close", () => resolve());
      // A reset is an end like any other.
      socket.on("error", () => resolve());
    });
  }

  /** Resolves when the server's first frame was read; nothing more is read yet. */
  static async open(port: number): Promise<RawConnection> {
    const socket = connect(port, "127.0.0.1");
    const connection = new RawConnection(socket);
    socket.write(
      `GET /?api-key=${SECRET_KEY} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let start = "";
    while (!start.endsWith(READY_FRAME)) {
      const [bytes] = (await once(socket, "data")) as [Buffer];
      start += bytes.toString("latin1");
    }
    socket.pause();
    socket.on("data", (bytes: Buffer) => {
      connection.#hash.update(bytes);
      connection.#length += bytes.length;
      socket.emit("taken");
    });
    socket.pause();
    return connection;
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Reads from now on. */
  read(): void {
    this.#socket.resume();
  }

  /** Reads so many bytes and resolves with how many there were, and their SHA-256 in hexadecimal. */
  async take(length: number): Promise<{ length: number; hash: string }> {
    this.read();
    while (this.#length < length) {
      await Promise.race([once(this.#socket, "taken"), this.closed.then(() => Promise.reject(endedError()))]);
    }
    return { length: this.#length, hash: this.#hash.digest("hex") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    await this.closed;
  }
}

const endedError = (): Error => new Error("The connection ended before all was read");
