/**
 * A client on a bare TCP socket, for what no WebSocket client does: not reading.
 */
import { connect, type Socket } from "node:net";

const OPCODE_TEXT = 1;
const OPCODE_CLOSE = 8;
const OPCODE_PING = 9;
const OPCODE_PONG = 10;
const HANDSHAKE_END = "\r\n\r\n";

export class RawClient implements AsyncDisposable {
  readonly #socket: Socket;
  /** What was read and is not taken yet. */
  #chunks: Buffer[] = [];
  #length = 0;
  #wake: () => void = () => {};
  #isOver = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#chunks.push(bytes);
      this.#length += bytes.length;
      this.#wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#isOver = true;
      this.#wake();
    });
  }

  /** Resolves with a client that has read the server's first frame, and reads no more. */
  static async connect(port: number, key: string): Promise<RawClient> {
    const client = new RawClient(connect(port, "127.0.0.1"));
    client.#socket.write(
      `GET /?api-key=${encodeURIComponent(key)} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n` +
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    let headLength = 0;
    while (headLength < HANDSHAKE_END.length) {
      const bytes = await client.#peek(client.#length + 1);
      headLength = bytes.indexOf(HANDSHAKE_END) + HANDSHAKE_END.length;
    }
    client.#drop(headLength);
    await client.next();
    return client;
  }

  /** Sends text frames in one write. */
  send(frames: readonly string[]): void {
    this.#socket.write(Buffer.concat(frames.map(encodeText)));
  }

  /** Reads the next text frame, or the close frame as its code; the socket is read from only meanwhile. */
  async next(): Promise<string | number> {
    for (;;) {
      const opcode = ((await this.#peek(2))[0] as number) & 15;
      const { start, length } = await this.#readHead();
      const payload = (await this.#peek(start + length)).subarray(start, start + length);
      this.#drop(start + length);
      if (opcode === OPCODE_TEXT) return payload.toString("utf8");
      if (opcode === OPCODE_CLOSE) return payload.readUInt16BE(0);
      if (opcode === OPCODE_PING) this.#socket.write(encodePong(payload));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
  }

  /** Where the payload starts, and its length. */
  async #readHead(): Promise<{ start: number; length: number }> {
    const length = ((await this.#peek(2))[1] as number) & 127;
    if (length < 126) return { start: 2, length };
    if (length === 126) return { start: 4, length: (await this.#peek(4)).readUInt16BE(2) };
    return { start: 10, length: Number((await this.#peek(10)).readBigUInt64BE(2)) };
  }

  /** Waits for so many bytes, and leaves them where they are. */
  async #peek(length: number): Promise<Buffer> {
    while (this.#length < length) {
      if (this.#isOver) throw new Error("The connection is over");
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#socket.resume();
      await woken;
      this.#socket.pause();
    }
    const bytes = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    this.#chunks = [bytes];
    return bytes;
  }

  #drop(length: number): void {
    this.#chunks = this.#chunks.map((bytes) => bytes.subarray(length));
    this.#length -= length;
  }
}

const FINAL = 0x80;
const MASKED = 0x80;
/** In place of a length: the length follows in two bytes. */
const LENGTH_16_BITS = 126;

/** Masked with zeros, which leaves the payload as it is. */
function encodeText(text: string): Buffer {
  const payload = Buffer.from(text);
  const head = Buffer.alloc(8);
  head[0] = FINAL | OPCODE_TEXT;
  head[1] = MASKED | LENGTH_16_BITS;
  head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

function encodePong(payload: Buffer): Buffer {
  const mask = Buffer.alloc(4);
  return Buffer.concat([Buffer.of(FINAL | OPCODE_PONG, MASKED | payload.length), mask, payload]);
}
