import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Message } from '../../src/protocol/agent.ts';
import { setUp, types } from './fake-host.ts';

describe('a prompt', () => {
  it('that is empty never reaches pi', () => {
    const { connect, host } = setUp();
    const client = connect();
    client.take();
    for (const text of ['', ' \n\t ', '\u00a0']) client.say({ type: 'prompt', id: 'p', text });
    client.say('');
    client.say('   ');
    assert.deepEqual(types(client.take()), Array(5).fill('error'));
    assert.deepEqual(host.sent, []);
  });

  it('carries files', () => {
    const { connect, host } = setUp();
    const client = connect();
    client.take();
    const picture = { filename: 'a.png', data: 'QUJD' };
    client.say({ type: 'prompt', id: 'p1', text: 'look', attachments: [picture] });
    assert.deepEqual(host.sent[0]?.content, [
      { type: 'text', text: 'look\n<file name="a.png"></file>' },
      { type: 'image', data: 'QUJD', mimeType: 'image/png' },
    ]);
    client.take();
    client.say({ type: 'prompt', id: 'p2', text: 'look', attachments: [{ filename: 'a.zip', data: '/w==' }] });
    assert.match((client.take()[0] as { error: string }).error, /neither a picture/);
  });

  it('of an older client is a file alone', () => {
    const { connect, host } = setUp();
    const client = connect(true);
    client.take();
    client.say({ type: 'attach_file', filename: 'a.txt', content: 'QUJD', mimeType: 'text/plain' });
    client.say({ type: 'attach_file', filename: 'b.zip', content: '/w==' });
    assert.deepEqual(host.sent[0]?.content, [{ type: 'text', text: '<file name="a.txt">\nABC\n</file>' }]);
    const [first, second] = client.take() as unknown as [{ success: boolean }, { success: boolean; error: string }];
    assert.deepEqual([first, second.success], [{ type: 'attach_file_ack', filename: 'a.txt', success: true }, false]);
  });
});

describe('a question', () => {
  it('that is dismissed stops the run it was asked in, unless whoever asks says otherwise', () => {
    const { agent, connect, host } = setUp();
    const client = connect();
    const idle = agent.ask({ kind: 'input', title: 'Name?' }, () => {});
    agent.piEvent('agent_start', {});
    const stopping = agent.ask({ kind: 'input', title: 'Name?' }, () => {});
    const harmless = agent.ask({ kind: 'input', title: 'Name?', dismissStops: false }, () => {});
    client.say({ type: 'dismiss', id: idle });
    client.say({ type: 'dismiss', id: harmless });
    assert.equal(host.aborts, 0);
    client.say({ type: 'dismiss', id: stopping });
    assert.equal(host.aborts, 1);
  });

  it('is told as refused if the answer is none', () => {
    const { agent, connect } = setUp();
    const client = connect();
    const id = agent.ask({ kind: 'confirm', title: 'Sure?' }, () => {});
    client.take();
    client.say({ type: 'answer', id, value: 'yes' });
    client.say({ type: 'answer', id: 'nobody', value: 'yes' });
    assert.deepEqual(client.take(), [
      { type: 'error', request: 'answer', id, error: 'The answer must be true or false' },
      { type: 'error', request: 'answer', id: 'nobody', error: 'No such question' },
    ]);
  });
});

describe('the history', () => {
  it('comes in pages and single messages', () => {
    const { connect, host, user } = setUp();
    host.stored = Array.from({ length: 20 }, (_, i) => user(`m${i}`));
    host.stored[3] = user('x'.repeat(600_000));
    const client = connect(true);
    client.take();
    client.say({ type: 'fetch_history', before: 6, limit: 3 });
    const [page] = client.take() as unknown as [{ messages: Message[]; hasMore: boolean; oldestIndex: number }];
    assert.deepEqual([page.messages.length, page.hasMore, page.oldestIndex], [3, true, 3]);
    assert.equal(page.messages[0]?.cut?.index, 3);
    const delta = connect();
    delta.take();
    delta.say({ type: 'fetch_message', index: 3 });
    delta.say({ type: 'fetch_message', index: 20 });
    const [whole, none] = delta.take() as unknown as [{ message: Message }, { error: string }];
    assert.deepEqual(whole.message, JSON.parse(JSON.stringify(host.stored[3])));
    assert.equal(none.error, 'There is no such message');
  });
});

describe('a request', () => {
  it('answers what it can be asked', async () => {
    const { connect } = setUp();
    const client = connect();
    client.take();
    client.say({ type: 'list_commands' });
    client.say({ type: 'list_files', prefix: 'src/' });
    client.say({ type: 'list_files' });
    await new Promise((resolve) => setImmediate(resolve));
    const cwd = '/home/u/project';
    assert.deepEqual(client.take(), [
      { type: 'commands_list', commands: [{ name: '/deploy', description: 'Deploys' }] },
      { type: 'files_list', files: [{ path: 'src/file', isDirectory: false }], cwd, prefix: 'src/' },
      { type: 'files_list', files: [{ path: 'file', isDirectory: false }], cwd },
    ]);
  });

  it('survives a pi that throws, and says so to whoever asked', () => {
    const { connect, host, faults } = setUp();
    const client = connect();
    const other = connect();
    client.take();
    other.take();
    host.commands = () => {
      throw new Error('stale');
    };
    client.say({ type: 'list_commands' });
    assert.deepEqual(client.take(), [{ type: 'error', error: 'pi could not do that' }]);
    assert.deepEqual(other.take(), []);
    assert.equal(faults.length, 1);
  });
});
