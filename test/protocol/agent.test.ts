import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AGENT_LIMITS, AgentCloseCode, successorOf, successorReason } from '../../src/protocol/agent.ts';
import { NODE_LIMITS } from '../../src/protocol/registry.ts';

describe('the successor in a close reason', () => {
  it('is read back', () => {
    for (const id of ['a', 'a:b', 'successor:x', 'é', '']) assert.equal(successorOf(successorReason(id)), id);
  });

  it('is null in any other reason', () => {
    for (const reason of ['', 'successor', ' successor:a', 'Successor:a', 'pi is quitting']) {
      assert.equal(successorOf(reason), null);
    }
  });

  it('fits a close frame for an id of 100 bytes', () => {
    // "All control frames MUST have a payload length of 125 bytes or less" (RFC 6455, section 5.5); two are the code.
    assert.ok(Buffer.byteLength(successorReason('x'.repeat(100))) <= 123);
  });
});

describe('the limits', () => {
  it('let an attachment of the largest size through in base64', () => {
    assert.ok((AGENT_LIMITS.attachmentBytes / 3) * 4 + 64 * 1024 < AGENT_LIMITS.messageBytes);
  });

  it('let a question into a node with room to spare for the rest', () => {
    const { questionId, questionTitle, questionOption, questionOptions, cwd, id, machine, name, model } = NODE_LIMITS;
    const question = questionId + questionTitle + questionOption * questionOptions;
    // In JSON a byte may take six.
    assert.ok(6 * (question + cwd + id + machine + name + model) < 64 * 1024);
  });
});

describe('the close codes of an agent', () => {
  it('are ones that an endpoint may send', () => {
    for (const code of Object.values(AgentCloseCode)) {
      assert.ok((code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 4000 && code <= 4999));
    }
  });
});
