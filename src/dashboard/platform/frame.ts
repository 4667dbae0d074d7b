/** Work put together until the next frame, or, for a page that is hidden and gets no frames, until a little later. */

const HIDDEN_MS = 250;

/** @returns asks for `work` to be done soon; once, however often it is asked until then */
export function coalesced(work: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    const run = () => {
      asked = false;
      work();
    };
    if (document.visibilityState === 'visible') requestAnimationFrame(run);
    else setTimeout(run, HIDDEN_MS);
  };
}
