/** Work put together: once a frame at the most, and no more often than somebody can see. */

const HIDDEN_MS = 250;

/**
 * @param gapMs from the end of one to the beginning of the next, in milliseconds; the first after a rest does not wait
 * @returns asks for `work` to be done soon; once, however often it is asked until then
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
