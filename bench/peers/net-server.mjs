// The least that serves: node:net, and one answer for everyone.
import { createServer } from 'node:net';

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n';

createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.end(ANSWER);
}).listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 0), backlog: 4096 });
