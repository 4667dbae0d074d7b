import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import type { Caller, Machine } from '../../src/registry/methods.ts';
import { RpcError } from '../../src/registry/rpc.ts';
import { MASKING_KEY, type RawFrame, rawFrame, readFrames } from '../support/raw-frame.ts';
import { BINARY, CLOSE, clientFrame, closePayload, PING, PONG, TEXT } from '../support/raw-peer.ts';
import { House, type HouseOptions, info, registration, sleep, until, type Visitor } from './harness.ts';

/** A test in a house of its own. */
function room(what: string, options: HouseOptions, test: (house: House) => Promise<void>): void {
  it(what, () => House.with(options, test));
}

const frame = (fields: RawFrame) => rawFrame({ maskingKey: MASKING_KEY, ...fields });
const call = (id: string | number, method: string, params?: object) => ({ id, method, params });
const health = (id: string | number, nodes: number) => ({ id, result: { status: 'healthy', nodes, version: '1.2.3' } });
const kind = (message: Record<string, unknown>) => message.event ?? message.id;

function nodeCount(init: Record<string, unknown>): number {
  assert.equal(init.event, 'init');
  return (init.nodes as unknown[]).length;
}

/** The peer is told why, the daemon ends its side, and forgets it once the peer has ended its own. */
async function isClosed({ peer, connection }: Visitor, closeCode: number, closeReason?: string): Promise<void> {
  let read = await peer.frame();
  while (read.opcode !== CLOSE) read = await peer.frame();
  assert.equal(read.payload.readUInt16BE(), closeCode);
  if (closeReason !== undefined) assert.equal(read.payload.toString('utf8', 2), closeReason);
  assert.deepEqual(await peer.rest(), Buffer.alloc(0), 'nothing comes after a close frame');
  peer.socket.end();
  await until(() => connection.gone, 'the connection is gone');
}

describe('the greeting', () => {
  room('is the roster, at once', {}, async (house) => {
    house.roster.register({}, info('a'), '127.0.0.1');
    const init = await (await house.open()).message();
    assert.deepEqual(init, { event: 'init', nodes: [house.roster.get('a')], protocol_version: '1' });
  });

  room('comes before the answer to a request that came in the upgrade’s segment', {}, async (house) => {
    const rest = Buffer.concat([clientFrame(TEXT, '{"id":1,"method":"ping"}'), clientFrame(TEXT, '{"id":2,')]);
    const visitor = await house.open({ rest });
    const [init, answer, error] = await visitor.messages(3);
    assert.equal(nodeCount(init as Record<string, unknown>), 0);
    assert.deepEqual(answer, health(1, 0));
    assert.deepEqual(error, { error: 'Invalid request: not JSON' });
  });

  describe('with a large roster', () => {
    room('goes to a page at once, as it may only watch', {}, async (house) => {
      house.fill(3);
      assert.equal(nodeCount(await (await house.open({ fromBrowser: true })).message()), 3);
    });

    const firsts: [what: string, first: Buffer, answer: object | null][] = [
      ['a request', clientFrame(TEXT, '{"id":1,"method":"ping"}'), health(1, 3)],
      ['a text that is no request', clientFrame(TEXT, 'hello'), { error: 'Invalid request: not JSON' }],
      ['an unknown method', clientFrame(TEXT, '{"id":1,"method":"x"}'), { id: 1, error: 'Method not found: x' }],
      ['a register that fails', clientFrame(TEXT, '{"id":1,"method":"register"}'), { id: 1, error: 'Missing params' }],
      ['a binary message, which is ignored', clientFrame(BINARY, 'hello'), null],
    ];
    for (const [what, first, answer] of firsts) {
      room(`waits for the first message, and comes before its answer: ${what}`, {}, async (house) => {
        house.fill(3);
        const visitor = await house.open();
        visitor.write(clientFrame(PING));
        assert.equal((await visitor.peer.frame()).opcode, PONG, 'a ping is no message');
        visitor.write(first);
        assert.equal(nodeCount(await visitor.message()), 3);
        if (answer !== null) assert.deepEqual(await visitor.message(), answer);
        house.roster.register({}, info('later'), '127.0.0.1');
        assert.equal((await visitor.message()).event, 'node_joined');
      });
    }

    room('is large from the first byte past the bound', {}, async (house) => {
      house.fill(2);
      const { initBytes } = house.roster;
      for (const [eagerInitBytes, first] of [
        [initBytes, TEXT],
        [initBytes - 1, PONG],
      ] as const) {
        await House.with({ limits: { eagerInitBytes } }, async (other) => {
          other.fill(2);
          const visitor = await other.open();
          visitor.write(clientFrame(PING));
          assert.equal((await visitor.peer.frame()).opcode, first);
        });
      }
    });

    room('is an empty roster for who registers first', {}, async (house) => {
      house.fill(3);
      const agent = await house.open();
      agent.send(registration(info('a'), 1), call(2, 'list_nodes'));
      const [init, answer, list] = await agent.messages(3);
      assert.deepEqual(init, { event: 'init', nodes: [], protocol_version: '1' });
      assert.deepEqual(answer, { id: 1, result: { status: 'registered' } });
      assert.equal((list as { result: unknown[] }).result.length, 4);
    });

    room('does not follow a close frame, whoever ends the daemon at the first event', {}, async (house) => {
      house.fill(3);
      const agent = await house.open();
      house.onEvent = () => agent.connection.shutDown();
      agent.send(registration(info('a'), 1));
      const { opcode, payload } = await agent.peer.frame();
      assert.deepEqual([opcode, payload.readUInt16BE()], [CLOSE, 1001]);
      agent.write(clientFrame(CLOSE, closePayload(1001)));
      assert.deepEqual(await agent.peer.rest(), Buffer.alloc(0));
    });

    room('comes unasked after a while', { limits: { initDelayMs: 50 } }, async (house) => {
      house.fill(3);
      const visitor = await house.open();
      visitor.write(clientFrame(TEXT, '{"id":1,"method":"ping"}').subarray(0, 9));
      assert.equal(nodeCount(await visitor.message()), 3);
      house.roster.register({}, info('later'), '127.0.0.1');
      assert.equal((await visitor.message()).event, 'node_joined');
    });

    room(
      'is an empty one for who registered in time, however late that is read',
      { limits: { initDelayMs: 50 } },
      async (house) => {
        house.fill(3);
        const agent = await house.open();
        agent.send(registration(info('a'), 1));
        const busyUntil = performance.now() + 200;
        while (performance.now() < busyUntil);
        const [init, answer] = await agent.messages(2);
        assert.deepEqual(init, { event: 'init', nodes: [], protocol_version: '1' });
        assert.deepEqual(answer, { id: 1, result: { status: 'registered' } });
      },
    );

    room(
      'is whole, whoever does not read it and asks for more meanwhile',
      { limits: { initDelayMs: 0 } },
      async (house) => {
        house.fill(2000);
        const visitor = await house.open();
        visitor.peer.socket.pause();
        await until(() => visitor.connection.blocked, 'the connection is blocked');
        visitor.send(call(1, 'ping'));
        visitor.write(clientFrame(PING, 'x'));
        await sleep(50);
        visitor.peer.socket.resume();
        assert.equal(nodeCount(await visitor.message()), 2000);
        const [first, second] = [await visitor.peer.frame(), await visitor.peer.frame()];
        assert.deepEqual([first.opcode, second.opcode].sort(), [TEXT, PONG]);
      },
    );
  });
});

