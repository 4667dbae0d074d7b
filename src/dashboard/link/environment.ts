/**
 * The parts of a browser that links need, as an interface, so that tests have a clock, sockets and a page of their own.
 */

/** The part of a WebSocket that links use. */
export interface Socket {
  readonly protocol: string;
  readonly bufferedAmount: number;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export interface Environment {
  /** Milliseconds; only differences count. */
  now(): number;
  /** @returns a function that cancels it */
  after(ms: number, callback: () => void): () => void;
  random(): number;
  /** @throws if the URL or a subprotocol is malformed */
  open(url: string, protocols: string[]): Socket;
  /** Whether nobody can see the page. */
  hidden(): boolean;
  /**
   * Calls back when the page may have slept, or the network was away: shown again, restored, focused, back online.
   *
   * @returns a function that ends it
   */
  onWake(callback: () => void): () => void;
}

export const browser: Environment = {
  now: () => performance.timeOrigin + performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
  open: (url, protocols) => new WebSocket(url, protocols) as Socket,
  hidden: () => document.visibilityState === 'hidden',
  onWake(callback) {
    const whenVisible = () => {
      if (document.visibilityState === 'visible') callback();
    };
    document.addEventListener('visibilitychange', whenVisible);
    // A page that iOS takes out of its cache has a pageshow and may have no visibilitychange.
    for (const name of ['pageshow', 'online', 'focus']) addEventListener(name, whenVisible);
    return () => {
      document.removeEventListener('visibilitychange', whenVisible);
      for (const name of ['pageshow', 'online', 'focus']) removeEventListener(name, whenVisible);
    };
  },
};
