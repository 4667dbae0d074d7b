/**
 * npm run soak -- hubs: hubs on machines of their own with their default limits, one of which sleeps for two minutes, as
 * test/e2e/hubs-namespaces.test.ts has it with short ones.
 */
import { parseArgs } from 'node:util';
import { HubMachines, LAPTOPS, nodesAsShown, sleepsFor } from '../support/hub-machines.ts';
import { eventually } from '../support/measure.ts';
import { whyNoNamespaces } from '../support/namespaces.ts';

const USAGE = `Usage: npm run soak -- hubs [--seconds <n>] [--rounds <n>]

Runs the built daemon on a server and on two laptops behind NAT, in network namespaces of their own, with its default
limits. One laptop sleeps, with everything on it, and wakes: its agents must be unproven meanwhile, and there again in the
end, while those of the other are reached throughout. It needs Linux, root, nginx and openssl. The exit status is 1 if
something was wrong.

  --seconds <n>   how long the laptop sleeps at least (default 120)
  --rounds <n>    how often (default 1)
`;
const PATIENCE_MS = 180_000;

function readFlags(args: string[]): { seconds: number; rounds: number } {
  const options = {
    seconds: { type: 'string', default: '120' },
    rounds: { type: 'string', default: '1' },
    help: { type: 'boolean', short: 'h' },
  } as const;
  const { values } = parseArgs({ args, options });
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  return { seconds: Number(values.seconds), rounds: Number(values.rounds) };
}

/** @returns the exit status */
export async function soakHubs(args: string[]): Promise<number> {
  const { seconds, rounds } = readFlags(args);
  const why = await whyNoNamespaces();
  if (why !== false) {
    process.stderr.write(`${why}\n`);
    return 1;
  }
  const hubs = await HubMachines.create();
  const began = performance.now();
  const say = (what: string) => {
    process.stdout.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${what}\n`);
  };
  try {
    await eventually(async () => {
      const shown = nodesAsShown((await hubs.seen()).nodes);
      const isProven = shown.length === 3 * LAPTOPS.length && shown.every(({ reach }) => reach !== 'unproven');
      if (!isProven) throw new Error(`not all are proven: ${JSON.stringify(shown)}`);
    }, PATIENCE_MS);
    say('all agents are proven');
    for (let round = 1; round <= rounds; round++) {
      const told = (await hubs.seen()).events.length;
      await sleepsFor(hubs, { forAtLeastMs: seconds * 1000, until: 'unproven', patienceMs: PATIENCE_MS, say });
      for (const event of (await hubs.seen()).events.slice(told)) {
        if (!event.startsWith('machine_updated')) say(`told: ${event}`);
      }
    }
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
    return 1;
  } finally {
    await hubs.remove();
  }
}
