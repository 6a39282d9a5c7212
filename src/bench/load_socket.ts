/**
 * A WebSocket client that costs less than the server it measures: frames are prepared ahead and sent as they are, and
 * replies are counted, not decoded. An ordinary client spends more on a message than a fast server does.
 */
import type { Socket } from "bun";

/** Called once a reply: its size in bytes, and its first bytes, which hold until the call returns. */
export type ReplyListener = (size: number, head: Buffer) => void;

const HEAD_BYTES = 512;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const FINAL_TEXT = 0x81;
const MASKED = 0x80;
const OPCODE = 0x0f;
const OPCODE_TEXT = 1;
const OPCODE_CLOSE = 8;
const OPCODE_PING = 9;
/** A frame's header without its mask is at most so long. */
const HEADER_BYTES_MAX = 10;

/** A text frame as a client sends it. The mask is all zero, which leaves the text as it is. */
export function textFrame(text: string): Buffer {
  const size = Buffer.byteLength(text);
  const header = Buffer.alloc(size < LENGTH_16 ? 6 : size < 0x1_0000 ? 8 : 14);
  header[0] = FINAL_TEXT;
  if (size < LENGTH_16) header[1] = MASKED | size;
  else if (size < 0x1_0000) {
    header[1] = MASKED | LENGTH_16;
    header.writeUInt16BE(size, 2);
  } else {
    header[1] = MASKED | LENGTH_64;
    header.writeBigUInt64BE(BigInt(size), 2);
  }
  const frame = Buffer.allocUnsafe(header.length + size);
  header.copy(frame);
  frame.write(text, header.length);
  return frame;
}

export class LoadSocket {
  onReply: ReplyListener = () => {};
  /** Called when the connection ends before `close()`. */
  onEnd: (reason: Error) => void = () => {};

  readonly #head = Buffer.alloc(HEAD_BYTES);
  readonly #header = Buffer.alloc(HEADER_BYTES_MAX);
  #socket: Socket<undefined> | undefined;
  #handshake: string | undefined = "";
  #headerFilled = 0;
  #opcode = 0;
  #size = 0;
  #left = 0;
  #isReading = false;
  #isClosed = false;
  /** Frames that are sent while replies are being read leave together. */
  #gathered: Uint8Array[] = [];
  #unsent: Uint8Array[] = [];
  /** The parts of a reply that is wanted whole. */
  #whole: Buffer[] | undefined;

  private constructor() {}

