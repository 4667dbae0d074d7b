/**
 * The layers over the page: dialogs, menus, sheets. The topmost has the focus and the Esc key; when it goes, the focus
 * goes back to where it was.
 */

interface Layer {
  close(): void;
  returnTo: Element | null;
}

const layers: Layer[] = [];

export const hasLayers = () => layers.length > 0;

/**
 * @param close the action of Esc; it must lead to a call of the returned function
 * @returns a function that takes the layer away, and gives the focus back
 */
export function pushLayer(close: () => void): () => void {
  const layer = { close, returnTo: document.activeElement };
  layers.push(layer);
  return () => {
    const index = layers.indexOf(layer);
    if (index === -1) return;
    layers.splice(index, 1);
    if (layer.returnTo instanceof HTMLElement && layer.returnTo.isConnected) layer.returnTo.focus();
  };
}

/** @returns whether there was one */
export function closeTopLayer(): boolean {
  const layer = layers.at(-1);
  layer?.close();
  return layer !== undefined;
}
