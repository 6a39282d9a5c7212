/**
 * A client that means harm, in a process of its own: does one thing again and again until its standard input ends.
 *
 *   attacker.ts URL KEY KIND COUNT        prints an empty line when it is in place, and at the end how often it was done
 *
 * It is to run with low priority: a flood that comes over a network does not take the server's processor.
 */
import { connect, type Socket } from "bun";
import { textFrame } from "../../src/bench/load_socket.ts";
import { messageFrame } from "../../src/bench/runner.ts";
import { DEAR, LARGE, SCANNED } from "./hostile_data.ts";

const [address, key, kind, countText] = process.argv.slice(2) as [string, string, string, string];
const url = new URL(address);
const count = Number(countText);
const HANDSHAKES_AT_A_TIME = 50;
const FLOOD_BYTES = 64 * 1024;
let done = 0;
let isOver = false;
const inputEnded = (async () => {
  for await (const _ of Bun.stdin.stream()) {
  }
  isOver = true;
})();

const upgrade = (apiKey: string): string =>
  `GET /?api-key=${apiKey} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Zmx1eGlvbmRiLWJlbmNoIQ==\r\n\r\n";

type Raw = {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  isClosed: boolean;
  /** The next bytes; none when it is closed. */
  next(): Promise<Buffer>;
  /** Resolves when the network has taken all of it. */
  send(bytes: Uint8Array): Promise<void>;
};

async function open(firstBytes: string | Uint8Array): Promise<Raw> {
  const closed = Promise.withResolvers<void>();
  let received = Promise.withResolvers<Buffer>();
  let drained = Promise.withResolvers<void>();
  const end = (): void => {
    raw.isClosed = true;
    closed.resolve();
    received.resolve(Buffer.alloc(0));
    drained.resolve();
  };
  const socket = await connect({
    hostname: url.hostname,
    port: Number(url.port),
    socket: {
      data(_, bytes) {
        received.resolve(Buffer.from(bytes));
        received = Promise.withResolvers<Buffer>();
      },
      close: end,
      end,
      error: end,
      drain() {
        drained.resolve();
        drained = Promise.withResolvers<void>();
      },
    },
  });
  const raw: Raw = {
    socket,
    closed: closed.promise,
    isClosed: false,
    next: () => received.promise,
    async send(bytes) {
      for (let sent = 0; !raw.isClosed; await drained.promise) {
        sent += Math.max(0, socket.write(bytes.subarray(sent)));
        if (sent === bytes.length) return;
      }
    },
  };
  if (firstBytes.length > 0) socket.write(firstBytes);
  return raw;
}

/** A connection whose key was taken. */
async function login(): Promise<Raw> {
  const raw = await open("");
  const answered = raw.next();
  raw.socket.write(upgrade(key));
  await answered;
  return raw;
}

async function openMany(make: () => Promise<unknown>): Promise<void> {
  for (let opened = 0; opened < count; opened += HANDSHAKES_AT_A_TIME) {
    await Promise.all(Array.from({ length: Math.min(HANDSHAKES_AT_A_TIME, count - opened) }, make));
  }
  done = count;
}

/** So many at a time, each again when it is done. */
function repeat(act: () => Promise<void>): void {
  for (let at = 0; at < count; at++) {
    void (async () => {
      while (!isOver) {
        await act();
        done++;
      }
    })();
  }
}

const KINDS: Readonly<Record<string, () => Promise<void>>> = {
  idle: () => openMany(login),
  "half open": () => {
    let at = 0;
    return openMany(() => open(at++ % 2 === 0 ? "" : upgrade(key).slice(0, 60)));
  },
  "slow handshakes": async () => {
    const connections: Raw[] = [];
    await openMany(async () => connections.push(await open("GET / HTTP/1.1\r\nX: ")));
    void (async () => {
      for (; !isOver; await Bun.sleep(100)) for (const { socket } of connections) socket.write("x");
    })();
  },
  "slow readers": async () => {
    await openMany(async () => {
      const { socket } = await login();
      socket.pause();
      socket.write(messageFrame("qdoc", { ...LARGE, from: 0 }));
    });
  },
  "small frames": async () => {
    const frame = messageFrame("gval", { col: "c", key: "k" });
    const flood = Buffer.concat(Array(Math.ceil(FLOOD_BYTES / frame.length)).fill(frame));
    for (let at = 0; at < count; at++) {
      const raw = await login();
      void (async () => {
        for (; !isOver && !raw.isClosed; done++) await raw.send(flood);
      })();
    }
  },
  "bad frames": async () => {
    const garbage = textFrame("garbage");
    repeat(async () => {
      const raw = await login();
      raw.socket.write(garbage);
      await raw.closed;
      raw.socket.end();
    });
  },
  "failed logins": async () => {
    repeat(async () => {
      const raw = await open(upgrade("wrong"));
      await Promise.race([raw.next(), raw.closed]);
      raw.socket.end();
    });
  },
  patterns: async () => {
    let at = 0;
    repeat(async () => {
      const raw = await login();
      const { col, doc, where } = DEAR[at++ % DEAR.length] as (typeof DEAR)[number];
      raw.socket.write(messageFrame("qdoc", { col, doc, from: 0, where }));
      await Promise.race([raw.next(), inputEnded]);
      raw.socket.end();
    });
  },
  scan: async () => {
    repeat(async () => {
      const raw = await login();
      // Matches nothing, and has no literal that a search could find.
      raw.socket.write(messageFrame("qdoc", { ...SCANNED, from: 0, where: "/[0-9]+\\.[0-9]+z[0-9]/" }));
      await raw.next();
      raw.socket.end();
    });
  },
};

await KINDS[kind]?.();
process.stdout.write("\n");
await inputEnded;
process.stdout.write(`${done}\n`);
process.exit(0);
