import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Node } from '../../src/protocol/registry.ts';
import { Daemon } from '../support/daemon.ts';
import { HeadlessPi } from './headless.ts';
import { Home } from './home.ts';
import { Model } from './model.ts';
import { joinChat, type Peer, RosterPeer } from './peers.ts';
import { ASKER, EXTENSION, PACKAGE, PIS } from './pis.ts';
import { TerminalPi, withoutTmux } from './terminal.ts';

for (const pi of PIS) {
  describe(`pi ${pi.version}`, { timeout: 300_000, skip: withoutTmux }, () => {
    let model: Model;
    let home: Home;
    const terminals: TerminalPi[] = [];

    beforeEach(async () => {
      model = await Model.start();
      home = await Home.create(model.url);
    });
    afterEach(async () => {
      for (const terminal of terminals.splice(0)) await terminal.end();
      model.stop();
      const faults = (await home.log()).filter(({ needsHardening }) => needsHardening);
      await home.remove();
      assert.deepEqual(faults, []);
    });

    const start = async (...args: [environment: NodeJS.ProcessEnv, args?: string[], extensions?: string[]]) => {
      const terminal = await TerminalPi.start(pi, home, ...args);
      terminals.push(terminal);
      return terminal;
    };

    describe('beside a hypivisor', () => {
      let daemon: Daemon;
      let roster: RosterPeer;
      let terminal: TerminalPi;
      let node: Node;
      let peer: Peer;

      beforeEach(async () => {
        daemon = await Daemon.start();
        roster = new RosterPeer(daemon.origin);
        await roster.event('init');
        terminal = await start({ HYPIVISOR_WS: daemon.registryUrl });
        node = await roster.joined();
        [peer] = await joinChat(daemon.origin, node.id);
        await terminal.shows(/hypivisor 1 agent/);
      });
      afterEach(async () => {
        roster.socket.terminate();
        peer.socket.terminate();
        await daemon.stop();
      });

      it('the footer says how many agents there are, links to the dashboard, and knows when the daemon is gone', async () => {
        // tmux passes links on since 3.4; what is left of one is the text.
        assert.match(await terminal.screen(true), /hypivisor/);
        await daemon.stop('SIGKILL');
        await terminal.shows(/hypivisor offline/);
        daemon = await Daemon.start({ args: ['--port', String(daemon.port)] });
        await terminal.shows(/hypivisor 1 agent/);
      });

      it('/hypivisor completes what it knows, and says where the agent is connected', async () => {
        await terminal.type('/hypivisor st');
        await terminal.shows(/status +Shows where this agent is connected/);
        await terminal.shows(/stop +Ends the hypivisor/);
        await terminal.keys('C-u');
        await terminal.command('/hypivisor status');
        await terminal.shows(/online/);
        await terminal.shows(new RegExp(daemon.registryUrl));
        await terminal.shows(new RegExp(`${node.id}, port ${node.port}, 1 connected`));
        await terminal.command('/hypivisor dance');
        await terminal.shows(/\/hypivisor knows: status, open, qr, start, stop, doctor/);
      });

      it('/hypivisor doctor walks the way to this very agent, and names the first step that fails', async () => {
        await terminal.command('/hypivisor doctor');
        await terminal.shows(/✓ relay: a message went through hypivisor and came back/);
        await daemon.stop('SIGKILL');
        await terminal.shows(/hypivisor offline/);
        await terminal.command('/hypivisor doctor');
        await terminal.shows(/✗ registration: connection refused/);
        await terminal.shows(/Start it: \/hypivisor start/);
        assert.doesNotMatch((await terminal.screen()).split('✗ registration')[1] ?? '', /relay/);
        daemon = await Daemon.start();
      });

      it('/hypivisor qr says why a phone cannot come, without a token', async () => {
        await terminal.command('/hypivisor qr');
        await terminal.shows(/HYPI_TOKEN for a phone/);
      });

      const questions: [kind: string, title: RegExp][] = [
        ['select', /Which colour\?/],
        ['confirm', /Delete it\?/],
        ['input', /Your name\?/],
        ['editor', /Edit it/],
      ];
      for (const [kind, title] of questions) {
        it(`a ${kind} that is answered here is settled there`, async () => {
          await terminal.line(`ask ${kind}`);
          await terminal.shows(title);
          const { question } = await peer.type('question');
          await peer.state('waiting');
          if (kind === 'input') await terminal.type('Ada');
          if (kind === 'select') await terminal.keys('Down');
          await sleep(300);
          await terminal.keys('Enter');
          const settled = await peer.type('question_settled');
          assert.deepEqual([settled.id, settled.by], [question.id, 'terminal']);
          const expected = { select: 'green', confirm: true, input: 'Ada', editor: 'once upon a time' }[kind];
          assert.equal(settled.value, expected);
          await peer.state('idle');
        });

        it(`a ${kind} that is answered there is settled here`, async () => {
          await terminal.line(`ask ${kind}`);
          await terminal.shows(title);
          const { question } = await peer.type('question');
          const value = kind === 'confirm' ? true : kind === 'select' ? 'blue' : 'from afar';
          peer.say({ type: 'answer', id: question.id, value });
          await peer.state('idle');
          await terminal.shows(kind === 'confirm' ? /It came: answer: true/ : new RegExp(`It came: answer: "${value}`));
          // An editor cannot be closed from outside; the others are gone.
          if (kind === 'editor') await terminal.keys('Escape');
          await sleep(300);
          await terminal.line('and on');
          await peer.next(({ type, message }) => type === 'message_end' && /and on/.test(JSON.stringify(message)));
        });
      }

      it('a question that is answered here and there at once has one answer', async () => {
        for (let round = 0; round < 4; round++) {
          await terminal.line('ask confirm');
          await terminal.shows(/Delete it\?/);
          const { question } = await peer.type('question');
          await sleep(300);
          // Enter answers yes.
          if (round % 2) peer.say({ type: 'answer', id: question.id, value: false });
          const pressed = terminal.keys('Enter');
          if (round % 2 === 0) peer.say({ type: 'answer', id: question.id, value: false });
          await pressed;
          const end = await peer.type('tool_end');
          const settled = peer.messages.filter(
            ({ type, id, seq }) => type === 'question_settled' && id === question.id && seq,
          );
          assert.equal(settled.length, 1);
          assert.match(JSON.stringify(end.result), new RegExp(`answer: ${settled[0].value}`));
          await peer.state('idle');
        }
      });

      it('a question that is dismissed here is told so', async () => {
        await terminal.line('ask input');
        await terminal.shows(/Your name\?/);
        await peer.type('question');
        await sleep(300);
        await terminal.keys('Escape');
        const settled = await peer.type('question_settled');
        assert.deepEqual([settled.by, settled.value], ['terminal', undefined]);
        await peer.state('idle');
      });

      it('two questions at once are both asked there, and here one after the other', async () => {
        await terminal.line('ask both');
        await terminal.shows(/First\?/);
        await peer.type('question');
        const { question: second } = await peer.type('question');
        assert.doesNotMatch(await terminal.screen(), /Second\?/);
        peer.say({ type: 'answer', id: second.id, value: true });
        await sleep(300);
        await terminal.keys('Enter');
        await peer.state('idle');
        await terminal.shows(/It came: answer: "true true/);
      });

      it('Escape here stops what was begun there, and the other way round', async () => {
        peer.say({ type: 'prompt', id: 'p1', text: 'slow 1000 50' });
        await peer.type('message_delta');
        await terminal.keys('Escape');
        await peer.state('idle');
        await terminal.line('slow 1000 51');
        await peer.type('message_delta');
        peer.say({ type: 'abort' });
        await peer.state('idle');
        await terminal.line('and on');
        await peer.next(({ type, message }) => type === 'message_end' && /said: and on/.test(JSON.stringify(message)));
      });
    });

    it('installed as a package, as its users do', async () => {
      const daemon = await Daemon.start();
      const roster = new RosterPeer(daemon.origin);
      const [node, program] = pi.command;
      await promisify(execFile)(node, [program, 'install', PACKAGE], { cwd: home.work, env: home.environment() });
      const terminal = await start({ HYPIVISOR_WS: daemon.registryUrl }, [], []);
      await roster.joined();
      await terminal.shows(/hypivisor 1 agent/);
      roster.socket.terminate();
      await daemon.stop();
    });

    it('loaded twice, one copy serves, and the other says so', async () => {
      const daemon = await Daemon.start();
      const roster = new RosterPeer(daemon.origin);
      await roster.event('init');
      const copy = path.join(home.path, 'copy', 'dist', 'agent', 'pi-socket.mjs');
      await mkdir(path.dirname(copy), { recursive: true });
      await cp(EXTENSION, copy);
      const terminal = await start({ HYPIVISOR_WS: daemon.registryUrl }, [], [EXTENSION, copy, ASKER]);
      const node = await roster.joined();
      await terminal.shows(/hypivisor is loaded twice/);
      await terminal.shows(/hypivisor 1 agent/);
      const [peer] = await joinChat(daemon.origin, node.id);
      await terminal.line('/new');
      const next = await roster.joined(({ id }) => id !== node.id);
      const [again] = await joinChat(daemon.origin, next.id);
      again.say({ type: 'prompt', id: 'p1', text: 'hello' });
      await again.state('idle');
      await sleep(500);
      const { nodes } = await new RosterPeer(daemon.origin).event('init');
      assert.equal(nodes.length, 1);
      peer.socket.terminate();
      roster.socket.terminate();
      await daemon.stop();
    });

    it('turned off, it is not there at all', async () => {
      const daemon = await Daemon.start();
      const roster = new RosterPeer(daemon.origin);
      const terminal = await start({ HYPIVISOR_WS: daemon.registryUrl, HYPIVISOR: '0' });
      await terminal.shows(/mock-1/);
      await sleep(1500);
      assert.deepEqual(
        roster.messages.map(({ event }) => event),
        ['init'],
      );
      assert.doesNotMatch(await terminal.screen(), /hypivisor/);
      roster.socket.terminate();
      await daemon.stop();
    });

    it('with a token, it is presented, and a phone is shown the way', async () => {
      const daemon = await Daemon.start({ env: { HYPI_TOKEN: 'a+b c' } });
      const roster = new RosterPeer(daemon.origin, 'a+b c');
      await roster.event('init');
      const terminal = await start({ HYPIVISOR_WS: daemon.registryUrl, HYPI_TOKEN: 'a+b c' });
      const node = await roster.joined();
      const [peer] = await joinChat(daemon.origin, node.id, 'a+b c');
      peer.say({ type: 'prompt', id: 'p1', text: 'hello' });
      await peer.state('idle');
      await terminal.command('/hypivisor qr');
      await terminal.shows(/it asks for the token/);
      await terminal.shows(/[▀▄█]{3}/);
      await terminal.command('/hypivisor doctor');
      await terminal.shows(/✓ relay/);
      assert.doesNotMatch(JSON.stringify(await home.log()), /a\+b|a%2Bb/);
      peer.socket.terminate();
      roster.socket.terminate();
      await daemon.stop();
    });

    it('with a wrong token, it says so', async () => {
      const daemon = await Daemon.start({ env: { HYPI_TOKEN: 'right' } });
      const terminal = await start({ HYPIVISOR_WS: daemon.registryUrl, HYPI_TOKEN: 'wrong' });
      await terminal.shows(/hypivisor offline/);
      await terminal.command('/hypivisor doctor');
      await terminal.shows(/✗ registration: it refuses the token/);
      await terminal.shows(/Set HYPI_TOKEN/);
      await daemon.stop();
    });
  });
}

/** The daemon's own port, where agents look for it if nobody says otherwise. */
const isFree = await new Promise<boolean>((resolve) => {
  const probe = net.connect(31415, '127.0.0.1');
  probe.once('connect', () => resolve(false));
  probe.once('error', () => resolve(true));
  probe.unref();
});

describe('with no hypivisor on this machine', { skip: isFree ? withoutTmux : 'port 31415 is in use' }, () => {
  for (const pi of PIS.slice(-1)) {
    it('ten pis that start at once start one, that outlives them, and can be ended', {
      timeout: 120_000,
    }, async (t) => {
      const model = await Model.start();
      const home = await Home.create(model.url);
      const environment = { HYPIVISOR_AUTOSTART: '1', NODE_OPTIONS: '--max-old-space-size=3000', npm_config_x: 'y' };
      const pis = Array.from({ length: 10 }, () => new HeadlessPi(pi, home, environment));
      t.after(() => {
        for (const headless of pis) headless.process.kill('SIGKILL');
        model.stop();
      });
      const roster = await reach();
      await roster.until(() => {
        const known = roster.messages.flatMap(({ event, node, nodes }) => (event === 'init' ? nodes : [node]));
        return new Set(known.map((node: Node | undefined) => node?.pid).filter(Boolean)).size === 10;
      });
      const record = path.join(home.path, '.pi', 'hypivisor', 'daemon.json');
      const { pid } = JSON.parse(await readFile(record, 'utf8')) as { pid: number };
      t.after(() => endIfRuns(pid));
      const online = (await home.log()).filter(({ msg }) => msg === 'Hypivisor online');
      assert.equal(online.length, 1);
      const variables = (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0');
      assert.deepEqual(
        variables.filter((variable) => /^(?:NODE_OPTIONS|npm_)/.test(variable)),
        [],
      );
      await Promise.all(pis.map((headless) => headless.quit()));
      process.kill(pid, 0);

      const terminal = await TerminalPi.start(pi, home, { HYPIVISOR_AUTOSTART: '0' });
      await terminal.shows(/hypivisor 1 agent/);
      await terminal.command('/hypivisor stop');
      await terminal.shows(/hypivisor has ended/);
      await terminal.shows(/hypivisor offline/);
      await terminal.command('/hypivisor start');
      await terminal.shows(/hypivisor is there/);
      await terminal.shows(/hypivisor 1 agent/);
      await terminal.command('/hypivisor stop');
      await terminal.shows(/hypivisor offline/);
      await terminal.end();
      roster.socket.terminate();
      model.stop();
      assert.deepEqual(
        (await home.log()).filter(({ needsHardening }) => needsHardening),
        [],
      );
      await home.remove();
    });
  }
});

function endIfRuns(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** The daemon that somebody is starting. */
async function reach(): Promise<RosterPeer> {
  for (let tries = 0; ; tries++) {
    const roster = new RosterPeer('http://127.0.0.1:31415');
    try {
      await roster.event('init');
      return roster;
    } catch (error) {
      if (tries === 400) throw error;
      await sleep(200);
    }
  }
}
