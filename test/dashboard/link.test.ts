import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { CONNECT_TIMEOUT_MS, Link, SILENCE_MS } from '../../src/dashboard/link/link.ts';
import { FakeEnvironment } from './support/fake-environment.ts';

let environment: FakeEnvironment;
let heard: string[];
let link: Link;

function make(): Link {
  return new Link(environment, {
    address: () => ({ url: 'ws://h/ws', protocols: ['p'] }),
    opened: (protocol) => heard.push(`opened ${protocol}`),
    message: (text) => heard.push(text),
    lost: (code, reason, wasOpen) =>
      heard.push(`lost ${code}${reason && ` ${reason}`}${wasOpen ? '' : ', never open'}`),
  });
}

beforeEach(() => {
  environment = new FakeEnvironment();
  heard = [];
  link = make();
});

/** Open, and doing what it is for. */
function live(): void {
  environment.socket.open();
  link.settled();
}

describe('a link', () => {
  it('connects at once, passes on messages, and sends messages', () => {
    link.start();
    assert.equal(link.send('early'), false);
    environment.socket.open();
    environment.socket.say('hello');
    environment.socket.onmessage?.({ data: new ArrayBuffer(1) });
    assert.equal(link.send('text'), true);
    assert.deepEqual(heard, ['opened p', 'hello']);
    assert.deepEqual(environment.socket.sent, ['text']);
    const { messagesIn, messagesOut, charactersIn, opened } = link.traffic;
    assert.deepEqual(
      { messagesIn, messagesOut, charactersIn, opened },
      { messagesIn: 1, messagesOut: 1, charactersIn: 5, opened: 1 },
    );
  });

  it('comes back at once when it is lost, and then waits longer each time, without end', () => {
    link.start();
    live();
    environment.socket.lose();
    assert.equal(environment.sockets.length, 2);
    const waits: number[] = [];
    for (let tries = 0; tries < 40; tries++) {
      environment.socket.lose();
      const before: number = environment.sockets.length;
      let waited = 0;
      while (environment.sockets.length === before) {
        environment.pass(500);
        waited += 500;
      }
      waits.push(waited);
    }
    assert.deepEqual(waits.slice(0, 7), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    assert.equal(waits.at(-1), 30_000);
    live();
    environment.socket.lose();
    assert.equal(environment.socket.closedWith, null);
    assert.equal(link.phase, 'connecting', 'at once again');
  });

  it('does not spin if it opens and ends at once', () => {
    link.start();
    for (let i = 0; i < 5; i++) {
      environment.socket.open();
      environment.socket.lose(1000);
      environment.pass(900);
    }
    assert.ok(environment.sockets.length <= 4, String(environment.sockets.length));
  });

  it('does not spin if it settles and ends at once either', () => {
    link.start();
    live();
    for (let i = 0; i < 10; i++) {
      environment.socket.lose(1013);
      environment.pass(100);
      if (link.phase === 'connecting') live();
    }
    assert.ok(environment.sockets.length <= 3, String(environment.sockets.length));
  });

  it('gives a connect ten seconds', () => {
    link.start();
    const [first] = environment.sockets;
    environment.pass(CONNECT_TIMEOUT_MS - 1);
    assert.equal(first?.closedWith, null);
    environment.pass(1);
    assert.notEqual(first?.closedWith, null);
    assert.deepEqual(heard, ['lost 1006, never open']);
    environment.pass(1000);
    assert.equal(environment.sockets.length, 2);
  });

  it('does not try while hidden, and tries at once when woken', () => {
    link.start();
    live();
    environment.isHidden = true;
    environment.socket.lose();
    environment.pass(600_000);
    assert.equal(environment.sockets.length, 1);
    environment.wake();
    assert.equal(environment.sockets.length, 2);
  });

  it('is replaced on waking if nothing came for 45 s, and only then', () => {
    link.start();
    live();
    environment.sleep(SILENCE_MS - 1);
    environment.wake();
    assert.equal(environment.sockets.length, 1);
    environment.sleep(1);
    environment.wake();
    assert.equal(environment.sockets.length, 2);
    assert.notEqual(environment.sockets[0]?.closedWith, null);
  });

  it('does not listen to a socket that was replaced', () => {
    link.start();
    live();
    const [old] = environment.sockets;
    link.replace();
    live();
    heard = [];
    old?.say('late');
    old?.lose(1001);
    old?.open();
    assert.deepEqual(heard, []);
    assert.equal(link.phase, 'open');
  });

  it('is quiet after stop, and starts anew', () => {
    link.start();
    live();
    link.stop();
    assert.equal(environment.socket.closedWith, 1000);
    environment.socket.lose();
    environment.wake();
    environment.pass(100_000);
    assert.equal(environment.sockets.length, 1);
    assert.equal(environment.timers, 0);
    link.start();
    assert.equal(environment.sockets.length, 2);
  });

  it('may be stopped by its owner when told of the loss', () => {
    const own: Link = new Link(environment, {
      address: () => ({ url: 'ws://h/ws', protocols: [] }),
      opened: () => {},
      message: () => {},
      lost: () => own.stop(),
    });
    own.start();
    environment.socket.open();
    environment.socket.lose();
    environment.pass(100_000);
    assert.equal(environment.sockets.length, 1);
  });

  it('does not wait if it is told to try now', () => {
    link.start();
    environment.socket.lose();
    link.retryNow();
    assert.equal(environment.sockets.length, 2);
  });

  it('counts an invalid address as a failed try', () => {
    environment.open = () => {
      throw new SyntaxError('bad subprotocol');
    };
    link.start();
    assert.deepEqual(heard, ['lost 1006 bad subprotocol, never open']);
    assert.equal(link.phase, 'waiting');
  });
});
