/** Each leg of a relay fails in each way at each stage: what the other leg is told, and that nothing stays behind. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Conversation, converse, type Leg, type Stage, type Told } from './conversation.ts';
import type { Fault } from './faulty-proxy.ts';
import { describeBuilt, describeEmbedded, type Subject } from './subject.ts';

/** Long enough for a busy machine to answer in time, short enough for a test. */
const LIMITS = {
  headTimeoutMs: 1500,
  dialTimeoutMs: 1500,
  closingTimeoutMs: 500,
  pingIntervalMs: 500,
  lingerTimeoutMs: 500,
};

/** What each is told from the fault on, pings apart. */
interface Outcome {
  /** After a reset, to the other leg. */
  reset: Told;
  /** After an EOF: to the other leg, and to the one that ended its side and still reads. */
  end: { other: Told; own: Told };
  /** Once it says nothing more, within the limits: to the other leg, and to the one that is silent and still reads. */
  silence: { other: Told; own: Told };
}

const END: Told = ['end'];
const REFUSED: Told = ['error', 1000, 'end'];
const LOST: Told = [1014, 'end'];

/**
 * @param other is told the same whatever the fault
 * @param ownEnd what the leg that ended its side is told
 * @param ownSilence what the leg that says nothing more is told
 */
const same = (other: Told, ownEnd: Told = END, ownSilence: Told = END): Outcome => ({
  reset: other,
  end: { other, own: ownEnd },
  silence: { other, own: ownSilence },
});

/** The tables of ARCHITECTURE.md, "Every way a connection ends", row by row. */
const TABLE: [stage: Stage, leg: Leg, outcome: Outcome][] = [
  // There is no agent yet to be told anything.
  ['before the head', 'client', same([])],
  ['in the head', 'client', same([], END, [408, 'end'])],
  ['between the handshakes', 'client', same(END)],
  ['in the agent’s answer', 'client', same(END)],
  ['at the dial', 'agent', same(REFUSED)],
  ['between the handshakes', 'agent', same(REFUSED)],
  ['in the agent’s answer', 'agent', same(REFUSED)],
  // "The client ended or reset without a close frame: the agent's last bytes, then FIN | FIN"
  ['open', 'client', same(END)],
  ['in the client’s frame', 'client', same(END)],
  ['in the agent’s frame', 'client', same(END, ['second', 'end'], ['second', 'end'])],
  // "The agent ended or reset without a close frame: 1014, FIN; inside a frame FIN only | what the client still sends"
  ['open', 'agent', same(LOST, LOST)],
  ['in the client’s frame', 'agent', same(LOST, ['second', ...LOST], ['second', 'end'])],
  ['in the agent’s frame', 'agent', same(END, END)],
  // "The client sent a close frame: the agent's answer, then its FIN | the very frame"
  ['closing, the client first', 'client', same(END, [1000, 'end'], [1000, 'end'])],
  // "… and the agent never answers: 1014, FIN | cut after closingTimeoutMs"
  ['closing, the client first', 'agent', same(LOST)],
  // "The agent sent a close frame: the very frame, then its FIN | the client's answer"
  ['closing, the agent first', 'agent', same(END, [1000, 'end'], [1000, 'end'])],
  // "… and the client never answers: cut after closingTimeoutMs | FIN"
  ['closing, the agent first', 'client', same(END)],
];

function otherThan(leg: Leg): Leg {
  return leg === 'client' ? 'agent' : 'client';
}

let lastId = 0;

async function fail(t: TestContext, subject: Subject, stage: Stage, leg: Leg, fault: Fault): Promise<Conversation> {
  const { conversation, proxies } = await converse(t, subject.port, `faulty-${++lastId}`);
  if (stage === 'at the dial') {
    // No byte of the agent's may come: what is reached is the stage before it.
    proxies.agent.plan = { fault, speaker: 'daemon', afterBytes: 0 };
    await conversation.reach('in the head');
    conversation.say('client');
  } else {
    await conversation.reach(stage);
    await proxies[leg].inject(fault, conversation[leg]?.socket.bytesWritten);
  }
  return conversation;
}

