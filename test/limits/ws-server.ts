/** A ws server with its defaults that gives each message to all others, in a process of its own. */
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
server.on('connection', (from) => {
  from.on('error', () => {});
  from.on('message', (payload, binary) => {
    for (const to of server.clients) if (to !== from) to.send(payload, { binary });
  });
});
server.on('listening', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit());
