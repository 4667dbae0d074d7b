import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, backlog: 4096 });
server.on('connection', (socket) => {
  socket.on('error', console.error);
  socket.on('message', (payload, isBinary) => socket.send(payload, { binary: isBinary }));
});
server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })));
