import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import {
  type Attempt,
  type ConnectFailure,
  type ConnectSink,
  ConnectState,
  type Opened,
} from '../../src/opening/connect.ts';
import { Reconnect, type ReconnectOptions } from '../../src/opening/reconnect.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';

const FAILURE: ConnectFailure = { state: ConnectState.CONNECTING, reason: 'refused', code: null, status: null };
const OPENED = {} as Opened;

/** A client whose attempts the test decides, on a clock that the test moves. */
class Scene {
  now = 0;
  readonly #t: TestContext;
  readonly deadlines: Deadlines;
  readonly attempts: { sink: ConnectSink; cancelled: boolean }[] = [];
  readonly pauses: number[] = [];
  opened = 0;
  random = 0;
  broken = false;
  readonly client: Reconnect;

  constructor(t: TestContext, options: Partial<ReconnectOptions> = {}) {
    this.#t = t;
    t.mock.timers.enable({ apis: ['setTimeout'] });
    this.deadlines = new Deadlines(() => this.now);
    this.client = new Reconnect({
      deadlines: this.deadlines,
      connect: (sink) => this.#connect(sink),
      onOpened: () => this.opened++,
      onFailed: (_failure, nextMs) => this.pauses.push(nextMs),
      firstDelayMs: 1000,
      maxDelayMs: 6000,
      lastingMs: 10_000,
      random: () => this.random,
      ...options,
    });
  }

  #connect(sink: ConnectSink): Attempt {
    if (this.broken) throw new TypeError('no URL');
    const attempt = { sink, cancelled: false };
    this.attempts.push(attempt);
    return {
      cancel() {
        attempt.cancelled = true;
      },
    };
  }

  get last(): ConnectSink {
    return this.attempts.at(-1)?.sink as ConnectSink;
  }

  pass(ms: number): void {
    // In small steps, so that it is never mistaken for a sleep.
    for (let passed = 0; passed < ms; passed += 50) {
      this.now += 50;
      this.#t.mock.timers.tick(50);
    }
  }
}

describe('a client that reconnects', () => {
  test('connects at once, and only once however often it is started', (t) => {
    const scene = new Scene(t);
    scene.client.start();
    scene.client.start();
    assert.equal(scene.attempts.length, 1);
    scene.last.onOpened(OPENED);
    scene.client.start();
    assert.deepEqual([scene.attempts.length, scene.opened], [1, 1]);
  });

  test('waits twice as long after each failure, up to a bound, and never gives up', (t) => {
    const scene = new Scene(t);
    scene.client.start();
    for (let count = 1; count < 30; count++) {
      scene.last.onFailed(FAILURE);
      scene.pass((scene.pauses.at(-1) as number) - 50);
      assert.equal(scene.attempts.length, count, 'not early');
      scene.pass(100);
      assert.equal(scene.attempts.length, count + 1);
    }
    assert.deepEqual(scene.pauses.slice(0, 5), [1000, 2000, 4000, 6000, 6000]);
  });

  test('jitter takes up to half of the pause away', (t) => {
    const scene = new Scene(t);
    scene.random = 0.999;
    scene.client.start();
    scene.last.onFailed(FAILURE);
    assert.ok((scene.pauses[0] as number) > 500 && (scene.pauses[0] as number) < 502, `${scene.pauses}`);
  });

  test('a connection that lasted begins the doubling anew, one that was ended at once does not', (t) => {
    const scene = new Scene(t);
    scene.client.start();
    scene.last.onFailed(FAILURE);
    scene.pass(1100);
    scene.last.onOpened(OPENED);
    assert.equal(scene.client.lost(), 2000);
    assert.equal(scene.client.lost(), null, 'it is lost once');
    scene.pass(2100);
    scene.last.onOpened(OPENED);
    scene.pass(10_000);
    assert.equal(scene.client.lost(), 1000);
  });

  test('a pause can be cut short', (t) => {
    const scene = new Scene(t);
    scene.client.start();
    scene.client.retryNow();
    assert.equal(scene.attempts.length, 1, 'it is trying already');
    scene.last.onFailed(FAILURE);
    scene.client.retryNow();
    assert.equal(scene.attempts.length, 2);
    scene.pass(5000);
    assert.equal(scene.attempts.length, 2, 'the pause is over');
  });

  test('stopped, it cancels what is under way, leaves no deadline, and can be started again', (t) => {
    const scene = new Scene(t);
    scene.client.start();
    scene.client.stop();
    assert.equal(scene.attempts[0]?.cancelled, true);
    scene.client.start();
    scene.last.onFailed(FAILURE);
    scene.client.stop();
    assert.equal(scene.deadlines.size, 0);
    scene.pass(5000);
    scene.client.retryNow();
    assert.equal(scene.client.lost(), null);
    assert.equal(scene.attempts.length, 2);
    scene.client.start();
    scene.last.onFailed(FAILURE);
    assert.equal(scene.pauses.at(-1), 1000, 'from the first pause');
  });

  test('what cannot be asked for is told at the start, and is a failure like any other later', (t) => {
    const scene = new Scene(t);
    scene.broken = true;
    assert.throws(() => scene.client.start(), /no URL/);
    scene.broken = false;
    scene.client.start();
    scene.last.onFailed(FAILURE);
    scene.broken = true;
    scene.pass(1100);
    assert.deepEqual(scene.pauses, [1000, 2000]);
    scene.broken = false;
    scene.pass(2100);
    assert.equal(scene.attempts.length, 2);
  });
});