  /** Resolves after the server's first frame. @throws Error that says what the server answered instead */
  static async open(url: URL, key: string): Promise<LoadSocket> {
    const self = new LoadSocket();
    const ready = Promise.withResolvers<void>();
    self.onReply = () => ready.resolve();
    self.onEnd = ready.reject;
    const isSecure = url.protocol === "wss:";
    self.#socket = await connect({
      hostname: url.hostname.replace(/^\[|\]$/g, ""),
      port: Number(url.port || (isSecure ? 443 : 80)),
      tls: isSecure,
      socket: {
        data: (_, bytes) => self.#data(bytes),
        drain: () => self.#flush(),
        close: () => self.#end(new Error("The server closed the connection")),
        error: (_, error) => self.#end(error),
      },
    });
    const query = new URLSearchParams({ "api-key": key, name: "bench" });
    self.#write(
      Buffer.from(
        `GET ${url.pathname}?${query} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\n` +
          "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Zmx1eGlvbmRiLWJlbmNoIQ==\r\n\r\n",
      ),
    );
    await ready.promise;
    self.onEnd = () => {};
    return self;
  }

  send(frame: Uint8Array): void {
    if (this.#isReading) this.#gathered.push(frame);
    else this.#write(frame);
  }

  /** Sends one message and resolves with its whole reply; nothing else may be under way. */
  ask(frame: Uint8Array): Promise<string> {
    const parts: Buffer[] = [];
    this.#whole = parts;
    return new Promise((resolve, reject) => {
      this.onEnd = reject;
      this.onReply = () => {
        this.#whole = undefined;
        this.onEnd = () => {};
        resolve(Buffer.concat(parts).toString());
      };
      this.send(frame);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.end();
  }

  #end(reason: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.onEnd(reason);
  }

  #data(received: Buffer): void {
    const bytes = this.#handshake === undefined ? received : this.#readHandshake(received);
    this.#isReading = true;
    this.#read(bytes);
    this.#isReading = false;
    const frames = this.#gathered;
    if (frames.length === 0) return;
    this.#gathered = [];
    this.#write(frames.length === 1 ? (frames[0] as Uint8Array) : Buffer.concat(frames));
  }

  /** Returns what comes behind it. */
  #readHandshake(received: Buffer): Buffer {
    this.#handshake += received.toString("latin1");
    const text = this.#handshake as string;
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return Buffer.alloc(0);
    if (!text.startsWith("HTTP/1.1 101")) {
      this.#end(new Error(`The server refused the connection: ${describeRefusal(text, end)}`));
      this.#socket?.end();
      return Buffer.alloc(0);
    }
    this.#handshake = undefined;
    return Buffer.from(text.slice(end + 4), "latin1");
  }

  #read(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const end = Math.min(bytes.length, at + this.#left);
        const read = this.#size - this.#left;
        if (read < HEAD_BYTES) bytes.copy(this.#head, read, at, end);
        this.#whole?.push(Buffer.from(bytes.subarray(at, end)));
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#endFrame();
        continue;
      }
      this.#header[this.#headerFilled++] = bytes[at++] as number;
      this.#readHeader();
    }
  }

  #readHeader(): void {
    if (this.#headerFilled < 2) return;
    const length = (this.#header[1] as number) & LENGTH_64;
    const size = length < LENGTH_16 ? 2 : length === LENGTH_16 ? 4 : 10;
    if (this.#headerFilled < size) return;
    this.#headerFilled = 0;
    this.#opcode = (this.#header[0] as number) & OPCODE;
    this.#size =
      size === 2
        ? length
        : size === 4
          ? this.#header.readUInt16BE(2)
          : Number(this.#header.readBigUInt64BE(2));
    this.#left = this.#size;
    if (this.#left === 0) this.#endFrame();
  }

  #endFrame(): void {
    if (this.#opcode === OPCODE_TEXT) this.onReply(this.#size, this.#head);
    else if (this.#opcode === OPCODE_CLOSE) this.#end(new Error("The server closed the connection"));
    else if (this.#opcode === OPCODE_PING) this.send(Buffer.from([0x8a, MASKED, 0, 0, 0, 0]));
  }

  #write(bytes: Uint8Array): void {
    this.#unsent.push(bytes);
    if (this.#unsent.length === 1) this.#flush();
  }

  #flush(): void {
    for (let bytes = this.#unsent[0]; bytes !== undefined && !this.#isClosed; bytes = this.#unsent[0]) {
      const written = Math.max(0, this.#socket?.write(bytes) ?? 0);
      if (written < bytes.length) {
        this.#unsent[0] = bytes.subarray(written);
        return;
      }
      this.#unsent.shift();
    }
  }
}

async function connect(options: Bun.TCPSocketConnectOptions<undefined>): Promise<Socket<undefined>> {
  try {
    return await Bun.connect(options);
  } catch (cause) {
    const address = `${options.hostname}:${options.port}`;
    throw new Error(`Nothing answers on ${address}. Is the server running, and is this its address?`, {
      cause,
    });
  }
}

function describeRefusal(response: string, headersEnd: number): string {
  const status = response.slice("HTTP/1.1 ".length, response.indexOf("\r\n"));
  const body = response.slice(headersEnd + 4).trim();
  return body === "" ? status : `${status}, ${body}`;
}
