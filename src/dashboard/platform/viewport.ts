/**
 * The part of the screen that is not under a phone's keyboard: the page is as high as that. Browsers that shrink the
 * layout themselves (`interactive-widget=resizes-content`) have the same height in both.
 */
export function fitToViewport(): void {
  const viewport = window.visualViewport;
  if (!viewport) return;
  const root = document.documentElement;
  const fit = () => {
    // Somebody who has zoomed in looks at a part of the page: the page stays as it is.
    const zoomed = viewport.scale > 1.01;
    root.style.setProperty('--app-height', zoomed ? '100dvh' : `${viewport.height}px`);
    root.style.setProperty('--app-top', zoomed ? '0px' : `${viewport.offsetTop}px`);
  };
  viewport.addEventListener('resize', fit);
  viewport.addEventListener('scroll', fit);
  fit();
}
