/**
 * Stands in for a daemon: starts one agent, prints its process id, and then either stays ("stay") or has nothing to do.
 */

import { Agents } from '../../src/host/agents.ts';
import { Helper } from '../../src/host/helper-process.ts';

const [home = '', outputDirectory = '', stay, ...command] = process.argv.slice(2);
const onFault = console.error;
const program = new URL('../../src/host/helper.ts', import.meta.url);
const helper = new Helper({ program, timeoutMs: 10_000, onFault });
const agents = new Agents(helper, {
  home,
  command,
  outputDirectory,
  settleMs: 100,
  timeoutMs: 10_000,
  admission: { maxAgents: 100, minFreeMemory: 0 },
  freeMemory: () => null,
  onStarted: () => {},
  onEnded: () => {},
});
const { processId } = await agents.start({ path: '~' }, process.env, { remoteAddress: '::1' });
if (stay === 'stay') setInterval(() => {}, 1000);
console.log(processId);
