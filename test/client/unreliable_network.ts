/**
 * A way to a server that can be cut, fall silent and come back: a TCP proxy.
 */
import type { Socket, TCPSocketListener } from "bun";

type Peer = { other: Socket<Peer> | undefined; readonly waiting: Buffer[] };

export class UnreliableNetwork implements Disposable {
  readonly #target: () => number;
  readonly #sockets = new Set<Socket<Peer>>();
  readonly port: number;
  #listener: TCPSocketListener<Peer> | undefined;
  #isSilent = false;
  /** How many connections were ever made. */
  connectionCount = 0;

  /** `target`: the port of the server, asked for at each connection. */
  constructor(target: () => number) {
    this.#target = target;
    this.#listener = this.#listen(0);
    this.port = this.#listener.port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** Breaks all connections. */
  cut(): void {
    for (const socket of [...this.#sockets]) socket.terminate();
  }

  /** Breaks all connections and takes no more. */
  goDown(): void {
    this.#listener?.stop(true);
    this.#listener = undefined;
    this.cut();
  }

  comeBack(): void {
    this.#isSilent = false;
    this.#listener ??= this.#listen(this.port);
  }

  /** What is sent from now on, in either direction, gets lost without a word. */
  fallSilent(): void {
    this.#isSilent = true;
  }

  [Symbol.dispose](): void {
    this.goDown();
  }

  #listen(port: number): TCPSocketListener<Peer> {
    return Bun.listen<Peer>({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => {
          this.connectionCount++;
          this.#sockets.add(socket);
          socket.data = { other: undefined, waiting: [] };
          void this.#connect(socket);
        },
        data: (socket, bytes) => this.#pass(socket, bytes),
        close: (socket) => this.#closed(socket),
      },
    });
  }

  async #connect(socket: Socket<Peer>): Promise<void> {
    const other = await Bun.connect<Peer>({
      hostname: "127.0.0.1",
      port: this.#target(),
      socket: {
        open: (opened) => {
          opened.data = { other: socket, waiting: [] };
          this.#sockets.add(opened);
        },
        data: (from, bytes) => this.#pass(from, bytes),
        close: (from) => this.#closed(from),
      },
    });
    socket.data.other = other;
    for (const bytes of socket.data.waiting.splice(0)) other.write(bytes);
  }

  /** Tests send little enough for a socket to take it at once. */
  #pass(from: Socket<Peer>, bytes: Buffer): void {
    if (this.#isSilent) return;
    const { other, waiting } = from.data;
    if (other === undefined) waiting.push(Buffer.from(bytes));
    else if (other.write(bytes) < bytes.length) throw new Error("The proxy's socket is full");
  }

  #closed(socket: Socket<Peer>): void {
    this.#sockets.delete(socket);
    socket.data.other?.terminate();
  }
}
