import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, ConnectionHandler } from '../../src/transport/connection.ts';
import { eventually, Loopback, RecordingHandler } from './loopback.ts';

const MEBIBYTE = 1024 * 1024;

/** Writes until the kernel takes no more. @returns how many bytes were written */
function fill(connection: Connection): number {
  let written = 0;
  while (!connection.blocked) {
    const bytes = Buffer.alloc(MEBIBYTE, 'x');
    connection.write(bytes);
    written += bytes.length;
  }
  return written;
}

for (const how of ['accept', 'dial'] as const) {
  test(`${how}: bytes both ways, and the end of each side, one after the other`, async (t) => {
    const loopback = await Loopback.open(t);
    const handler = new RecordingHandler();
    const [connection, peer] = await loopback[how](handler);
    peer.read();
    assert.equal(connection.remoteAddress, '127.0.0.1');
    connection.write(Buffer.from('to the peer'));
    await peer.send('from the peer');
    await eventually(() => assert.equal(handler.received, 'from the peer'));
    await eventually(() => assert.equal(peer.text, 'to the peer'));

    peer.socket.end();
    await eventually(() => assert.deepEqual(handler.events, ['data', 'eof']));
    assert.equal(connection.gone, false, 'our side is still open');
    connection.write(Buffer.from(', still'));
    connection.end();
    await peer.closed();
    assert.equal(peer.text, 'to the peer, still');
    await eventually(() => assert.equal(connection.gone, true));
    assert.deepEqual(handler.events, ['data', 'eof', 'gone']);
    assert.equal(connection.errorCode, null);
    assert.deepEqual(loopback.faults, []);
  });

  test(`${how}: a reset is told as 'gone', with what the system calls it`, async (t) => {
    const loopback = await Loopback.open(t);
    const handler = new RecordingHandler();
    const [connection, peer] = await loopback[how](handler);
    peer.socket.resetAndDestroy();
    await eventually(() => assert.deepEqual(handler.events, ['gone']));
    assert.equal(connection.errorCode, 'ECONNRESET');
    assert.equal(loopback.connections.size, 0);
  });

  test(`${how}: blocked once the kernel takes no more, drained once it has taken all`, async (t) => {
    const loopback = await Loopback.open(t);
    const handler = new RecordingHandler();
    const [connection, peer] = await loopback[how](handler);
    connection.write(Buffer.from('little'));
    await delay(20);
    assert.deepEqual(handler.events, [], 'a write that went out at once drains nothing');
    const before = connection.now;
    const written = fill(connection);
    assert.ok(connection.unsentBytes > 0);
    assert.ok(connection.blockedSince >= before && connection.blockedSince <= connection.now);
    const { aliveAt } = connection;
    peer.read();
    await eventually(() => assert.deepEqual(handler.events, ['drain']));
    assert.equal(connection.blocked, false);
    assert.equal(connection.unsentBytes, 0);
    assert.ok(connection.aliveAt > aliveAt, 'a peer that reads is alive');
    await eventually(() => assert.equal(peer.receivedBytes, written + 'little'.length));
  });

  test(`${how}: a large write is seen to get on, keeps its place, and ends with the rest`, async (t) => {
    const loopback = await Loopback.open(t);
    const handler = new RecordingHandler();
    const [connection, peer] = await loopback[how](handler);
    const roster = randomBytes(12 * MEBIBYTE);
    const after = Buffer.from('after it');
    connection.write(roster);
    connection.write(after);
    connection.end();
    connection.write(Buffer.from('too late'));
    assert.equal(connection.blocked, true);
    const signsOfLife = new Set([connection.aliveAt]);
    for (let taken = 0; taken < roster.length; taken += 2 * MEBIBYTE) {
      peer.read();
      peer.socket.on('data', function pauseThere() {
        if (peer.receivedBytes < taken) return;
        peer.socket.pause();
        peer.socket.off('data', pauseThere);
      });
      await eventually(() => assert.ok(peer.receivedBytes >= taken, 'received'));
      await delay(10);
      signsOfLife.add(connection.aliveAt);
    }
    peer.read();
    await eventually(() => assert.equal(peer.receivedBytes, roster.length + after.length));
    assert.ok(signsOfLife.size > 2, `${signsOfLife.size} signs of life before all was out`);
    await eventually(() => assert.deepEqual(handler.events, ['drain']));
    assert.ok(peer.bytes.equals(Buffer.concat([roster, after])), 'every byte, in order');
    assert.equal(connection.unsentBytes, 0);
    peer.socket.end();
    await eventually(() => assert.equal(connection.gone, true));
  });

  test(`${how}: end flushes all that was written, and tells when all is out`, async (t) => {
    const loopback = await Loopback.open(t);
    const handler = new RecordingHandler();
    const [connection, peer] = await loopback[how](handler);
    const written = fill(connection);
    connection.end();
    connection.end();
    connection.write(Buffer.from('dropped'));
    assert.equal(connection.blocked, true);
    peer.read();
    await eventually(() => assert.deepEqual(peer.events, ['end']));
    assert.equal(peer.receivedBytes, written);
    await eventually(() => assert.deepEqual(handler.events, ['drain']));
    assert.equal(connection.blocked, false);
  });

  test(`${how}: paused, it reads no more than the kernel and one chunk hold; resumed, nothing is lost`, async (t) => {
    const loopback = await Loopback.open(t);
    const handler = new RecordingHandler();
    const [connection, peer] = await loopback[how](handler);
    connection.pause();
    connection.pause();
    assert.equal(connection.paused, true);
    const bytes = randomBytes(4 * MEBIBYTE);
    const sent = peer.send(bytes);
    await delay(50);
    assert.deepEqual(handler.events, []);
    const { aliveAt } = connection;
    connection.resume();
    assert.equal(connection.paused, false);
    assert.ok(connection.aliveAt > aliveAt, 'its silence counts from when we listen again');
    await sent;
    await eventually(() => assert.equal(sha(handler.chunks), sha([bytes])));
  });

  test(`${how}: pausing in the middle of a stream stops it within the call`, async (t) => {
    const loopback = await Loopback.open(t);
    const handler = new RecordingHandler({ onData: () => connection.pause() });
    const [connection, peer] = await loopback[how](handler);
    const bytes = randomBytes(MEBIBYTE);
    void peer.send(bytes);
    for (let seen = 0; Buffer.concat(handler.chunks).length < bytes.length; seen++) {
      await eventually(() => assert.equal(handler.chunks.length, seen + 1));
      await delay(1);
      assert.equal(handler.chunks.length, seen + 1, 'one chunk, and no other before it is resumed');
      assert.ok((handler.chunks[seen] as Buffer).length <= 64 * 1024);
      connection.resume();
    }
    assert.ok(Buffer.concat(handler.chunks).equals(bytes));
  });
}