describe('requests', () => {
  for (const [what, end] of [
    ['a close frame', clientFrame(CLOSE, closePayload(1000))],
    ['the end of the connection', null],
  ] as const) {
    room(`are done, all that came before ${what}, however many wait`, {}, async (house) => {
      const agent = await house.open();
      await agent.message();
      await agent.call(registration(info('a')));
      const pings = Array.from({ length: 1000 }, (_, id) => clientFrame(TEXT, JSON.stringify(call(id, 'ping'))));
      const farewell = clientFrame(TEXT, JSON.stringify(call('last', 'deregister', { id: 'a' })));
      agent.write(...pings, farewell, ...(end === null ? [] : [end]));
      if (end === null) agent.peer.socket.end();
      await until(() => agent.connection.gone || house.roster.get('a') === null, 'the end');
      agent.peer.socket.destroy();
      await until(() => agent.connection.gone, 'the connection is gone');
      assert.equal(house.roster.get('a'), null);
      assert.deepEqual(house.faults, []);
    });
  }

  room('are answered in the order they came, with their id or without', {}, async (house) => {
    const visitor = await house.open();
    await visitor.message();
    visitor.send(
      call(1, 'ping'),
      { method: 'list_nodes' },
      call('x', 'list_nodes', {}),
      call(0, 'toString'),
      '{"id":null,"method":"ping"}',
      call('', '__proto__'),
      'not a request',
      registration(info('a'), 5),
      call(6, 'ping'),
    );
    assert.deepEqual(await visitor.messages(9), [
      health(1, 0),
      { result: [] },
      { id: 'x', result: [] },
      { id: 0, error: 'Method not found: toString' },
      { error: 'Invalid request: id must be a string or a number' },
      { id: '', error: 'Method not found: __proto__' },
      { error: 'Invalid request: not JSON' },
      { id: 5, result: { status: 'registered' } },
      health(6, 1),
    ]);
  });

  room('register and deregister', {}, async (house) => {
    const [agent, admin] = [await house.open(), await house.open()];
    await Promise.all([agent.message(), admin.message()]);
    assert.deepEqual(await agent.call(call(1, 'register')), { id: 1, error: 'Missing params' });
    assert.deepEqual(await agent.call(call(2, 'register', {})), { id: 2, error: 'Invalid node info' });
    assert.deepEqual(await agent.call(registration(info('a'), 3)), { id: 3, result: { status: 'registered' } });
    assert.equal(house.roster.addressOf('a')?.registrant.address, '127.0.0.1');
    assert.equal((await admin.message()).event, 'node_joined');
    assert.deepEqual(await agent.call(call(4, 'deregister', { id: 'b' })), {
      id: 4,
      error: 'Unauthorized: cannot deregister another node',
    });
    for (const params of [undefined, {}, { id: 7 }, { id: null }]) {
      assert.deepEqual(await admin.call(call(5, 'deregister', params)), { id: 5, error: 'Missing params.id' });
    }
    assert.deepEqual(await admin.call(call(6, 'deregister', { id: 'b' })), { id: 6, result: { status: 'not_found' } });
    assert.deepEqual(await admin.call(call(7, 'deregister', { id: 'a' })), {
      id: 7,
      result: { status: 'deregistered' },
    });
    assert.deepEqual(await admin.message(), { event: 'node_removed', id: 'a' });
  });

  room('update, and the pushes of it to those who subscribed', {}, async (house) => {
    const [agent, watcher, plain] = [await house.open(), await house.open(), await house.open()];
    await Promise.all([agent.message(), watcher.message(), plain.message()]);
    assert.deepEqual(await watcher.call(call(1, 'subscribe', { features: ['updates', 'x', 7, 'toString'] })), {
      id: 1,
      result: { features: ['updates'] },
    });
    await agent.call(registration(info('a'), 2));
    assert.deepEqual([(await watcher.message()).event, (await plain.message()).event], ['node_joined', 'node_joined']);

    assert.deepEqual(await agent.call(call(3, 'update', { state: 'working', model: 'm' })), {
      id: 3,
      result: { status: 'updated' },
    });
    const { event, id, state, state_since: since, model } = await watcher.message();
    assert.deepEqual([event, id, state, typeof since, model], ['node_updated', 'a', 'working', 'number', 'm']);
    const node = house.roster.get('a');
    assert.deepEqual([node?.state, node?.model], ['working', 'm']);
    // What is the same is no change, and who did not subscribe hears nothing of it.
    await agent.call(call(4, 'update', { model: 'm' }));
    await agent.call(call(5, 'update', { model: null }));
    assert.deepEqual(await watcher.message(), { event: 'node_updated', id: 'a', model: null });
    assert.deepEqual(await plain.call(call(6, 'ping')), health(6, 1));
  });

  room('update and subscribe are refused in words', {}, async (house) => {
    const [agent, stranger] = [await house.open(), await house.open()];
    await Promise.all([agent.message(), stranger.message()]);
    await agent.call(registration(info('a'), 1));
    await stranger.message();
    const refusals: [visitor: Visitor, method: string, params: object | undefined, error: string][] = [
      [agent, 'update', undefined, 'Missing params'],
      [agent, 'update', { state: 'asleep' }, 'Invalid node info: state'],
      [stranger, 'update', { state: 'idle' }, 'No node is registered on this connection'],
      [stranger, 'subscribe', undefined, 'Missing params.features'],
      [stranger, 'subscribe', { features: 'updates' }, 'Missing params.features'],
    ];
    for (const [visitor, method, params, error] of refusals) {
      assert.deepEqual(await visitor.call(call(2, method, params)), { id: 2, error });
    }
    assert.equal(house.roster.get('a')?.state, undefined);
    // One that has registered is told of no other node, so there is nothing to grant.
    const nothing = { id: 3, result: { features: [] } };
    assert.deepEqual(await agent.call(call(3, 'subscribe', { features: ['updates'] })), nothing);
    assert.deepEqual(await stranger.call(call(3, 'subscribe', { features: [] })), nothing);
  });

  room('an agent that can is asked for connections, no other, and none is told of it', {}, async (house) => {
    const [agent, watcher] = [await house.open(), await house.open()];
    await Promise.all([agent.message(), watcher.message()]);
    const params = { ...info('a'), status: 'active', dial_back: true };
    assert.deepEqual(await agent.call(call(1, 'register', params)), {
      id: 1,
      result: { status: 'registered', dial_back: true },
    });
    assert.equal((await watcher.message()).event, 'node_joined');
    house.callers[0]?.askBack('t-1');
    assert.deepEqual(await agent.message(), { event: 'dial_back', ticket: 't-1' });
    assert.deepEqual(await watcher.call(call(2, 'ping')), health(2, 1));
    agent.peer.socket.destroy();
    await until(() => agent.connection.gone, 'the connection is gone');
    house.callers[0]?.askBack('t-2');
    assert.deepEqual(house.faults, []);
  });

  describe('that wait for this machine', () => {
    room('hold up nothing that came after them', {}, async (house) => {
      const asked: { params: object; answer: (result: unknown) => void; fail: (error: unknown) => void }[] = [];
      const ask = (params: object) =>
        new Promise((answer, fail) => {
          asked.push({ params, answer, fail });
        });
      await House.with({ machine: { listDirectories: ask, spawnAgent: ask } }, async (slow) => {
        const visitor = await slow.open();
        await visitor.message();
        visitor.send(
          call(1, 'list_directories'),
          call(2, 'spawn_agent'),
          call(3, 'spawn_agent', { path: '/x' }),
          call(4, 'list_directories', { path: '/y' }),
          call(5, 'ping'),
        );
        assert.deepEqual(await visitor.messages(3), [
          { id: 2, error: 'Missing params' },
          { id: 4, error: 'Too many requests at once: 2' },
          health(5, 0),
        ]);
        assert.deepEqual(
          asked.map(({ params }) => params),
          [{}, { path: '/x' }],
        );
        asked[1]?.answer({ status: 'spawning', path: '/x' });
        assert.deepEqual(await visitor.message(), { id: 3, result: { status: 'spawning', path: '/x' } });
        visitor.send(call(6, 'list_directories', { path: '/z' }));
        await until(() => asked.length === 3, 'there is room again');
        asked[2]?.fail(new RpcError('Cannot read directory: gone'));
        assert.deepEqual(await visitor.message(), { id: 6, error: 'Cannot read directory: gone' });
        asked[0]?.answer({ current: '/home', directories: [] });
        assert.deepEqual(await visitor.message(), { id: 1, result: { current: '/home', directories: [] } });
        assert.deepEqual(slow.faults, []);
      });
      assert.deepEqual(house.faults, []);
    });

    room('are each asked for what they are', {}, async () => {
      const asked: unknown[] = [];
      const machine: Partial<Machine> = {
        listSessions: async (params) => {
          asked.push(params);
          return { path: '/x', sessions: [] };
        },
        spawnAgent: async (params, { remoteAddress }) => {
          asked.push(params, remoteAddress);
          return { status: 'spawning', path: '/x', spawn_id: 's' };
        },
        spawnStatus: ({ spawn_id }) => {
          if (spawn_id !== 's') throw new RpcError('No such spawn');
          return { status: 'registered', node: 'a' };
        },
      };
      await House.with({ machine }, async (house) => {
        const visitor = await house.open();
        await visitor.message();
        const params = { path: '/x', model: 'm', prompt: 'p', session: 'q' };
        assert.deepEqual(await visitor.call(call(1, 'list_sessions', { path: '/x' })), {
          id: 1,
          result: { path: '/x', sessions: [] },
        });
        assert.deepEqual(await visitor.call(call(2, 'spawn_agent', params)), {
          id: 2,
          result: { status: 'spawning', path: '/x', spawn_id: 's' },
        });
        assert.deepEqual(await visitor.call(call(3, 'spawn_status', { spawn_id: 's' })), {
          id: 3,
          result: { status: 'registered', node: 'a' },
        });
        assert.deepEqual(await visitor.call(call(4, 'spawn_status', { spawn_id: 't' })), {
          id: 4,
          error: 'No such spawn',
        });
        assert.deepEqual(await visitor.call(call(5, 'spawn_status')), { id: 5, error: 'Missing params' });
        await visitor.call(call(6, 'list_sessions'));
        assert.deepEqual(asked, [{ path: '/x' }, params, '127.0.0.1', {}]);
      });
    });

    room('tell the end of an agent to the connection that started it, if it subscribed', {}, async () => {
      const callers: Caller[] = [];
      const spawnAgent: Machine['spawnAgent'] = async (_, caller) => {
        callers.push(caller);
        return { status: 'spawning' };
      };
      await House.with({ machine: { spawnAgent } }, async (house) => {
        const [subscriber, other] = [await house.open(), await house.open()];
        for (const visitor of [subscriber, other]) {
          await visitor.message();
          await visitor.call(call(1, 'spawn_agent', { path: '/x' }));
        }
        assert.deepEqual(await subscriber.call(call(2, 'subscribe', { features: ['spawns'] })), {
          id: 2,
          result: { features: ['spawns'] },
        });
        const ended = { event: 'spawn_ended', spawn_id: 's', exit_code: 1, signal: null, output: 'oh' } as const;
        for (const caller of callers) caller.onSpawnEnded(ended);
        assert.deepEqual(await subscriber.message(), ended);
        assert.deepEqual(await other.call(call(3, 'ping')), health(3, 0), 'nothing is pushed to who did not ask');
        subscriber.peer.socket.destroy();
        await until(() => subscriber.connection.gone, 'the connection is gone');
        callers[0]?.onSpawnEnded(ended);
        assert.deepEqual(house.faults, []);
      });
    });

    room('bother nobody once the connection is gone', {}, async () => {
      let answer = (_result: unknown) => {};
      const listDirectories = () =>
        new Promise((resolve) => {
          answer = resolve;
        });
      await House.with({ machine: { listDirectories } }, async (house) => {
        const visitor = await house.open();
        visitor.send(call(1, 'list_directories'), call(2, 'ping'));
        await visitor.messages(2);
        visitor.peer.socket.destroy();
        await until(() => visitor.connection.gone, 'the connection is gone');
        answer({});
        await sleep(10);
        assert.deepEqual(house.faults, []);
      });
    });
  });

  describe('that meet a fault of our own', () => {
    const machines: [what: string, listDirectories: () => Promise<unknown>][] = [
      ['rejects', () => Promise.reject(new TypeError('secret detail'))],
      [
        'throws',
        () => {
          throw new TypeError('secret detail');
        },
      ],
      ['gives what is no JSON', async () => ({ size: 1n })],
    ];
    for (const [what, listDirectories] of machines) {
      room(
        `are told no more than that, and no room is lost: the machine ${what}`,
        { machine: { listDirectories } },
        async (house) => {
          const visitor = await house.open();
          await visitor.message();
          for (const id of [1, 2, 3, 4]) {
            assert.deepEqual(await visitor.call(call(id, 'list_directories')), { id, error: 'Internal error' });
          }
          assert.equal(house.faults.length, 4);
          assert.ok(house.faults.every((fault) => fault instanceof TypeError));
        },
      );
    }

    room('get the roster before they are told so', {}, async (house) => {
      house.fill(3);
      house.onEvent = () => {
        throw new TypeError('a listener of the embedder’s');
      };
      const visitor = await house.open();
      visitor.send(registration(info('a'), 1), call(2, 'ping'));
      const [init, error, answer] = await visitor.messages(3);
      assert.equal(init?.event, 'init');
      assert.deepEqual(error, { id: 1, error: 'Internal error' });
      assert.deepEqual(answer, health(2, 4));
      assert.equal(house.faults.length, 1);
      house.onEvent = () => {};
    });
  });
});

