import { createHash } from 'node:crypto';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** A 101 for whatever a well-meaning client has asked. */
export function upgradeResponse(head) {
  const [, key] = /^sec-websocket-key: (.*)\r$/im.exec(head.latin1Slice());
  const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}
