// Answers from node:http, after each of which the connection is closed: the daemon's own page, and a few words.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const PAGE = await readFile(new URL('../../dist/dashboard/index.html', import.meta.url));
const FIELDS = {
  'Content-Type': 'text/html; charset=utf-8',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  Connection: 'close',
};
const FORBIDDEN = 'Forbidden\n';

function answer(response, status, body) {
  response.writeHead(status, { ...FIELDS, 'Content-Length': Buffer.byteLength(body) }).end(body);
}

const server = createServer({ noDelay: true }, (request, response) => {
  if (request.url === '/') answer(response, 200, PAGE);
  else if (request.url === '/healthz') answer(response, 200, 'ok\n');
  else answer(response, 404, 'Not Found\n');
});
server.on('upgrade', (_request, socket) => {
  socket.on('error', () => socket.destroy());
  const fields = Object.entries({ ...FIELDS, 'Content-Length': Buffer.byteLength(FORBIDDEN) });
  const head = ['HTTP/1.1 403 Forbidden', ...fields.map(([name, value]) => `${name}: ${value}`), '', ''];
  socket.end(head.join('\r\n') + FORBIDDEN);
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