describe('pushes', () => {
  room(
    'tell a dashboard what happens, and an agent nothing for the rest of its life',
    { nodeTtlMs: 50 },
    async (house) => {
      const [dashboard, agent] = [await house.open({ fromBrowser: true }), await house.open()];
      await Promise.all([dashboard.message(), agent.message()]);
      await agent.call(registration(info('a')));
      house.roster.register({}, info('b', { port: 1 }), '127.0.0.1');
      assert.deepEqual(await dashboard.messages(2), [
        { event: 'node_joined', node: house.roster.get('a') },
        { event: 'node_joined', node: house.roster.get('b') },
      ]);
      await agent.call(call(1, 'deregister', { id: 'a' }));
      assert.deepEqual(await dashboard.message(), { event: 'node_removed', id: 'a' });
      assert.deepEqual(await agent.call(call(2, 'ping')), health(2, 1));

      await agent.call(registration(info('a')));
      agent.peer.socket.destroy();
      assert.deepEqual((await dashboard.messages(3)).map(kind), ['node_joined', 'node_offline', 'node_removed']);
      assert.equal(house.roster.get('a'), null);
    },
  );

  room('leave out one that registers, also what is pending for it', {}, async (house) => {
    const visitor = await house.open();
    await visitor.message();
    visitor.send(registration(info('a'), 1), call(2, 'ping'));
    assert.deepEqual((await visitor.messages(2)).map(kind), [1, 2]);
    await sleep(20);
    assert.deepEqual(await visitor.call(call(3, 'ping')), health(3, 1));
  });

  room('go by the owner: a superseded agent’s end changes nothing', {}, async (house) => {
    const [first, second] = [await house.open(), await house.open()];
    await Promise.all([first.message(), second.message()]);
    await first.call(registration(info('a')));
    await second.message();
    await second.call(registration(info('a')));
    first.peer.socket.destroy();
    await until(() => first.connection.gone, 'the first is gone');
    assert.equal(house.roster.get('a')?.status, 'active');
  });

  const unread = { backlogBudgetBytes: 16 * 1024 };

  /** Changes the roster until the connection's kernel buffers are full and its backlog has been dropped. */
  async function outrun(house: House, { connection }: Visitor): Promise<void> {
    const endsAt = performance.now() + 10_000;
    for (const { resyncs } = house.roster; house.roster.resyncs === resyncs; ) {
      house.fill(8);
      await new Promise(setImmediate);
      assert.ok(!connection.gone);
      assert.ok(performance.now() < endsAt, 'it falls behind');
    }
  }

  room('bring one that fell behind up to date by a fresh init', unread, async (house) => {
    const visitor = await house.open();
    visitor.peer.socket.pause();
    await outrun(house, visitor);
    house.roster.register({}, info('last'), '127.0.0.1');
    visitor.peer.socket.resume();
    let message = await visitor.message();
    assert.equal(nodeCount(message), 0);
    do message = await visitor.message();
    while (message.event !== 'init');
    assert.equal(nodeCount(message), 9);
    house.roster.deregister({}, 'last');
    assert.deepEqual(await visitor.message(), { event: 'node_removed', id: 'last' });
    assert.deepEqual([house.roster.resyncs, house.laggardsClosed], [1, 0]);
  });

  room(
    'close one that still does not read with 1013',
    { ...unread, limits: { laggardTimeoutMs: 50 } },
    async (house) => {
      const visitor = await house.open();
      visitor.peer.socket.pause();
      await outrun(house, visitor);
      await until(() => house.laggardsClosed === 1, 'the laggard is closed');
      visitor.peer.socket.resume();
      await isClosed(visitor, 1013, 'too far behind');
    },
  );

  const laggardTimeoutMs = 2500;
  room(
    'do not close one that takes what it gets, however long that is on the way',
    { ...unread, limits: { laggardTimeoutMs } },
    async (house) => {
      house.fill(6000);
      const visitor = await house.open();
      visitor.peer.socket.pause();
      visitor.send(call(1, 'ping'));
      await until(() => visitor.connection.blocked, 'the roster is on its way');
      await outrun(house, visitor);
      const { connection, peer } = visitor;
      const begunAt = performance.now();
      while (connection.unsentBytes > 0) {
        const { blockedSince } = connection;
        peer.socket.resume();
        const takes = () => connection.blockedSince !== blockedSince || connection.unsentBytes === 0;
        await until(takes, 'it takes some more');
        peer.socket.pause();
        await sleep(500);
      }
      assert.ok(performance.now() - begunAt > laggardTimeoutMs, 'it was on the way for longer than that');
      peer.socket.resume();
      let message = await visitor.message();
      assert.equal(nodeCount(message), 6000);
      do message = await visitor.message();
      while (message.event !== 'init');
      assert.deepEqual([house.roster.resyncs, house.laggardsClosed], [1, 0]);
    },
  );

  room(
    'cut off a laggard that does not even read that',
    { ...unread, limits: { laggardTimeoutMs: 50, closingTimeoutMs: 50 } },
    async (house) => {
      const visitor = await house.open();
      visitor.peer.socket.pause();
      await outrun(house, visitor);
      await until(() => visitor.connection.gone, 'the connection is gone');
      assert.equal(house.laggardsClosed, 1);
    },
  );
});