for (const { who, restMs, next } of [
  { who: 'takes them soon', restMs: 0, next: 2 * MEBIBYTE },
  { who: 'has let us wait', restMs: 1100, next: MEBIBYTE / 2 },
]) {
  test(`a large write is made in slices; the next, for a peer that ${who}, has ${next} bytes`, async (t) => {
    const loopback = await Loopback.open(t);
    const [connection, peer, socket] = await loopback.accept();
    const slices: number[] = [];
    const write = socket.write as (bytes: Buffer) => boolean;
    socket.write = (bytes: Buffer) => {
      slices.push(bytes.length);
      return write.call(socket, bytes);
    };
    const roster = randomBytes(24 * MEBIBYTE);
    connection.write(roster);
    const first = slices.length;
    assert.deepEqual(new Set(slices), new Set([MEBIBYTE / 2]), 'until the kernel takes no more');
    await delay(restMs);
    peer.read();
    await eventually(() => assert.equal(peer.receivedBytes, roster.length));
    assert.equal(slices[first], next);
    assert.ok(Math.max(...slices) <= 4 * MEBIBYTE, `slices of ${slices}`);
    assert.equal(sha([peer.bytes]), sha([roster]));
  });
}

test('what the kernel has taken of a write that is not finished is seen as progress, and nothing else is', async (t) => {
  const loopback = await Loopback.open(t);
  const [connection, peer] = await loopback.accept();
  /** Looks until nothing is on its way any more. */
  const settled = async () => {
    for (let quietLooks = 0; quietLooks < 5; ) {
      const { blockedSince } = connection;
      await delay(10);
      connection.lookForProgress();
      quietLooks = connection.blockedSince === blockedSince ? quietLooks + 1 : 0;
    }
  };
  const readUntil = async (bytes: number) => {
    const stop = () => {
      if (peer.receivedBytes >= bytes) peer.socket.pause();
    };
    peer.read().socket.on('data', stop);
    await eventually(() => assert.ok(peer.receivedBytes >= bytes, 'so much is read'));
    peer.socket.off('data', stop);
    await settled();
  };
  // The first slices go out soon, so that the later ones are larger than what the kernel takes at a time.
  connection.write(randomBytes(48 * MEBIBYTE));
  await readUntil(16 * MEBIBYTE);
  let progress = 0;
  while (connection.blocked && connection.unsentBytes > 8 * MEBIBYTE) {
    const { blockedSince, unsentBytes } = connection;
    await readUntil(peer.receivedBytes + 256 * 1024);
    // No write was finished meanwhile, and yet it gets on.
    if (connection.unsentBytes === unsentBytes && connection.blockedSince > blockedSince) progress++;
  }
  assert.ok(progress > 0, 'part of a slice was taken');
});

