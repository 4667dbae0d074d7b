import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { footerText } from '../../src/agent/footer.ts';

const paint = (color: string, text: string) => `<${color}>${text}</>`;

describe('footerText', () => {
  it('says where the agent stands, and how many there are', () => {
    const text = (state: 'offline' | 'registering' | 'online', agents: number | null) =>
      footerText({ state, agents, reason: null }, null, (_color, text) => text);
    assert.equal(text('online', 3), '● hypivisor 3 agents');
    assert.equal(text('online', 1), '● hypivisor 1 agent');
    assert.equal(text('online', null), '● hypivisor');
    assert.equal(text('registering', null), '○ hypivisor …');
    assert.equal(text('offline', null), '○ hypivisor offline');
  });

  it('links to the dashboard, in the colours of the theme', () => {
    const online = { state: 'online', agents: 2, reason: null } as const;
    assert.equal(
      footerText(online, 'http://h/', paint),
      '\u001b]8;;http://h/\u001b\\<success>●</><dim> hypivisor 2 agents</>\u001b]8;;\u001b\\',
    );
    assert.equal(footerText(online, 'http://h/\u001b\\x', paint), '<success>●</><dim> hypivisor 2 agents</>');
  });
});
