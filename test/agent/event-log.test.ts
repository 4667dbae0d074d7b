import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EventLog } from '../../src/agent/event-log.ts';
import type { AgentEvent } from '../../src/protocol/agent.ts';

const notice = (text: string): AgentEvent => ({ type: 'notice', level: 'info', text });
const seqOf = (json: string): number => (JSON.parse(json) as { seq: number }).seq;

describe('EventLog', () => {
  it('numbers events from 1, with the type first', () => {
    const log = new EventLog('e', 1000);
    assert.equal(log.seq, 0);
    assert.equal(log.append(notice('a')), '{"type":"notice","seq":1,"level":"info","text":"a"}');
    assert.equal(log.append({ type: 'history_reset' }), '{"type":"history_reset","seq":2}');
    assert.equal(log.seq, 2);
  });

  it('gives what came after a position', () => {
    const log = new EventLog('e', 1000);
    const events = ['a', 'b', 'c'].map((text) => log.append(notice(text)));
    for (let seq = 0; seq <= 3; seq++) assert.deepEqual(log.since({ epoch: 'e', seq }), events.slice(seq));
  });

  it('has a gap for a position of another epoch, or one that never was', () => {
    const log = new EventLog('e', 1000);
    log.append(notice('a'));
    assert.equal(log.since({ epoch: 'f', seq: 1 }), null);
    assert.equal(log.since({ epoch: 'e', seq: 2 }), null);
    assert.equal(log.since({ epoch: 'e', seq: -1 }), null);
  });

  it('keeps as many of the last as fit, and has a gap before them', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(60), { maxLength: 80 }), fc.integer({ min: 50, max: 400 }), (lengths, maxChars) => {
        const log = new EventLog('e', maxChars);
        const events = lengths.map((length) => log.append(notice('x'.repeat(length))));
        let kept = 0;
        let chars = 0;
        for (const event of events.toReversed()) {
          chars += event.length;
          if (chars > maxChars) break;
          kept++;
        }
        for (let seq = 0; seq <= events.length; seq++) {
          const since = log.since({ epoch: 'e', seq });
          if (seq < events.length - kept) assert.equal(since, null);
          else assert.deepEqual(since?.map(seqOf), events.slice(seq).map(seqOf));
        }
      }),
    );
  });

  it('keeps nothing of one that is larger than all it may keep, and goes on', () => {
    const log = new EventLog('e', 100);
    log.append(notice('x'.repeat(200)));
    assert.equal(log.since({ epoch: 'e', seq: 0 }), null);
    assert.deepEqual(log.since({ epoch: 'e', seq: 1 }), []);
    const next = log.append(notice('a'));
    assert.deepEqual(log.since({ epoch: 'e', seq: 1 }), [next]);
  });
});
