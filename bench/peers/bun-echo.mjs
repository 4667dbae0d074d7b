const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.env.PORT ?? 0),
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response('Upgrade Required', { status: 426 })),
  websocket: {
    // The default, 1 MiB, drops messages for a client with more unread bytes.
    backpressureLimit: 64 * 1024 * 1024,
    message(socket, message) {
      socket.send(message);
    },
  },
});
console.log(JSON.stringify({ port: server.port }));
