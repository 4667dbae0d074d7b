/** Whether the targets were reached. This is only information, because machines are noisy. */
import type { Spread } from './rounds.ts';
import { spreadOfDifferences, spreadOfFigure, spreadOfRatios } from './rounds.ts';
import type { Measurement, Target } from './scenario.ts';

/** "A delay is not a win": more work per CPU second must not cost a higher p99. */
const MAX_P99_RATIO = 1.1;

export interface Verdict {
  /** `≥ 1.12 × ws` */
  target: string;
  /** Null if it could not be measured. */
  reached: number | null;
  met: boolean | null;
}

/** @param results rounds by subject; the first subject is the one to be judged */
export function judge(targets: readonly Target[], results: ReadonlyMap<string, readonly Measurement[]>): Verdict[] {
  const [ours = []] = results.values();
  const peers = new Set(
    targets.flatMap(({ peer, figure }) => (peer !== undefined && figure === undefined ? [peer] : [])),
  );
  const tails = [...peers].map((peer): Target => ({ peer, figure: 'p99Ms', atMost: MAX_P99_RATIO }));
  const verdicts = targets.flatMap((target) => judgeOne(target, ours, results));
  const ofTails = tails.flatMap((target) => judgeOne(target, ours, results));
  // A scenario without latencies has none to judge; its page says why.
  return [...verdicts, ...ofTails.filter(({ reached }) => reached !== null)];
}

function judgeOne(
  { peer, figure, atLeast, atMost, atMostMore }: Target,
  ours: readonly Measurement[],
  results: ReadonlyMap<string, readonly Measurement[]>,
): Verdict[] {
  const theirs = peer === undefined ? null : (results.get(peer) ?? []);
  const verdict = (sign: string, bound: number, spread: Spread | null, isMet: (value: number) => boolean): Verdict => {
    const value = spread?.median ?? null;
    const name = figure === undefined ? '' : `${figure} `;
    const of = peer === undefined ? '' : sign.endsWith('+') ? ` over ${peer}` : ` × ${peer}`;
    return { target: `${name}${sign} ${bound}${of}`, reached: value, met: value === null ? null : isMet(value) };
  };
  const spread = theirs === null ? spreadOfFigure(ours, figure) : spreadOfRatios(ours, theirs, figure);
  const verdicts: Verdict[] = [];
  if (atLeast !== undefined) verdicts.push(verdict('≥', atLeast, spread, (value) => value >= atLeast));
  if (atMost !== undefined) verdicts.push(verdict('≤', atMost, spread, (value) => value <= atMost));
  if (atMostMore !== undefined) {
    const more = spreadOfDifferences(ours, theirs ?? [], figure);
    verdicts.push(verdict('≤ +', atMostMore, more, (value) => value <= atMostMore));
  }
  return verdicts;
}