function testTable(subject: Subject, faults: readonly Fault[]): void {
  for (const [stage, leg, outcome] of TABLE) {
    for (const fault of faults) {
      test(`${stage}, ${leg}, ${fault}`, async (t) => {
        const conversation = await fail(t, subject, stage, leg, fault);
        const other = otherThan(leg);
        if (fault === 'end' || fault === 'mute') {
          const expected = fault === 'end' ? outcome.end : outcome.silence;
          // Once it is open each waits for the other. Before, an agent that answered now could still be in time.
          const telling = conversation.told(leg);
          if (fault === 'end' && !conversation.upgraded && leg === 'client') await telling;
          const [told, toldOwn] = await Promise.all([conversation.told(other), telling]);
          assert.deepEqual(told, expected.other, `told to the ${other}`);
          if (conversation[leg] !== null) assert.deepEqual(toldOwn, expected.own, `told to the ${leg}`);
        } else {
          const told = fault === 'reset' ? outcome.reset : outcome.silence.other;
          assert.deepEqual(await conversation.told(other), told, `told to the ${other}`);
        }
        if (!outcome.reset.includes('error')) return;
        const reason =
          fault === 'reset' || fault === 'end' ? /: (the connection ended|connection reset)$/ : /timed out$/;
        assert.match(conversation.sentence, /^(Agent handshake failed|Cannot reach agent): /);
        assert.match(conversation.sentence, reason);
      });
    }
  }
}

/** Every byte on its own from the stage on, and the relay goes on as if nothing were. */
function testSplit(subject: Subject): void {
  for (const [stage, leg] of TABLE) {
    test(`${stage}, ${leg}, split: all arrives, and both end as they should`, async (t) => {
      const { conversation, proxies } = await converse(t, subject.port, `split-${++lastId}`);
      if (stage === 'at the dial') proxies.agent.plan = { fault: 'split', speaker: 'daemon', afterBytes: 0 };
      await conversation.reach(stage);
      await proxies[leg].inject('split');
      const agentFirst = stage === 'closing, the agent first';
      if (!agentFirst) await conversation.reach('closing, the client first');
      const [client, agent] = await Promise.all([conversation.told('client'), conversation.told('agent')]);
      assert.deepEqual({ client, agent }, agentFirst ? CLOSED_BY_AGENT : CLOSED_BY_CLIENT);
    });
  }
}

const CLOSED_BY_CLIENT = { client: [1000, 'end'], agent: ['end'] };
const CLOSED_BY_AGENT = { client: ['end'], agent: [1000, 'end'] };

describeEmbedded('a relay in this process', {}, (subject) => {
  describe('tells the other leg', () => testTable(subject, ['reset', 'end']));
  describe('in pieces', () => testSplit(subject));
});

describeEmbedded('a relay in this process, where only time tells', LIMITS, (subject) => {
  testTable(subject, ['mute', 'blackhole', 'stall']);
});

describeBuilt('a relay of the daemon', (subject) => {
  for (const fault of ['blackhole', 'stall'] as const) {
    test(`an agent that says nothing to the dial (${fault}): within five seconds`, async (t) => {
      const began = performance.now();
      const conversation = await fail(t, subject, 'at the dial', 'agent', fault);
      assert.deepEqual(await conversation.told('client'), REFUSED);
      const tookMs = performance.now() - began;
      assert.equal(conversation.sentence, 'Agent handshake failed: timed out');
      t.diagnostic(`told after ${(tookMs / 1000).toFixed(2)} s`);
      assert.ok(tookMs > 4000 && tookMs < 8000, `${tookMs} ms`);
    });
  }

  describe('tells the other leg', () => testTable(subject, ['reset', 'end']));
  describe('in pieces', () => testSplit(subject));
});