for (const [into, outOf] of [
  ['dial', 'accept'],
  ['accept', 'dial'],
] as const) {
  test(`${into}: what is poured through a connection that blocks, chunks kept while a write waits, arrives as it was`, async (t) => {
    const loopback = await Loopback.open(t);
    const [to, reader] = await loopback[outOf](new RecordingHandler({ onDrain: () => from.resume() }));
    const handler = {
      onData: (chunk: Buffer) => {
        to.write(chunk);
        if (to.blocked) {
          from.keepChunk();
          from.pause();
        }
      },
      onEof: () => to.end(),
    };
    const [from, source] = await loopback[into](Object.assign(new RecordingHandler(), handler));
    const bytes = randomBytes(24 * MEBIBYTE);
    const sent = source.send(bytes);
    await eventually(() => assert.equal(to.blocked, true));
    // It reads by fits and starts.
    for (let round = 0; round < 10; round++) {
      reader.read();
      await delay(3);
      reader.socket.pause();
      await delay(3);
    }
    reader.read();
    await sent;
    source.socket.end();
    await eventually(() => assert.deepEqual(reader.events, ['end']));
    assert.equal(reader.receivedBytes, bytes.length);
    assert.equal(sha(reader.received), sha([bytes]));
  });
}

const cannotFree = !('transfer' in ArrayBuffer.prototype) && 'this Node cannot free';

test('a full read of an accepted socket is freed after the call, unless it is kept', {
  skip: cannotFree,
}, async (t) => {
  const loopback = await Loopback.open(t);
  let keeps = false;
  let chunks: Buffer[] = [];
  const handler = new RecordingHandler({
    onData: (chunk) => {
      chunks.push(chunk);
      if (keeps) connection.keepChunk();
    },
  });
  const [connection, peer] = await loopback.accept(handler);
  const sendMuch = async () => {
    chunks = [];
    handler.chunks.length = 0;
    await peer.send(Buffer.alloc(MEBIBYTE, 'x'));
    await eventually(() => assert.equal(handler.received.length, MEBIBYTE));
    return chunks.reduce((sum, { length }) => sum + length, 0);
  };
  const left = await sendMuch();
  assert.ok(left < MEBIBYTE, `${left} bytes left`);
  keeps = true;
  assert.equal(await sendMuch(), MEBIBYTE);
});

for (const how of ['kept and paused', 'in hand at a fault'] as const) {
  test(`what waits for a reader, ${how}, outlives the connection it came from, whoever pours then`, async (t) => {
    const loopback = await Loopback.open(t);
    const pour = async (byte: string) => {
      const passed: Buffer[] = [];
      const [to, reader] = await loopback.accept();
      const handler = {
        onData: (chunk: Buffer) => {
          passed.push(Buffer.from(chunk));
          to.write(chunk);
          if (!to.blocked) return;
          if (how === 'in hand at a fault') throw new Error(how);
          from.keepChunk();
          from.pause();
        },
      };
      const [from, source] = await loopback.dial(Object.assign(new RecordingHandler(), handler));
      source.socket.write(Buffer.alloc(24 * MEBIBYTE, byte));
      await eventually(() => assert.equal(to.blocked, true));
      source.socket.destroy();
      from.destroy();
      await eventually(() => assert.equal(from.gone, true));
      return { reader, passed };
    };
    const all = [await pour('a'), await pour('b'), await pour('c')];
    for (const { reader, passed } of all) {
      reader.read();
      const bytes = Buffer.concat(passed);
      await eventually(() => assert.equal(reader.receivedBytes, bytes.length));
      assert.ok(reader.bytes.equals(bytes), 'every byte as it was');
    }
    assert.equal(loopback.faults.length, how === 'in hand at a fault' ? all.length : 0);
  });
}

