/** Agents that open connections for the daemon through what stands before it: nginx, with TLS, that cuts what is silent. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { createHypivisor } from 'hypivisor';
import { freePort } from '../../bench/subjects/free-port.ts';
import { BackAgent } from '../support/back-agent.ts';
import { makeCertificate, whyNoCertificate } from '../support/certificate.ts';
import { Client } from '../support/client.ts';
import { eventually } from '../support/measure.ts';
import { RawPeer } from '../support/raw-peer.ts';

const NGINX = 'nginx';

async function whyNot(): Promise<string | false> {
  try {
    await promisify(execFile)(NGINX, ['-v']);
  } catch {
    return 'nginx is not installed';
  }
  return whyNoCertificate();
}

/** nginx with TLS before a daemon. @returns its port, and the certificate to trust */
async function startNginx(t: TestContext, daemonPort: number): Promise<{ port: number; ca: string }> {
  const { key, cert } = await makeCertificate();
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-nginx-'));
  const port = await freePort();
  await writeFile(join(folder, 'key.pem'), key, { mode: 0o600 });
  await writeFile(join(folder, 'cert.pem'), cert);
  const upgrade = `
      proxy_pass http://127.0.0.1:${daemonPort};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "Upgrade";
      proxy_set_header Host $http_host;`;
  await writeFile(
    join(folder, 'nginx.conf'),
    `
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem;
    location / {${upgrade}
    }
  }
}`,
  );
  const child: ChildProcess = spawn(NGINX, ['-c', join(folder, 'nginx.conf')], { stdio: 'ignore' });
  t.after(async () => {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  await eventually(async () => (await RawPeer.connect(port)).socket.destroy());
  return { port, ca: cert };
}

describe('through nginx and TLS', { skip: await whyNot(), timeout: 240_000 }, () => {
  test('agents are reached, though all seem to come from the proxy, and a spare that it cuts is renewed at once', async (t) => {
    const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', token: 'secret', home: '/nonexistent' });
    t.after(() => hypivisor.close());
    const daemon = await hypivisor.listen();
    const { port, ca } = await startNginx(t, daemon.port);
    const origin = `wss://localhost:${port}/ws`;
    const query = '?token=secret';
    const agents: BackAgent[] = [];
    for (const id of ['one', 'two']) {
      // Two laptops with the same name and port.
      const fields = { machine: 'ubuntu-of-somebody', port: 8080 };
      const onConnection = (socket: { send(text: string): void }) => socket.send(`I am ${id}`);
      const agent = await BackAgent.register(`${origin}${query}`, id, { fields, ca, onConnection });
      t.after(() => agent.stop());
      agents.push(agent);
      await eventually(() => assert.equal(hypivisor.nodes.find((node) => node.id === id)?.reach, 'dial-back'));
    }
    for (const id of ['one', 'two', 'one']) {
      const client = await Client.open(`${origin}/agent/${id}${query}`, [], { ca });
      assert.equal(String((await client.next()).payload), `I am ${id}`);
      client.terminate();
    }
    await eventually(() => assert.equal(hypivisor.counters.spares, 2));

    // nginx cuts after 60 s of silence, its default. Each that is opened from now on takes the place of one that it cut.
    const before = agents.map((agent) => agent.sockets.length);
    await eventually(() => {
      const renewed = agents.map((agent, n) => agent.sockets.length > (before[n] ?? 0));
      assert.deepEqual(renewed, [true, true]);
    }, 120_000);
    await eventually(() => assert.equal(hypivisor.counters.spares, 2));
    assert.equal(hypivisor.counters.ticketsRefused, 0);
    for (const node of hypivisor.nodes) assert.equal(node.reach, 'dial-back');
  });
});
