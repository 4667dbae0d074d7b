import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import tls from 'node:tls';
import { makeCertificate, whyNoCertificate } from '../support/certificate.ts';
import { Daemon } from '../support/daemon.ts';
import { HeadlessPi } from './headless.ts';
import { Home } from './home.ts';
import { Model } from './model.ts';
import { joinChat, RosterPeer } from './peers.ts';
import { PIS } from './pis.ts';

const withoutCertificate = await whyNoCertificate();
const NAME = 'hub.test';

for (const pi of PIS) {
  describe(`pi ${pi.version}, over TLS`, { timeout: 120_000, skip: withoutCertificate }, () => {
    let daemon: Daemon;
    let model: Model;
    let home: Home;
    let terminator: tls.Server;
    let proxy: http.Server;
    let ca = '';
    const asked: string[] = [];

    const portOf = (server: net.Server) => (server.address() as net.AddressInfo).port;

    before(async () => {
      daemon = await Daemon.start({ env: { HYPI_TOKEN: 'secret' } });
      model = await Model.start();
      home = await Home.create(model.url);
      const { key, cert } = await makeCertificate(['DNS:localhost', `DNS:${NAME}`]);
      ca = path.join(home.path, 'ca.pem');
      await writeFile(ca, cert);
      const pass = (one: net.Socket, other: net.Socket) => {
        one.pipe(other).pipe(one);
        for (const [socket, peer] of [
          [one, other],
          [other, one],
        ] as const) {
          socket.on('error', () => {});
          socket.on('close', () => peer.destroy());
        }
      };
      terminator = tls.createServer({ key, cert }, (socket) => pass(socket, net.connect(daemon.port, '127.0.0.1')));
      terminator.on('tlsClientError', () => {});
      proxy = http.createServer();
      // It alone knows where the name leads.
      proxy.on('connect', (request, socket) => {
        asked.push(request.url ?? '');
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        pass(socket as net.Socket, net.connect(portOf(terminator), '127.0.0.1'));
      });
      for (const server of [terminator, proxy]) {
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
      }
    });
    after(async () => {
      terminator.close();
      proxy.close();
      model.stop();
      await daemon.stop();
      await home.remove();
    });

    const chats = async (environment: NodeJS.ProcessEnv) => {
      const roster = new RosterPeer(daemon.origin, 'secret');
      await roster.event('init');
      const headless = new HeadlessPi(pi, home, { HYPI_TOKEN: 'secret', NODE_EXTRA_CA_CERTS: ca, ...environment });
      const node = await roster.joined();
      const [peer] = await joinChat(daemon.origin, node.id, 'secret');
      peer.say({ type: 'prompt', id: 'p1', text: 'hello' });
      await peer.state('idle');
      assert.equal(await headless.quit(), 0);
      roster.socket.terminate();
      assert.deepEqual(
        (await home.log()).filter(({ needsHardening }) => needsHardening),
        [],
      );
    };

    it('registers and chats', () => chats({ HYPIVISOR_WS: `wss://localhost:${portOf(terminator)}/ws` }));

    it('through a proxy, which alone knows the name', async () => {
      const environment = { HYPIVISOR_WS: `wss://${NAME}/ws`, HTTPS_PROXY: `http://127.0.0.1:${portOf(proxy)}` };
      await chats({ ...environment, NO_PROXY: '127.0.0.1,localhost' });
      assert.ok(asked.length > 0 && asked.every((authority) => authority === `${NAME}:443`), asked.join());
    });

    it('trusts nobody whom it has no reason to trust', async () => {
      const roster = new RosterPeer(daemon.origin, 'secret');
      const headless = new HeadlessPi(pi, home, {
        HYPI_TOKEN: 'secret',
        HYPIVISOR_WS: `wss://localhost:${portOf(terminator)}/ws`,
      });
      await headless.rpc({ type: 'get_state' });
      await new Promise((resolve) => setTimeout(resolve, 1500));
      assert.deepEqual(
        roster.messages.map(({ event }) => event),
        ['init'],
      );
      assert.equal(await headless.quit(), 0);
      roster.socket.terminate();
    });
  });
}
