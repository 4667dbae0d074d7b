import http from 'node:http';
import httpProxy from 'http-proxy';

const proxy = httpProxy.createProxyServer({ target: { host: '127.0.0.1', port: process.argv[2] }, ws: true });
proxy.on('error', console.error);
const server = http.createServer((_request, response) => response.writeHead(426).end());
server.on('upgrade', (request, socket, head) => {
  socket.on('error', console.error);
  proxy.ws(request, socket, head);
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
