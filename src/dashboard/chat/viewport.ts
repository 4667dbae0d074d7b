/**
 * The keyboard of a phone covers the lower part of the page, and not every browser makes the page smaller for it. How much
 * it covers is in `--keyboard`, so that the composer stays above it. Browsers that make the page smaller cover nothing.
 */

/** @returns a function that ends it */
export function trackKeyboard(): () => void {
  const viewport = window.visualViewport;
  if (!viewport) return () => {};
  const root = document.documentElement;
  const update = () => {
    // Somebody who has zoomed in looks at a part of the page: nothing is covered.
    const covered = viewport.scale > 1.01 ? 0 : window.innerHeight - viewport.height - viewport.offsetTop;
    root.style.setProperty('--keyboard', `${Math.max(0, Math.round(covered))}px`);
  };
  viewport.addEventListener('resize', update);
  viewport.addEventListener('scroll', update);
  update();
  return () => {
    viewport.removeEventListener('resize', update);
    viewport.removeEventListener('scroll', update);
    root.style.removeProperty('--keyboard');
  };
}
