/**
 * What Bun itself needs to take a message and send one: the floor below which no server on it gets.
 */
const REPLY = `{"id":"b","records":{"device-0":{"ts":1700000000,"data":"${"x".repeat(70)}"}}}`;

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: (request, self) => (self.upgrade(request) ? undefined : new Response(null, { status: 426 })),
  websocket: {
    maxPayloadLength: 2 ** 28,
    backpressureLimit: 2 ** 30,
    open: (socket) => {
      socket.send('{"message":"Authentication successful","type":"ready"}');
    },
    message: (socket) => {
      socket.send(REPLY);
    },
  },
});
console.error(`Ready: ws://127.0.0.1:${server.port}, an echo`);

// Nothing to import; a module of its own all the same.
export {};
