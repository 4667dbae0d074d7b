/** Hubs that join through TLS, with a certificate of one's own, and through an HTTP proxy. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { Agent } from '../support/agent.ts';
import { type Certificate, makeCertificate, whyNoCertificate } from '../support/certificate.ts';
import { ask, Dashboard, healthOf, PATIENCE_MS, startHub, untilJoins } from '../support/hub.ts';
import { eventually } from '../support/measure.ts';

async function listen(t: TestContext, server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => sockets.add(socket.on('error', () => {})));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
}

function splice(near: net.Socket, far: net.Socket): void {
  for (const socket of [near, far]) socket.on('error', () => {});
  near.pipe(far).pipe(near);
}

/** What stands before a daemon and speaks TLS. @returns its port */
function startTls(t: TestContext, { key, cert }: Certificate, port: number): Promise<number> {
  const server = tls.createServer({ key, cert }, (socket) => splice(socket, net.connect(port, '127.0.0.1')));
  server.on('tlsClientError', () => {});
  return listen(t, server);
}

async function writeCa(t: TestContext, { cert }: Certificate): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'ca.pem');
  await writeFile(file, cert);
  return file;
}

describe('hubs that join through others', { skip: await whyNoCertificate(), timeout: 240_000 }, () => {
  test('through TLS: with --join-ca a certificate is trusted, for its own name, and without it is not', async (t) => {
    const certificate = await makeCertificate(['DNS:localhost']);
    const ca = await writeCa(t, certificate);
    const upper = await startHub(t, 'server');
    const port = await startTls(t, certificate, upper.port);
    const url = `wss://localhost:${port}/ws`;
    const lower = await startHub(t, 'laptop', { join: [url], args: ['--join-ca', ca] });
    await untilJoins(lower, /joined/);
    const dashboard = await Dashboard.open(t, upper);
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    await agent.register(lower.registryUrl, 'x');
    await dashboard.shows({ x: 'laptop' });
    // The connections for relays go the same way.
    assert.equal(await ask(upper, 'x', 'hello'), 'hello');

    const distrustful = await startHub(t, 'phone', { join: [url] });
    await untilJoins(distrustful, /: connecting since .*SELF_SIGNED_CERT/);
    const elsewhere = await startHub(t, 'desk', { join: [`wss://127.0.0.1:${port}/ws`], args: ['--join-ca', ca] });
    await untilJoins(elsewhere, /: connecting since .*ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  test('through the proxy that HTTPS_PROXY names, relays too, and its password is in no log', async (t) => {
    const certificate = await makeCertificate(['DNS:hub.example.test']);
    const ca = await writeCa(t, certificate);
    const upper = await startHub(t, 'server');
    const tlsPort = await startTls(t, certificate, upper.port);
    const asked: string[] = [];
    const proxyPort = await listen(
      t,
      net.createServer((near) => {
        near.once('data', (head) => {
          asked.push(String(head));
          const far = net.connect(tlsPort, '127.0.0.1', () => {
            near.write('HTTP/1.1 200 Connection established\r\n\r\n');
            splice(near, far);
          });
        });
      }),
    );
    const lower = await startHub(t, 'laptop', {
      join: ['wss://hub.example.test/ws'],
      args: ['--join-ca', ca],
      env: { HTTPS_PROXY: `http://me:hidden@127.0.0.1:${proxyPort}` },
    });
    await untilJoins(lower, /^join server: joined/);
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    await agent.register(lower.registryUrl, 'x');
    const dashboard = await Dashboard.open(t, upper);
    await dashboard.shows({ x: 'laptop' });
    assert.equal(await ask(upper, 'x', 'hello'), 'hello');
    assert.ok(asked.length > 1, 'the link, and connections for relays');
    for (const head of asked) {
      assert.match(head, /^CONNECT hub\.example\.test:443 HTTP\/1\.1\r\n/);
      assert.match(head, /Proxy-Authorization: Basic bWU6aGlkZGVu\r\n/);
    }
    assert.equal([lower.stderr, ...(await healthOf(lower))].join().includes('hidden'), false);
  });

  test('a proxy that refuses, and a certificate file that is not there, are told in words', async (t) => {
    const proxyPort = await listen(
      t,
      net.createServer((socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')),
    );
    const lower = await startHub(t, 'laptop', {
      join: ['wss://hub.example.test/ws'],
      env: { HTTPS_PROXY: `http://127.0.0.1:${proxyPort}` },
    });
    await eventually(async () => {
      assert.match((await healthOf(lower)).join(), /the proxy answered with status 407/);
    }, PATIENCE_MS);
    const join = ['wss://hub.example.test/ws'];
    await assert.rejects(
      startHub(t, 'x', { join, args: ['--join-ca', '/nowhere/ca.pem'] }),
      /--join-ca: \/nowhere\/ca\.pem cannot be read \(ENOENT\)/,
    );
    await assert.rejects(
      startHub(t, 'x', { join, env: { HTTPS_PROXY: 'socks5://x' } }),
      /HTTPS_PROXY names a proxy with socks5:/,
    );
  });
});
