/** Joins requests for work: it is done once a frame at the most, and no more often than somebody can see. */

const HIDDEN_MS = 250;

/**
 * @param gapMs from the end of one run to the start of the next, in milliseconds; the first after a rest does not wait
 * @returns a function that requests a run of `work` soon; there is one for all requests until then
 */
export function coalesced(work: () => void, gapMs = 0): () => void {
  let asked = false;
  let doneAt = Number.NEGATIVE_INFINITY;
  const run = () => {
    asked = false;
    work();
    doneAt = performance.now();
  };
  return () => {
    if (asked) return;
    asked = true;
    // A page that is hidden gets no frames.
    const isVisible = document.visibilityState === 'visible';
    const wait = Math.max(doneAt + gapMs - performance.now(), isVisible ? 0 : HIDDEN_MS);
    if (wait > 0) setTimeout(run, wait);
    else requestAnimationFrame(run);
  };
}
