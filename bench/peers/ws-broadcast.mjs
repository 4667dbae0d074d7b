import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, backlog: 4096 });
const watchers = new Set();
server.on('connection', (socket, request) => {
  socket.on('error', console.error);
  if (request.url === '/publish') {
    socket.on('message', (payload) => {
      for (const watcher of watchers) watcher.send(payload, { binary: false });
    });
  } else {
    socket.on('close', () => watchers.delete(socket));
    watchers.add(socket);
    socket.send('{"event":"init","nodes":[],"protocol_version":"1"}');
  }
});
server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })));
