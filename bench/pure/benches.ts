/** The pure functions with realistic input. */
import { encodeFrame } from '../../src/frame/encode.ts';
import { Opcode, type Side } from '../../src/frame/vocabulary.ts';
import { KIBIBYTE } from '../units.ts';
import type { PureModules } from './modules.ts';

export interface PureBench {
  readonly name: string;
  readonly run: () => unknown;
}

/** The most that one read from a socket gives. */
const CHUNK_BYTES = 64 * KIBIBYTE;
const SIZES: readonly [name: string, bytes: number][] = [
  ['20 B', 20],
  ['125 B', 125],
  ['1 KiB', KIBIBYTE],
  ['64 KiB', 64 * KIBIBYTE],
];

const BROWSER_HEAD = Buffer.from(
  [
    'GET /ws HTTP/1.1',
    'Host: 127.0.0.1:31415',
    'Connection: Upgrade',
    'Pragma: no-cache',
    'Cache-Control: no-cache',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
    'Upgrade: websocket',
    'Origin: http://127.0.0.1:31415',
    'Sec-WebSocket-Version: 13',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Accept-Language: en-US,en;q=0.9,de;q=0.8',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
    'Sec-WebSocket-Protocol: hypi.v1',
    '',
    '',
  ].join('\r\n'),
);
const MAX_HEAD_BYTES = 16 * KIBIBYTE;
const MAX_HEAD_FIELDS = 100;

/** Input that is unmasked or parsed twice is masked again: that takes as long. */
export function benchesOf(modules: PureModules): PureBench[] {
  return [
    ...unmask(modules),
    ...parse(modules),
    ...encode(modules),
    ...utf8(modules),
    ...head(modules),
    ...boundaryWalk(modules),
    ...[100, 1000, 10_000].flatMap((nodes) => initSnapshot(modules, nodes)),
  ];
}

function unmask({ mask: { Masker } }: PureModules): PureBench[] {
  return SIZES.map(([name, bytes]) => {
    const masker = new Masker();
    // Behind a header, as it lies in a chunk.
    const chunk = Buffer.alloc(6 + bytes, 0x61);
    return {
      name: `unmask ${name}`,
      run: () => {
        masker.apply(chunk, 6, chunk.length, 0x1badf00d);
        masker.release();
      },
    };
  });
}

function parse({ parser: { FrameParser } }: PureModules): PureBench[] {
  return SIZES.map(([name, bytes]) => {
    const chunk = chunkOf('client', bytes);
    const parser = new FrameParser('server', { onHeader: () => {}, onPayload: () => {} });
    return { name: `parse a chunk of ${name} frames`, run: () => parser.push(chunk) };
  });
}

function encode({ encode: { encodeFrame, encodeText } }: PureModules): PureBench[] {
  const event = `{"event":"node_joined","node":{"cwd":"${'/home/user'.repeat(24)}"}}`;
  const withUmlauts = event.replaceAll('user', 'üser');
  const payload = Buffer.alloc(KIBIBYTE, 0x61);
  return [
    { name: 'encode text, 300 B, ASCII', run: () => encodeText('server', event) },
    { name: 'encode text, 300 B, umlauts', run: () => encodeText('server', withUmlauts) },
    { name: 'encode a frame, 1 KiB', run: () => encodeFrame('server', Opcode.BINARY, payload) },
    { name: 'encode a masked frame, 1 KiB', run: () => encodeFrame('client', Opcode.BINARY, payload) },
  ];
}

function utf8({ utf8: { Utf8Validator } }: PureModules): PureBench[] {
  const validator = new Utf8Validator();
  const ascii = Buffer.alloc(KIBIBYTE, 0x61);
  const mixed = Buffer.from('naïve 日本語 😀 '.repeat(46));
  // In the middle of the emoji that it ends with.
  const [first, second] = [mixed.subarray(0, -3), mixed.subarray(-3)];
  return [
    { name: 'UTF-8, 1 KiB, ASCII', run: () => validator.push(ascii) },
    { name: 'UTF-8, 1 KiB, mixed', run: () => validator.push(mixed) },
    { name: 'UTF-8, 1 KiB, cut in a code point', run: () => validator.push(first) && validator.push(second) },
  ];
}

function head({ headAccumulator, message, handshake }: PureModules): PureBench[] {
  const { HeadAccumulator } = headAccumulator;
  const accumulate = (chunks: readonly Buffer[]) => {
    const accumulator = new HeadAccumulator(MAX_HEAD_BYTES, 'request');
    let accumulated = null;
    for (const chunk of chunks) accumulated = accumulator.push(chunk);
    return accumulated?.head as Buffer;
  };
  const whole = [BROWSER_HEAD];
  const byteByByte = [...BROWSER_HEAD].map((byte) => Buffer.of(byte));
  const parsed = message.parseRequestHead(BROWSER_HEAD, MAX_HEAD_FIELDS);
  return [
    { name: 'accumulate a head', run: () => accumulate(whole) },
    { name: 'accumulate a head byte by byte', run: () => accumulate(byteByByte) },
    { name: 'accumulate and parse a head', run: () => message.parseRequestHead(accumulate(whole), MAX_HEAD_FIELDS) },
    {
      name: 'read an upgrade, encode the 101',
      run: () => handshake.encodeUpgradeResponse(handshake.readUpgradeRequest(parsed).key, null, null),
    },
  ];
}

function boundaryWalk({ boundary: { BoundaryWalker } }: PureModules): PureBench[] {
  return SIZES.map(([name, bytes]) => {
    const chunk = chunkOf('client', bytes);
    const walker = new BoundaryWalker('server');
    return { name: `walk a chunk of ${name} frames`, run: () => walker.walk(chunk) };
  });
}

/** The cost of the roster's next reader: after a change, and while nothing changes. */
function initSnapshot({ registry: { Registry }, encode: { encodeText } }: PureModules, nodes: number): PureBench[] {
  const registry = new Registry({ nodeTtlMs: 60_000, maxNodes: nodes, maxRosterBytes: Number.POSITIVE_INFINITY });
  const owners = Array.from({ length: nodes }, () => ({}));
  const registrant = { address: '127.0.0.1', isHere: true, namesHere: false };
  const register = (i: number) => {
    const info = { id: `agent-${i}`, machine: 'laptop.local', cwd: `/home/user/project-${i}`, port: 1024 + i, pid: i };
    registry.register(owners[i] as object, info, registrant, { unixMs: i, steadyMs: i });
  };
  for (let i = 0; i < nodes; i++) register(i);
  return [
    {
      name: `init of ${nodes} nodes, joined after a change`,
      run: () => {
        register(0);
        return encodeText('server', registry.initJson);
      },
    },
    { name: `init of ${nodes} nodes, encoded once more`, run: () => encodeText('server', registry.initJson) },
  ];
}

/** As many whole frames as one read can hold, and at least one. */
function chunkOf(side: Side, payloadBytes: number): Buffer {
  const frame = encodeFrame(side, Opcode.BINARY, Buffer.alloc(payloadBytes, 0x61));
  return Buffer.concat(new Array(Math.max(1, Math.floor(CHUNK_BYTES / frame.length))).fill(frame));
}
