/** npm run fuzz: see USAGE. */
import { integerFlags } from '../support/integer-flags.ts';
import { FrameTarget } from './frames.ts';
import { HeadTarget } from './heads.ts';
import { ProgressLine } from './progress-line.ts';
import { RequestTarget } from './requests.ts';
import { Failure, run } from './run.ts';

const USAGE = `Usage: npm run fuzz -- [--frames <n>] [--heads <n>] [--requests <n>] [--seed <n>] [--seconds <n>] [--first <n>]

Feeds inputs that are almost right to the frame code, the HTTP code and the registry's requests. Each input must have one
documented outcome, however it is cut into chunks. Every frame is compared with ws, and every head with Node's server. The
intended differences are in test/fuzz/frame-ws.ts and test/fuzz/head-node.ts, and are counted.

  --frames <n>    streams of frames (default 10000000: about five minutes, at 35,000 a second)
  --heads <n>     requests and responses (default 1000000: 40 s)
  --requests <n>  requests to the registry (default 1000000: 10 s)
  --seed <n>      makes the same inputs again (default: a new seed, which is printed)
  --seconds <n>   ends after that time, even if inputs are left
  --first <n>     the number of the first input (default 0)

An input that fails is shown in hex, with the command that repeats it, and the exit status is 1.
`;

const flags = integerFlags(USAGE, {
  frames: 1e7,
  heads: 1e6,
  requests: 1e6,
  seed: Date.now() % 2 ** 31,
  seconds: 0,
  first: 0,
});
const { seed, first } = flags;
const begin = performance.now();
const endsAt = flags.seconds > 0 ? begin + 1000 * flags.seconds : Number.POSITIVE_INFINITY;

async function main(): Promise<void> {
  console.log(`Seed ${seed}`);
  const targets = [new FrameTarget(), new HeadTarget(), new RequestTarget()].filter(({ name }) => flags[name] > 0);
  for (const [i, target] of targets.entries()) {
    const count = flags[target.name];
    const line = new ProgressLine(target.unit, count);
    const now = performance.now();
    // What is left of the time is shared among those that are left.
    const share = (endsAt - now) / (targets.length - i);
    try {
      const done = await run(target, { seed, first, count, endsAt: now + share, onProgress: (n) => line.show(n) });
      const seconds = (performance.now() - now) / 1000;
      line.clear();
      console.log(
        `${done} ${target.unit} in ${seconds.toFixed(1)} s, ${Math.round(done / seconds)} a second: no fault`,
      );
    } finally {
      line.clear();
    }
    for (const { id, peer, we } of target.differences) {
      console.log(`  ${String(target.met.get(id) ?? 0).padStart(9)}  ${id}: ${target.peer} ${peer}; we ${we}`);
    }
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.log(error.message);
  process.exitCode = 1;
}
