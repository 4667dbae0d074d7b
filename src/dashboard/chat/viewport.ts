/**
 * The keyboard of a phone covers the lower part of the page, and not every browser makes the page smaller for it.
 * `--keyboard` is the height that it covers, so that the composer stays above it: 0 if the page became smaller.
 */

/** @returns a function that ends it */
export function trackKeyboard(): () => void {
  const viewport = window.visualViewport;
  if (!viewport) return () => {};
  const root = document.documentElement;
  const update = () => {
    // If somebody has zoomed in, the viewport is smaller, but nothing is covered.
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
