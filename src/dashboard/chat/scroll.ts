/**
 * Decides where a transcript scrolls to. Pure: events and measurements come in, a position goes out.
 *
 *              wheel, touch or key upward; the answer's first line at the top
 *            ┌──────────────────────────────────────────────────────────────▶┐
 *         following                                                       reading
 *            └◀──────────────────────────────────────────────────────────────┘
 *              scrolled down to within 48 px of the bottom; the pill
 *
 * While following, every growth scrolls to the bottom. While reading, the row in sight stays where it is, whatever grows
 * or comes in above or below it: the browser's own scroll anchoring is off, since not every browser has one.
 */

/** The bottom counts as reached within this distance of it, in CSS pixels. */
export const BOTTOM_PX = 48;

export interface Anchor {
  readonly key: string;
  /** From the top of the view to the top of the row, in CSS pixels; negative if the row begins above. */
  readonly offset: number;
}

export interface Scroll {
  readonly mode: 'following' | 'reading';
  /** While reading: the row that keeps its place. */
  readonly anchor: Anchor | null;
  /** Messages that have come since following ended. */
  readonly unseen: number;
  /** The scroll position seen last. */
  readonly top: number;
}

export interface Metrics {
  readonly top: number;
  readonly height: number;
  readonly viewHeight: number;
}

export const AT_BOTTOM: Scroll = { mode: 'following', anchor: null, unseen: 0, top: 0 };

export const bottomOf = ({ height, viewHeight }: Metrics) => Math.max(0, height - viewHeight);

/** The person has moved upward, or is about to: following ends before anything has scrolled. */
export function onUpward(scroll: Scroll, anchor: Anchor | null, metrics: Metrics): Scroll {
  if (scroll.mode === 'reading' || bottomOf(metrics) <= 0) return scroll;
  return { mode: 'reading', anchor, unseen: 0, top: metrics.top };
}

/** The position has changed, by the person or by what `place` asked for. */
export function onScrolled(scroll: Scroll, anchor: Anchor | null, metrics: Metrics): Scroll {
  const left = bottomOf(metrics) - metrics.top;
  const downward = metrics.top > scroll.top + 1;
  if (scroll.mode === 'following') {
    // Without a gesture: somebody dragged the scroll bar upward, or searched in the page.
    if (metrics.top < scroll.top - 1 && left > BOTTOM_PX)
      return { mode: 'reading', anchor, unseen: 0, top: metrics.top };
    return { ...scroll, top: metrics.top };
  }
  if (left <= 1 || (downward && left <= BOTTOM_PX))
    return { mode: 'following', anchor: null, unseen: 0, top: metrics.top };
  return { ...scroll, anchor, top: metrics.top };
}

/** @param count how many messages are new at the end */
export function onMessages(scroll: Scroll, count: number): Scroll {
  return scroll.mode === 'reading' && count > 0 ? { ...scroll, unseen: scroll.unseen + count } : scroll;
}

/** Goes to the bottom, and follows from there. */
export function follow(scroll: Scroll): Scroll {
  return { mode: 'following', anchor: null, unseen: 0, top: scroll.top };
}

/**
 * Where to scroll after the content, or the view's size, has changed.
 *
 * @param measured the present offset of the anchor's row, measured like `Anchor.offset`; null if the row is gone
 * @param answer the first row of the answer being written, if following stops at its start
 * @returns the position to scroll to; null to leave it
 */
export function place(
  scroll: Scroll,
  metrics: Metrics,
  measured: number | null,
  answer: Anchor | null,
): { scroll: Scroll; to: number | null } {
  if (scroll.mode === 'following') {
    const to = bottomOf(metrics);
    const start = answer === null ? Number.POSITIVE_INFINITY : metrics.top + answer.offset;
    if (answer !== null && to >= start) {
      return { scroll: { mode: 'reading', anchor: { key: answer.key, offset: 0 }, unseen: 0, top: start }, to: start };
    }
    return { scroll: { ...scroll, top: to }, to: Math.abs(to - metrics.top) < 0.5 ? null : to };
  }
  if (scroll.anchor === null || measured === null) return { scroll, to: null };
  // The person's own scrolling since the anchor was measured is not undone.
  const moved = measured - (scroll.anchor.offset - (metrics.top - scroll.top));
  if (Math.abs(moved) < 0.1) return { scroll, to: null };
  const to = metrics.top + moved;
  return { scroll: { ...scroll, top: to }, to };
}
