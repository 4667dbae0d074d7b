// The smallest server on the daemon's addresses: node:net, and one answer for every request.
import { createServer } from 'node:net';

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n';

for (const host of ['127.0.0.1', '::1']) {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(ANSWER);
  });
  // Not every machine has IPv6.
  server.on('error', (error) => console.error(error.message));
  server.listen({ host, port: Number(process.env.PORT ?? 0), backlog: 4096 });
}