test('what is written while corked leaves as one write, what comes after it at once', async (t) => {
  const loopback = await Loopback.open(t);
  const handler = new RecordingHandler({
    onData: () => {
      assert.equal(connection.cork(), true);
      for (const word of ['one ', 'two ', 'three']) connection.write(Buffer.from(word));
      assert.equal(connection.cork(), false, 'it is corked already');
      assert.equal(connection.unsentBytes, 'one two three'.length);
      assert.equal(connection.blocked, false);
      connection.uncork();
    },
  });
  const [connection, peer] = await loopback.accept(handler);
  peer.read();
  await peer.send('go');
  await eventually(() => assert.equal(peer.text, 'one two three'));
  assert.equal(peer.received.length, 1, 'one segment');
  assert.equal(connection.unsentBytes, 0);
  connection.write(Buffer.from(' four'));
  await eventually(() => assert.equal(peer.text, 'one two three four'));
});

test('more answers than are worth joining keep their order', async (t) => {
  const loopback = await Loopback.open(t);
  const answers = Array.from({ length: 200 }, (_, i) => Buffer.alloc(4096, i));
  const handler = new RecordingHandler({
    onData: () => {
      connection.cork();
      for (const answer of answers) connection.write(answer);
      connection.uncork();
    },
  });
  const [connection, peer] = await loopback.accept(handler);
  peer.read();
  await peer.send('go');
  await eventually(() => assert.equal(sha(peer.received), sha(answers)));
  await eventually(() => assert.equal(connection.blocked, false));
});

test('frames encoded in place are written among the answers, in order, even if others write meanwhile', async (t) => {
  const loopback = await Loopback.open(t);
  const [other, otherPeer] = await loopback.accept();
  const say = (to: Connection, text: string) => {
    const start = to.batch?.claim(text.length) ?? -1;
    if (start < 0) to.write(Buffer.from(text));
    else to.batch?.buffer.write(text, start);
  };
  const handler = new RecordingHandler({
    onData: () => {
      connection.cork();
      say(connection, 'one ');
      connection.write(Buffer.from('two '));
      say(other, 'yours');
      say(connection, 'three ');
      // More than a batch holds.
      say(connection, 'x'.repeat(200_000));
      say(connection, ' four');
      connection.uncork();
    },
  });
  const [connection, peer] = await loopback.accept(handler);
  peer.read();
  otherPeer.read();
  await peer.send('go');
  await eventually(() => assert.equal(peer.text, `one two three ${'x'.repeat(200_000)} four`));
  assert.equal(otherPeer.text, 'yours');
  say(connection, ', five');
  await eventually(() => assert.ok(peer.text.endsWith(' four, five'), 'all of it'));
});

test('answers that the kernel has not taken stay as they are while others are answered', async (t) => {
  const loopback = await Loopback.open(t);
  const open = async (byte: string) => {
    let answeredBytes = 0;
    const handler = new RecordingHandler({
      onData: () => {
        while (!connection.blocked) {
          const length = 30_000;
          connection.cork();
          for (let answer = 0; answer < 5; answer++) {
            const start = connection.batch?.claim(length) ?? -1;
            if (start < 0) connection.write(Buffer.alloc(length, byte));
            else connection.batch?.buffer.fill(byte, start, start + length);
            answeredBytes += length;
          }
          connection.uncork();
        }
      },
    });
    const [connection, peer] = await loopback.accept(handler);
    await peer.send('go');
    await eventually(() => assert.equal(connection.blocked, true));
    return { peer, expected: Buffer.alloc(answeredBytes, byte) };
  };
  const all = [await open('a'), await open('b'), await open('c')];
  for (const { peer } of all) peer.read();
  for (const { peer, expected } of all) {
    await eventually(() => assert.equal(peer.receivedBytes, expected.length));
    assert.ok(peer.bytes.equals(expected));
  }
});

