/** npm run bench:pure: see USAGE. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bench, measure, run } from 'mitata';
import { benchesOf, type PureBench } from './benches.ts';
import { compareWith } from './compare.ts';
import { importFrom } from './modules.ts';

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
/**
 * A moment for each function, and fewer calls between two looks at the clock than mitata's own: the slower ones take
 * long.
 */
const QUICK = { min_cpu_time: 30e6, batch_samples: 128, gc: false };

const USAGE = `Usage: npm run bench:pure -- [<folder>] [--only <text>] [--quick]
       npm run bench:pure -- --against <commit>

Times the functions without I/O: unmask, parse, encode, UTF-8, heads, boundaries, the roster's snapshot.

  <folder>           the output of a build (default dist)
  --only <text>      the functions with this in their name
  --quick            a moment each; prints JSON: the least time of each, in nanoseconds
  --against <commit> builds that commit elsewhere, and prints how much faster this build is, in under a minute. It says so
                     if that commit is missing or does not build. The exit status is always 0, because it only informs
`;

interface Flags {
  folder: string;
  only: string;
  quick: boolean;
  against: string | undefined;
}

function readFlags(): Flags {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        only: { type: 'string', default: '' },
        quick: { type: 'boolean', default: false },
        against: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    if (positionals.length > 1) throw new Error('One folder, please');
    const { only, quick, against } = values;
    return { folder: positionals[0] ?? DIST, only, quick, against };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

/**
 * The least nanoseconds by name, because other work of the machine only adds. Functions that an older build lacks are
 * left out.
 */
async function leastOf(benches: readonly PureBench[]): Promise<Record<string, number>> {
  const least: Record<string, number> = {};
  for (const { name, run } of benches) {
    const stats = await measure(run, QUICK).catch(() => null);
    if (stats !== null) least[name] = stats.min;
  }
  return least;
}

const { folder, only, quick, against } = readFlags();
if (against !== undefined) {
  await compareWith(against, DIST);
} else {
  const benches = benchesOf(await importFrom(folder)).filter(({ name }) => name.includes(only));
  if (quick) {
    process.stdout.write(`${JSON.stringify(await leastOf(benches))}\n`);
  } else {
    for (const { name, run } of benches) bench(name, run);
    await run();
  }
}
