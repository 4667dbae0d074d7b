const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch(request, server) {
    const publishes = new URL(request.url).pathname === '/publish';
    if (!server.upgrade(request, { data: { publishes } })) return new Response('Upgrade Required', { status: 426 });
  },
  websocket: {
    open(socket) {
      if (socket.data.publishes) return;
      socket.subscribe('roster');
      socket.send('{"event":"init","nodes":[],"protocol_version":"1"}');
    },
    message(_socket, message) {
      server.publish('roster', message);
    },
  },
});
console.log(JSON.stringify({ port: server.port }));
