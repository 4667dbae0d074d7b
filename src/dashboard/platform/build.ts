/**
 * Whether the daemon serves a newer page than this one, and how far its clock is from ours: the response with the page
 * has both, and is requested when the daemon is back.
 */

const BUILD = /<meta name="build" content="([^"]*)"/;

const own = document.querySelector<HTMLMetaElement>('meta[name="build"]')?.content ?? '';

export interface Served {
  isNewer: boolean;
  /** Seconds that the daemon's clock is ahead; null if it does not say. */
  clockAhead: number | null;
}

/** @returns null if the daemon does not answer */
export async function askServed(): Promise<Served | null> {
  try {
    const before = Date.now();
    const response = await fetch('./', { cache: 'no-cache', redirect: 'error' });
    const text = await response.text();
    const build = BUILD.exec(text)?.[1];
    const date = Date.parse(response.headers.get('date') ?? '');
    // The header has whole seconds, on average half a second too few.
    const clockAhead = Number.isNaN(date) ? null : Math.round((date + 500 - (before + Date.now()) / 2) / 1000);
    return { isNewer: build !== undefined && build !== own, clockAhead };
  } catch {
    return null;
  }
}
