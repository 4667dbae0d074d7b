/** Measures the element that scrolls, listens to it, and scrolls it as `scroll.ts` decides. */
import { signal } from '@preact/signals';
import { type Anchor, follow, type Metrics, onMessages, onScrolled, onUpward, place, type Scroll } from './scroll.ts';

/** A view counts as at least this high, even if a keyboard leaves it hardly any room. */
const MIN_SCREEN_PX = 600;
const UPWARD_KEYS = new Set(['ArrowUp', 'PageUp', 'Home']);

export class Scroller {
  readonly following = signal(true);
  readonly unseen = signal(0);
  #scroll: Scroll;
  readonly #element: HTMLElement;
  readonly #rows: HTMLElement;
  readonly #changed: (scroll: Scroll) => void;
  readonly #observer: ResizeObserver;
  readonly #abort = new AbortController();
  #touchY = 0;
  /** The first row of the answer, if following stops at its start. */
  #answerKey: string | null = null;

  /**
   * @param element the element that scrolls
   * @param rows its only child: each of its children with `data-key` is a row
   */
  constructor(element: HTMLElement, rows: HTMLElement, scroll: Scroll, changed: (scroll: Scroll) => void) {
    this.#element = element;
    this.#rows = rows;
    // The place was measured in another element, or in this one before it was filled.
    this.#scroll = { ...scroll, top: element.scrollTop };
    this.#changed = changed;
    const options = { passive: true, signal: this.#abort.signal };
    element.addEventListener(
      'scroll',
      () => {
        const metrics = this.#metrics();
        // While it follows, most events come from its own scrolling, and need no anchor.
        const own = this.#scroll.mode === 'following' && metrics.top >= this.#scroll.top - 1;
        this.#update(onScrolled(this.#scroll, own ? null : this.#anchor(), metrics));
      },
      options,
    );
    element.addEventListener('wheel', (event) => event.deltaY < 0 && this.#upward(), options);
    element.addEventListener(
      'touchstart',
      (event) => {
        this.#touchY = event.touches[0]?.clientY ?? 0;
      },
      options,
    );
    element.addEventListener(
      'touchmove',
      (event) => {
        const y = event.touches[0]?.clientY ?? 0;
        // The finger moves down, and the text with it: older text comes into sight.
        if (y > this.#touchY + 2) this.#upward();
        this.#touchY = y;
      },
      options,
    );
    element.addEventListener(
      'keydown',
      (event) => {
        if (UPWARD_KEYS.has(event.key) || (event.key === ' ' && event.shiftKey)) this.#upward();
      },
      options,
    );
    element.addEventListener(
      'pointerdown',
      (event) => {
        if (event.target === element && event.offsetX >= element.clientWidth) this.#upward();
      },
      options,
    );
    this.#observer = new ResizeObserver(() => this.settle());
    this.#observer.observe(rows);
    this.#observer.observe(element);
    this.#publish();
  }

  close(): void {
    this.#abort.abort();
    this.#observer.disconnect();
  }

  /** Rows have changed, or their sizes: puts the transcript where it should be, before it is drawn. */
  settle(): void {
    const { anchor, mode } = this.#scroll;
    const measured = mode === 'reading' && anchor !== null ? this.#offsetOf(anchor.key) : null;
    const answer = this.#answerKey === null ? null : this.#offsetOf(this.#answerKey);
    const placed = place(
      this.#scroll,
      this.#metrics(),
      measured,
      answer === null ? null : { key: this.#answerKey as string, offset: answer },
    );
    this.#update(placed.scroll);
    if (placed.to !== null) this.#element.scrollTop = placed.to;
  }

  /** @param count how many messages have come at the end */
  added(count: number): void {
    this.#update(onMessages(this.#scroll, count));
  }

  /** @param key the first row of the answer that is being written, if following is to stop there */
  stopAt(key: string | null): void {
    this.#answerKey = key;
  }

  /** Returns to a place that was left. */
  restore(scroll: Scroll): void {
    this.#update({ ...scroll, top: this.#element.scrollTop });
    this.settle();
  }

  toBottom(): void {
    this.#answerKey = null;
    this.#update(follow(this.#scroll));
    this.settle();
  }

  #upward(): void {
    this.#update(onUpward(this.#scroll, this.#anchor(), this.#metrics()));
  }

  #update(scroll: Scroll): void {
    if (scroll === this.#scroll) return;
    this.#scroll = scroll;
    this.#publish();
    this.#changed(scroll);
  }

  #publish(): void {
    this.following.value = this.#scroll.mode === 'following';
    this.unseen.value = this.#scroll.unseen;
  }

  #metrics(): Metrics {
    const { scrollTop, scrollHeight, clientHeight } = this.#element;
    return { top: scrollTop, height: scrollHeight, viewHeight: clientHeight };
  }

  /**
   * The first row to keep of a transcript that has grown far beyond the view; null if it has not.
   *
   * @param most screens above the view that may be there
   * @param kept screens above the view that stay, if there are more
   */
  surplus(most: number, kept: number): string | null {
    const { top, viewHeight } = this.#metrics();
    const screen = Math.max(viewHeight, MIN_SCREEN_PX);
    return top <= most * screen ? null : (this.#firstRow(-kept * screen)?.key ?? null);
  }

  /** The first row that is at least partly in sight. */
  #anchor(): Anchor | null {
    return this.#firstRow(0);
  }

  /** The first row that ends below `from`, which is measured from the top of the view, in CSS pixels. */
  #firstRow(from: number): Anchor | null {
    const top = this.#element.getBoundingClientRect().top;
    const rows = this.#rows.children;
    let [low, high] = [0, rows.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((rows[middle] as Element).getBoundingClientRect().bottom > top + from + 1) high = middle;
      else low = middle + 1;
    }
    for (let at = low; at < rows.length; at++) {
      const row = rows[at] as HTMLElement;
      if (row.dataset.key !== undefined) return { key: row.dataset.key, offset: row.getBoundingClientRect().top - top };
    }
    return null;
  }

  #offsetOf(key: string): number | null {
    const row = this.#rows.querySelector(`:scope > [data-key="${CSS.escape(key)}"]`);
    return row === null ? null : row.getBoundingClientRect().top - this.#element.getBoundingClientRect().top;
  }
}
