/**
 * Colours code when there is time: the highlighter is loaded with the first code that is shown, works on one text after
 * another, and lets the page draw in between.
 */
import type { Piece } from './highlight.ts';

type Highlight = typeof import('./highlight.ts').highlight;

interface Job {
  run(highlight: Highlight): void;
}

/** How long it may work before the page gets its turn. */
const SLICE_MS = 8;

let loaded: Promise<Highlight> | null = null;
const jobs = new Set<Job>();
let working = false;

/** @returns a function that cancels it */
export function highlightLater(
  text: string,
  language: string,
  done: (pieces: readonly Piece[] | null) => void,
): () => void {
  const job: Job = { run: (highlight) => done(highlight(text, language)) };
  jobs.add(job);
  if (!working) work();
  return () => jobs.delete(job);
}

async function work(): Promise<void> {
  working = true;
  try {
    loaded ??= import('./highlight.ts').then((module) => module.highlight);
    const highlight = await loaded;
    while (jobs.size > 0) {
      await nextFrame();
      const until = performance.now() + SLICE_MS;
      for (const job of jobs) {
        jobs.delete(job);
        job.run(highlight);
        if (performance.now() >= until) break;
      }
    }
  } catch {
    // Code has no colours then. Loading is tried again with the next code.
    loaded = null;
    jobs.clear();
  } finally {
    working = false;
  }
}

function nextFrame(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}
