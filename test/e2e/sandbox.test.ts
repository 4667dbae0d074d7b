/** The daemon in a sandbox that denies it what it could do without. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Agent } from '../support/agent.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';

const WITHOUT_NETLINK = ['python3', fileURLToPath(new URL('../support/without-netlink.py', import.meta.url))];

/** Why it cannot be denied here, or false if it can: the very call that Node makes must fail. */
async function whyNot(): Promise<string | false> {
  if (process.platform !== 'linux') return 'seccomp is of Linux';
  const ask = 'try { require("os").networkInterfaces(); } catch (error) { console.log(error.code); }';
  const [command = '', ...args] = [...WITHOUT_NETLINK, process.execPath, '-e', ask];
  try {
    const { stdout } = await promisify(execFile)(command, args);
    return stdout.trim() === 'ERR_SYSTEM_ERROR' ? false : 'netlink cannot be denied here';
  } catch (error) {
    return `netlink cannot be denied here: ${(error as Error).message}`;
  }
}

const why = await whyNot();

describe('netlink is denied, so that the system does not tell its interfaces', { skip: why }, () => {
  for (const machine of ['localhost', '127.0.0.1', 'a name that nobody has']) {
    test(`an agent that says it is at ${machine} is reached all the same, or the reason is told in words`, async (t) => {
      const daemon = await Daemon.start({ launcher: WITHOUT_NETLINK });
      t.after(() => daemon.stop());
      const agent = await Agent.serve();
      t.after(() => agent.stop());
      await agent.register(daemon.registryUrl, 'agent', { machine });
      const client = await Client.open(daemon.relayUrl('agent'));
      t.after(() => client.terminate());
      client.socket.send('hello');
      const answer = String((await client.next()).payload);
      assert.match(
        answer,
        machine.includes(' ') ? /Cannot resolve agent: its machine name is unknown here/ : /^hello$/,
      );
    });
  }
});
