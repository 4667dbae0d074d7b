/** What a head may hold. */
import { Daemon } from '../support/daemon.ts';
import { RawPeer } from '../support/raw-peer.ts';
import { exactly, type Part } from './figure.ts';

const START = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n';

function headOfBytes(bytes: number): string {
  const head = `${START}X: \r\n\r\n`;
  return head.replace('X: ', `X: ${'x'.repeat(bytes - head.length)}`);
}

function headOfFields(fields: number): string {
  return `${START}${'X: x\r\n'.repeat(fields - 1)}\r\n`;
}

async function statusOf(port: number, head: string): Promise<number> {
  const peer = await RawPeer.connect(port);
  peer.socket.write(head);
  const status = Number((await peer.head()).split(' ')[1]);
  peer.socket.destroy();
  return status;
}

export const heads: Part = {
  title: 'What a head may hold',
  async run() {
    const daemon = await Daemon.start();
    try {
      return [
        exactly('a head of 16 KiB', await statusOf(daemon.port, headOfBytes(16 * 1024)), 200),
        exactly('a head of 16 KiB and a byte', await statusOf(daemon.port, headOfBytes(16 * 1024 + 1)), 431),
        exactly('a head of 100 fields', await statusOf(daemon.port, headOfFields(100)), 200),
        exactly('a head of 101 fields', await statusOf(daemon.port, headOfFields(101)), 431),
      ];
    } finally {
      await daemon.stop();
    }
  },
};