describe('answers that are not read', () => {
  const ROUNDS = 60;

  room('make further requests wait: none is lost, their order is kept, and memory is bounded', {}, async (house) => {
    house.fill(100);
    const answerBytes = house.roster.initBytes;
    const visitor = await house.open();
    visitor.peer.socket.pause();
    const requests = [];
    for (let id = 0; id < ROUNDS; id++) requests.push(call(id, 'list_nodes'), call(`${id} ping`, 'ping'), `${id} none`);
    visitor.send(...requests);
    await until(() => visitor.connection.paused && visitor.connection.blocked, 'the daemon stops reading');
    assert.ok(visitor.connection.unsentBytes < 64 * 1024 + 2 * answerBytes);

    visitor.peer.socket.resume();
    assert.equal(nodeCount(await visitor.message()), 100);
    for (let id = 0; id < ROUNDS; id++) {
      const [list, answer, error] = await visitor.messages(3);
      const { id: echoed, result } = list as { id: number; result: unknown[] };
      assert.deepEqual([echoed, result.length], [id, 100]);
      assert.deepEqual(answer, health(`${id} ping`, 100));
      assert.deepEqual(error, { error: 'Invalid request: not JSON' });
    }
    await until(() => !visitor.connection.paused, 'the daemon reads on');
    assert.deepEqual(await visitor.call(call('end', 'ping')), health('end', 100));
  });

  // What a turn has written counts by itself, and then as unsent: hence twice.
  room('wait in the daemon up to the bound, and not far beyond', {}, async (house) => {
    house.fill(1);
    const [boundBytes, answerBytes] = [64 * 1024, house.roster.initBytes];
    const visitor = await house.open();
    visitor.peer.socket.pause();
    visitor.send(...Array.from({ length: 5000 }, (_, id) => call(id, 'list_nodes')));
    await until(() => visitor.connection.unsentBytes > boundBytes, 'as much is unread as may be');
    await until(() => visitor.connection.paused, 'the daemon stops reading');
    await sleep(100);
    const { unsentBytes } = visitor.connection;
    assert.ok(unsentBytes > boundBytes && unsentBytes <= 2 * (boundBytes + answerBytes), `${unsentBytes} bytes`);
  });

  // Nothing drains then, and nothing else would wake the requests that wait.
  room('that the kernel takes all at once stop nothing', { limits: { maxUnreadBytes: 0 } }, async (house) => {
    const visitor = await house.open();
    await visitor.message();
    for (let round = 0; round < 3; round++) {
      visitor.send(call(1, 'ping'), call(2, 'ping'), 'x', call(3, 'ping'));
      assert.deepEqual(await visitor.messages(4), [
        health(1, 0),
        health(2, 0),
        { error: 'Invalid request: not JSON' },
        health(3, 0),
      ]);
    }
    visitor.write(clientFrame(PING, 'a'), clientFrame(PING, 'b'), clientFrame(TEXT, '{"id":4,"method":"ping"}'));
    assert.deepEqual(
      [await visitor.peer.frame(), await visitor.peer.frame()].map(({ payload }) => `${payload}`),
      ['a', 'b'],
    );
    assert.deepEqual(await visitor.message(), health(4, 0));
    await until(() => !visitor.connection.paused, 'the daemon reads on');
  });

  room('are no reason to call a frame late that we do not read', { limits: { frameTimeoutMs: 300 } }, async (house) => {
    house.fill(100);
    const visitor = await house.open();
    visitor.peer.socket.pause();
    const half = clientFrame(TEXT, '{"id":"half","method":"ping"}');
    const requests = Array.from({ length: ROUNDS }, (_, id) =>
      clientFrame(TEXT, JSON.stringify(call(id, 'list_nodes'))),
    );
    visitor.write(...requests, half.subarray(0, 20));
    await until(() => visitor.connection.paused && visitor.connection.blocked, 'the daemon stops reading');
    await sleep(700);
    visitor.write(half.subarray(20));
    visitor.peer.socket.resume();
    const answers = await visitor.messages(1 + ROUNDS + 1);
    assert.deepEqual(answers.at(-1), health('half', 100));
  });

  room('do not outlive the close of who asked', {}, async (house) => {
    house.fill(100);
    const visitor = await house.open();
    visitor.peer.socket.pause();
    visitor.send(...Array.from({ length: ROUNDS }, (_, id) => call(id, 'list_nodes')));
    await until(() => visitor.connection.paused && visitor.connection.blocked, 'the daemon stops reading');
    visitor.connection.shutDown();
    assert.equal(visitor.connection.paused, false);
    visitor.write(clientFrame(CLOSE, closePayload(1001)));
    visitor.peer.socket.resume();
    await isClosed(visitor, 1001, 'hypivisor is shutting down');
  });
});

