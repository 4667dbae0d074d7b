// A yardstick: node:net and the least that echoes. Nothing is checked, and a message of more than 125 bytes is not
// understood.
import { createServer } from 'node:net';
import { upgradeResponse } from './net-upgrade.mjs';

const HEADER_BYTES = 6;

function echo(socket) {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    // The answer overwrites the received bytes. It is shorter, because it has no masking keys.
    let length = 0;
    while (at + HEADER_BYTES <= bytes.length) {
      const payloadLength = bytes[at + 1] & 0x7f;
      const end = at + HEADER_BYTES + payloadLength;
      if (end > bytes.length) break;
      let key = bytes.readInt32LE(at + 2);
      bytes[length++] = bytes[at];
      bytes[length++] = payloadLength;
      for (at += HEADER_BYTES; at < end; at++) {
        bytes[length++] = bytes[at] ^ key;
        key = (key >>> 8) | (key << 24);
      }
    }
    if (length > 0) socket.write(bytes.subarray(0, length));
    rest = bytes.subarray(at);
  };
}

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.once('data', (head) => {
    socket.write(upgradeResponse(head));
    socket.on('data', echo(socket));
  });
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
