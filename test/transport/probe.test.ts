import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { probe } from '../../src/transport/probe.ts';

test('a listening program is there, and absent once it has ended', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  assert.equal(await probe('127.0.0.1', port, 10_000), 'there');
  server.close();
  await once(server, 'close');
  assert.equal(await probe('127.0.0.1', port, 10_000), 'absent');
});

test('an address that cannot be dialled is absent', async () => {
  // TCP knows no broadcast, so the system refuses it on any machine, whatever networks that has.
  assert.equal(await probe('255.255.255.255', 1, 10_000), 'absent');
});

test('a program that does not answer in time is silent', {
  skip: process.platform !== 'linux' && 'Linux drops what finds a full backlog',
}, async (t) => {
  const program =
    "require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () { console.log(this.address().port) })";
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [printed] = await once(child.stdout, 'data');
  const port = Number(printed);
  // It accepts nobody from now on.
  child.kill('SIGSTOP');
  for (let waiting = 0; waiting < 4; waiting++) await probe('127.0.0.1', port, 200);
  assert.equal(await probe('127.0.0.1', port, 200), 'silent');
});