describe('time', { concurrency: true }, () => {
  const often = { limits: { pingIntervalMs: 150 } };

  room('a silent peer is pinged, and ended once it has missed two', often, async (house) => {
    const [dashboard, agent] = [await house.open(), await house.open()];
    await Promise.all([dashboard.message(), agent.message()]);
    await agent.call(registration(info('a')));
    assert.deepEqual((await dashboard.message()).event, 'node_joined');
    // How many there are is a matter of time; no close frame, for nobody hears it.
    const pings = readFrames(await agent.peer.rest());
    assert.ok(pings.length >= 1 && pings.length <= 2, `${pings.length} pings`);
    for (const ping of pings) {
      assert.deepEqual(ping, { fin: true, rsv: 0, opcode: PING, masked: false, payload: Buffer.alloc(0) });
    }
    await until(() => agent.connection.gone, 'the connection is gone');
    assert.equal(house.roster.get('a')?.status, 'offline');
  });

  room('a peer that answers is alive', often, async (house) => {
    const visitor = await house.open();
    await visitor.message();
    for (let pings = 0; pings < 5; pings++) {
      assert.equal((await visitor.peer.frame()).opcode, PING);
      visitor.write(clientFrame(PONG));
    }
    assert.equal(visitor.connection.gone, false);
  });

  room('a peer that sends anything is alive', often, async (house) => {
    const visitor = await house.open();
    await visitor.message();
    visitor.peer.socket.on('data', () => {});
    for (let round = 0; round < 10; round++) {
      visitor.write(clientFrame(PONG));
      await sleep(60);
    }
    assert.equal(visitor.connection.gone, false);
  });

  room('a frame that is dripped takes too long: 1008', { limits: { frameTimeoutMs: 100 } }, async (house) => {
    const visitor = await house.open();
    await visitor.message();
    const closed = isClosed(visitor, 1008, 'message took too long');
    for (const byte of clientFrame(TEXT, '{"method":"ping"}'.padEnd(100))) {
      if (visitor.peer.ended) break;
      visitor.write(Buffer.from([byte]));
      await sleep(20);
    }
    await closed;
  });

  room(
    'a message that is never ended takes too long, whatever comes between',
    { limits: { frameTimeoutMs: 100 } },
    async (house) => {
      const visitor = await house.open();
      await visitor.message();
      visitor.write(frame({ opcode: TEXT, payload: 'a', fin: false }));
      const closed = isClosed(visitor, 1008, 'message took too long');
      for (let round = 0; round < 50 && !visitor.peer.ended; round++) {
        visitor.write(clientFrame(PING));
        await sleep(20);
      }
      await closed;
    },
  );

  room(
    'frames that each come in time do not, wherever the chunks are cut',
    { limits: { frameTimeoutMs: 1000 } },
    async (house) => {
      const visitor = await house.open();
      await visitor.message();
      const request = clientFrame(TEXT, '{"id":1,"method":"ping"}');
      visitor.write(request.subarray(0, 10));
      for (let round = 0; round < 20; round++) {
        visitor.write(request.subarray(10), request.subarray(0, 10));
        assert.deepEqual(await visitor.message(), health(1, 0));
        await sleep(80);
      }
      assert.equal(visitor.connection.gone, false);
    },
  );

  room('too many pings: 1008', { limits: { maxPingsPerSecond: 5 } }, async (house) => {
    const visitor = await house.open();
    await visitor.message();
    for (let pings = 0; pings < 10; pings++) visitor.write(clientFrame(PING, `${pings}`));
    for (let pings = 0; pings < 10; pings++) assert.equal((await visitor.peer.frame()).payload.toString(), `${pings}`);
    visitor.write(...Array.from({ length: 30 }, () => clientFrame(PING)));
    await isClosed(visitor, 1008, 'too many pings');
  });

  for (const [pings, survives] of [
    [10, true],
    [11, false],
  ] as const) {
    // In one chunk, so that no time passes in which another might be regained.
    room(`${pings} pings at once, where 5 a second may come`, { limits: { maxPingsPerSecond: 5 } }, async (house) => {
      const visitor = await house.open();
      await visitor.message();
      visitor.write(...Array.from({ length: pings }, () => clientFrame(PING)), clientFrame(TEXT, '{"method":"ping"}'));
      for (let ping = 0; ping < 10; ping++) assert.equal((await visitor.peer.frame()).opcode, PONG);
      if (survives) assert.deepEqual(await visitor.message(), { result: health(1, 0).result });
      else await isClosed(visitor, 1008, 'too many pings');
    });
  }

  room(
    'who has pinged as often as one may, may ping again after a while',
    { limits: { maxPingsPerSecond: 5 } },
    async (house) => {
      const visitor = await house.open();
      await visitor.message();
      for (const pings of [10, 3]) {
        for (let ping = 0; ping < pings; ping++) {
          visitor.write(clientFrame(PING));
          assert.equal((await visitor.peer.frame()).opcode, PONG);
        }
        await sleep(650);
      }
      assert.equal(visitor.connection.gone, false);
    },
  );
});

