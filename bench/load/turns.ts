/** Repeats an action, a number of times at once. */
import { failed } from './state.ts';
import { type Counted, type Counting, countWindow, Tally } from './window.ts';

/** So many at a time take turns, until the window is over. */
export async function countTurns(
  counting: Counting,
  atATime: number,
  turn: (i: number) => Promise<void>,
): Promise<Counted> {
  const turns = new Tally();
  let open = true;
  let next = 0;
  const lane = async () => {
    while (open) {
      const beganAt = performance.now();
      await turn(next++);
      turns.onLatency(performance.now() - beganAt);
      turns.onMessage(0);
    }
  };
  const lanes = Promise.all(Array.from({ length: atATime }, lane));
  // Nothing but a fault ends it before the window does.
  const counted = await Promise.race([failed, countWindow(counting, turns), lanes.then(() => failed)]);
  open = false;
  await Promise.race([failed, lanes]);
  return counted;
}