test('a chunk of one connection may write to another: that leaves at once, and answers stay apart', async (t) => {
  const loopback = await Loopback.open(t);
  const [other, otherPeer] = await loopback.accept();
  const handler = new RecordingHandler({
    onData: () => {
      connection.write(Buffer.from('mine'));
      other.write(Buffer.from('yours'));
    },
  });
  const [connection, peer] = await loopback.accept(handler);
  peer.read();
  otherPeer.read();
  await peer.send('go');
  await eventually(() => assert.equal(otherPeer.text, 'yours'));
  await eventually(() => assert.equal(peer.text, 'mine'));
});

test('an end in the middle of a chunk sends what was answered before it, and nothing after', async (t) => {
  const loopback = await Loopback.open(t);
  const handler = new RecordingHandler({
    onData: () => {
      connection.write(Buffer.from('last words'));
      connection.end();
      connection.write(Buffer.from('too late'));
    },
  });
  const [connection, peer] = await loopback.accept(handler);
  peer.read();
  await peer.send('go');
  await eventually(() => assert.deepEqual(peer.events, ['end']));
  assert.equal(peer.text, 'last words');
});

test('destroy closes at once, with nothing told but that it is gone', async (t) => {
  const loopback = await Loopback.open(t);
  const handler = new RecordingHandler();
  const [connection, peer] = await loopback.accept(handler);
  peer.read();
  connection.setDeadline(1);
  connection.destroy();
  connection.destroy();
  connection.write(Buffer.from('dropped'));
  connection.end();
  await peer.ended();
  await eventually(() => assert.deepEqual(handler.events, ['gone']));
  assert.equal(peer.text, '');
  connection.setDeadline(1);
  assert.equal(loopback.deadlines.size, 0, 'what is gone has no deadline');
  await delay(120);
  assert.deepEqual(handler.events, ['gone']);
});

for (const how of ['accept', 'dial'] as const) {
  test(`${how}: reset closes at once, and the peer sees a reset, whatever was under way`, async (t) => {
    const loopback = await Loopback.open(t);
    const handler = new RecordingHandler();
    const [connection, peer] = await loopback[how](handler);
    connection.reset();
    connection.reset();
    peer.read();
    await peer.closed();
    assert.deepEqual(peer.events, ['reset', 'close']);
    await eventually(() => assert.deepEqual(handler.events, ['gone']));
    assert.equal(loopback.connections.size, 0);
    assert.deepEqual(loopback.faults, []);
  });
}

test('the deadline is dispatched once to the current handler, and can be moved and cleared', async (t) => {
  const loopback = await Loopback.open(t);
  const [connection] = await loopback.accept(new RecordingHandler());
  connection.setDeadline(60_000);
  connection.setDeadline(1);
  const next = new RecordingHandler();
  connection.handler = next;
  await eventually(() => assert.deepEqual(next.events, ['deadline']));
  connection.setDeadline(1);
  connection.clearDeadline();
  await delay(120);
  assert.deepEqual(next.events, ['deadline']);
});

for (const event of ['onData', 'onEof', 'onDrain', 'onDeadline', 'onShutdown'] as const) {
  test(`a fault in ${event} costs that connection and no other`, async (t) => {
    const loopback = await Loopback.open(t);
    const fault = new Error(`in ${event}`);
    const handler = new RecordingHandler({
      [event]: () => {
        if (event === 'onData') connection.write(Buffer.from('a last word'));
        throw fault;
      },
    });
    const [connection, peer] = await loopback.accept(handler);
    const neighbour = new RecordingHandler();
    const [, neighbourPeer] = await loopback.accept(neighbour);
    if (event === 'onData') await peer.send('go');
    else if (event === 'onEof') peer.socket.end();
    else if (event === 'onDrain') fill(connection);
    else if (event === 'onDeadline') connection.setDeadline(0);
    else connection.shutDown();
    peer.read();
    await eventually(() => assert.equal(handler.events.at(-1), 'gone'));
    assert.deepEqual(loopback.faults, [fault]);
    if (event === 'onData') await eventually(() => assert.equal(peer.text, 'a last word'));

    await neighbourPeer.send('still here');
    await eventually(() => assert.equal(neighbour.received, 'still here'));
    assert.equal(loopback.connections.size, 1);
  });
}

