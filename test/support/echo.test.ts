/** The echo server, as a suite from outside meets it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { after, before, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { Client } from './client.ts';

const PROGRAM = fileURLToPath(new URL('echo.ts', import.meta.url));
const MAX_MESSAGE_BYTES = 2 ** 21;

function spawnEcho(...args: string[]): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

function start(t: TestContext, ...args: string[]): ChildProcess {
  const child = spawnEcho(...args);
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function endOf(child: ChildProcess): Promise<{ code: number | null; said: string }> {
  let said = '';
  child.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, said };
}

let server: ChildProcess;
let url: string;

before(async () => {
  server = spawnEcho('--max-message-bytes', String(MAX_MESSAGE_BYTES));
  const [line] = await once(createInterface({ input: server.stdout as NodeJS.ReadableStream }), 'line');
  url = line;
});

after(() => void server.kill('SIGKILL'));

test('echo: it prints its address', () => assert.match(url, /^ws:\/\/127\.0\.0\.1:[1-9]\d*\/$/));

test('echo: text comes back as text, binary as binary, of any size', async () => {
  const client = await Client.open(url);
  for (const size of [0, 1, 125, 126, 65_535, 65_536, MAX_MESSAGE_BYTES]) {
    const payload = Buffer.alloc(size, 'Grüße ');
    for (const binary of [true, false]) {
      const sent = binary ? payload : Buffer.alloc(size, 'ascii');
      client.socket.send(sent, { binary });
      const echo = await client.next();
      assert.equal(echo.isBinary, binary);
      assert.ok(echo.payload.equals(sent), `${size} bytes`);
    }
  }
  await client.close();
});

test('echo: fragments of 64 bytes, a ping between them', async () => {
  const client = await Client.open(url);
  const payload = Buffer.alloc(MAX_MESSAGE_BYTES / 16, 'fragments ');
  for (let at = 0; at < payload.length; at += 64) {
    client.socket.send(payload.subarray(at, at + 64), { binary: true, fin: at + 64 === payload.length });
    if (at === 640) client.socket.ping('between');
  }
  const [pong] = await once(client.socket, 'pong');
  assert.equal(String(pong), 'between');
  assert.ok((await client.next()).payload.equals(payload));
  await client.close();
});

test('echo: a close is answered with its code', async () => {
  const client = await Client.open(url);
  client.socket.close(4321, 'bye');
  assert.deepEqual(await client.closed, { code: 4321, reason: '' });
});

test('echo: what breaks a bound or the protocol ends that connection alone', async () => {
  const other = await Client.open(url);
  const client = await Client.open(url);
  client.socket.send(Buffer.alloc(MAX_MESSAGE_BYTES + 1));
  assert.equal((await client.closed).code, 1009);
  await assert.rejects(Client.open(url, [], { protocolVersion: 8 }), /426/);
  other.socket.send('still here');
  assert.equal(String((await other.next()).payload), 'still here');
  await other.close();
});

test('echo: a client that does not read is not read from', async () => {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await once(socket, 'open');
  socket.pause();
  const payload = Buffer.alloc(2 ** 20);
  const count = 64;
  let unsent = count;
  for (let i = 0; i < count; i++) socket.send(payload, () => unsent--);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(unsent > 0, 'the kernels hold less');
  let echoed = 0;
  const all = new Promise<void>((resolve) => {
    socket.on('message', () => ++echoed === count && resolve());
  });
  socket.resume();
  await all;
  socket.close();
  await once(socket, 'close');
});

test('echo: a bad flag and a port in use are a sentence each', async (t) => {
  assert.deepEqual((await endOf(start(t, '--port', 'x'))).code, 2);
  const { port } = new URL(url);
  const { code, said } = await endOf(start(t, '--port', port));
  assert.equal(code, 1);
  assert.match(said, /^Cannot listen on port \d+: .*EADDRINUSE/);
});

test('echo: a signal ends it, with clients attached', async (t) => {
  const child = start(t);
  const [line] = await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line');
  const client = await Client.open(line);
  child.kill('SIGINT');
  assert.equal((await endOf(child)).code, 0);
  await client.closed;
  const socket = net.connect(Number(new URL(line).port), '127.0.0.1');
  const [error] = await once(socket, 'error');
  assert.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED');
});