describe('the closing handshake', () => {
  room('of the peer is answered, and its node goes offline', {}, async (house) => {
    const visitor = await house.open();
    await visitor.message();
    await visitor.call(registration(info('a')));
    visitor.write(clientFrame(CLOSE, closePayload(1000, 'bye')));
    await isClosed(visitor, 1000, '');
    assert.equal(house.roster.get('a')?.status, 'offline');
  });

  room('of the daemon is 1001, and no push follows it', {}, async (house) => {
    const visitor = await house.open();
    await visitor.message();
    visitor.connection.shutDown();
    house.roster.register({}, info('a'), '127.0.0.1');
    await sleep(20);
    visitor.send(registration(info('b'), 1));
    visitor.write(clientFrame(CLOSE, closePayload(1001)));
    await isClosed(visitor, 1001, 'hypivisor is shutting down');
    assert.equal(house.roster.get('b'), null, 'what came after our close is not heard');
  });

  room('that the peer does not take part in ends by force', { limits: { closingTimeoutMs: 50 } }, async (house) => {
    const visitor = await house.open();
    await visitor.message();
    visitor.connection.shutDown();
    await until(() => visitor.connection.gone, 'the connection is gone');
  });

  room('ends by force where the peer leaves its side open', { limits: { closingTimeoutMs: 50 } }, async (house) => {
    const visitor = await house.open();
    await visitor.message();
    // Behind the close, half a frame that is owed for ever.
    visitor.write(clientFrame(CLOSE, closePayload(1000)), clientFrame(TEXT, 'x').subarray(0, 3));
    await until(() => visitor.connection.gone, 'the connection is gone');
  });

  room(
    'fails with the code that says why, and the time for that is bounded',
    { limits: { closingTimeoutMs: 50 } },
    async (house) => {
      const visitor = await house.open();
      await visitor.message();
      visitor.write(Buffer.concat([rawFrame({ opcode: TEXT, payload: 'x' }), Buffer.from([0x81])]));
      await until(() => visitor.connection.gone, 'the connection is gone');
    },
  );

  const faults: [what: string, closeCode: number, frames: Buffer[]][] = [
    ['a frame that is not masked', 1002, [rawFrame({ opcode: TEXT, payload: 'x' })]],
    ['a reserved bit: no extension is negotiated', 1002, [frame({ opcode: TEXT, payload: 'x', rsv: 4 })]],
    ['a reserved opcode', 1002, [frame({ opcode: 3 })]],
    ['text that is not UTF-8', 1007, [frame({ opcode: TEXT, payload: Buffer.from([0xff]) })]],
    ['a message too large, at its header', 1009, [frame({ opcode: TEXT, announcedLength: 65_537n }).subarray(0, 14)]],
    [
      'too many fragments',
      1008,
      Array.from({ length: 9 }, (_, i) => frame({ opcode: i === 0 ? TEXT : 0, payload: 'x', fin: false })),
    ],
  ];
  for (const [what, closeCode, frames] of faults) {
    room(`fails with ${closeCode} on ${what}`, {}, async (house) => {
      const visitor = await house.open();
      await visitor.message();
      visitor.write(...frames);
      await isClosed(visitor, closeCode);
    });
  }

  room('takes the largest message and the most fragments that are allowed', {}, async (house) => {
    const visitor = await house.open();
    await visitor.message();
    visitor.write(
      frame({ opcode: TEXT, payload: '{"id":1,"method":"ping"}'.padEnd(64 * 1024) }),
      ...Array.from({ length: 8 }, (_, i) => frame({ opcode: i === 0 ? TEXT : 0, payload: 'x', fin: i === 7 })),
    );
    assert.deepEqual(await visitor.messages(2), [health(1, 0), { error: 'Invalid request: not JSON' }]);
  });

  for (const [what, leave] of [
    ['an end without a word', (visitor: Visitor) => visitor.peer.socket.end()],
    ['a reset', (visitor: Visitor) => visitor.peer.socket.resetAndDestroy()],
  ] as const) {
    room(`needs no handshake: ${what} takes the node offline`, {}, async (house) => {
      const visitor = await house.open();
      await visitor.message();
      await visitor.call(registration(info('a')));
      leave(visitor);
      if (!visitor.peer.socket.closed) await once(visitor.peer.socket, 'close');
      await until(() => visitor.connection.gone, 'the connection is gone');
      assert.equal(house.roster.get('a')?.status, 'offline');
      assert.deepEqual(house.faults, []);
    });
  }
});