test('a fault in onGone is heard of', async (t) => {
  const loopback = await Loopback.open(t);
  const fault = new Error('in onGone');
  const [connection] = await loopback.accept(
    new RecordingHandler({
      onGone: () => {
        throw fault;
      },
    }),
  );
  connection.destroy();
  await loopback.connections.empty();
  await eventually(() => assert.deepEqual(loopback.faults, [fault]));
});

test('a fault in what is to tell the peer of a fault is heard of too, and closes all the same', async (t) => {
  const loopback = await Loopback.open(t);
  const faults = [new Error('in onData'), new Error('in onFault')] as const;
  const handler: ConnectionHandler = new RecordingHandler({
    onData: () => {
      throw faults[0];
    },
  });
  handler.onFault = () => {
    throw faults[1];
  };
  const [connection, peer] = await loopback.accept(handler);
  await peer.send('x');
  await eventually(() => assert.equal(connection.gone, true));
  assert.deepEqual(loopback.faults, faults);
});

test('an answer that waits keeps nothing alive but itself, and nothing once the connection is gone', async (t) => {
  const loopback = await Loopback.open(t);
  const handler = new RecordingHandler({
    onData: () => {
      connection.cork();
      connection.write(Buffer.from('an answer'));
      connection.uncork();
    },
  });
  const [connection, peer, socket] = await loopback.accept(handler);
  fill(connection);
  const waiting: Buffer[] = [];
  const write = socket.write as (bytes: Buffer) => boolean;
  socket.write = (bytes: Buffer) => {
    waiting.push(bytes);
    return write.call(socket, bytes);
  };
  await peer.send('a question');
  await eventually(() => assert.equal(waiting.length, 1));
  assert.equal(waiting[0]?.buffer.byteLength, 'an answer'.length);
  connection.write(Buffer.alloc(MEBIBYTE));
  assert.ok(connection.unsentBytes > MEBIBYTE);
  connection.destroy();
  await eventually(() => assert.equal(connection.gone, true));
  assert.equal(connection.unsentBytes, 0);
});

test('a small answer that is the first to wait holds 8 KiB at the most, and others are put together elsewhere', async (t) => {
  const loopback = await Loopback.open(t);
  const [connection, peer, socket] = await loopback.accept();
  const [other, otherPeer] = await loopback.accept();
  let last: Buffer = Buffer.alloc(0);
  const write = socket.write as (bytes: Buffer) => boolean;
  socket.write = (bytes: Buffer) => {
    last = bytes;
    return write.call(socket, bytes);
  };
  const say = (to: Connection, text: string) => {
    to.cork();
    to.write(Buffer.from(text));
    to.uncork();
  };
  let said = '';
  for (let answer = 0; !connection.blocked; answer++) {
    const text = `answer ${answer} `.padEnd(3000, '.');
    say(connection, text);
    said += text;
  }
  assert.ok(last.buffer.byteLength <= 8 * 1024, `${last.buffer.byteLength} bytes for ${last.length}`);
  for (let answer = 0; answer < 10; answer++) say(other, 'x'.repeat(3000));
  otherPeer.read();
  await eventually(() => assert.equal(otherPeer.text, 'x'.repeat(30_000)));
  peer.read();
  await eventually(() => assert.equal(peer.receivedBytes, said.length));
  assert.ok(peer.text === said, 'every answer as it was');
});

test('a thousand pauses, drains and deadlines leave no listener behind', async (t) => {
  const loopback = await Loopback.open(t);
  const warnings: string[] = [];
  const onWarning = ({ name }: Error) => warnings.push(name);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  const handler = new RecordingHandler();
  const [connection, peer] = await loopback.dial(handler);
  peer.read();
  for (let round = 0; round < 1000; round++) {
    connection.pause();
    connection.resume();
    connection.setDeadline(1000);
    connection.write(Buffer.from('x'));
    if (round % 100 === 0) await delay(1);
  }
  connection.clearDeadline();
  await eventually(() => assert.equal(peer.receivedBytes, 1000));
  assert.ok(!warnings.includes('MaxListenersExceededWarning'));
});

function sha(chunks: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}
