/**
 * The service worker, for tasks that a page cannot do itself. It shows notifications (on phones only a worker may),
 * brings the page to the front when one is clicked, and makes the page installable. It caches nothing and answers no
 * request, so the page is always as the daemon serves it.
 */
export {};

interface WorkerScope {
  skipWaiting(): Promise<void>;
  clients: {
    claim(): Promise<void>;
    matchAll(options: { type: 'window'; includeUncontrolled: boolean }): Promise<WindowClient[]>;
    openWindow(url: string): Promise<unknown>;
  };
  registration: { scope: string };
  addEventListener(type: string, listener: (event: WorkerEvent) => void): void;
}
interface WindowClient {
  url: string;
  focus(): Promise<unknown>;
  postMessage(message: unknown): void;
}
interface WorkerEvent {
  waitUntil(work: Promise<unknown>): void;
  notification: { data: unknown; close(): void };
}

const worker = self as unknown as WorkerScope;

worker.addEventListener('install', (event) => event.waitUntil(worker.skipWaiting()));
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener('notificationclick', (event) => {
  event.notification.close();
  const hash = typeof event.notification.data === 'string' ? event.notification.data : '';
  event.waitUntil(open(hash));
});

async function open(hash: string): Promise<void> {
  const pages = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const page = pages.find(({ url }) => url.startsWith(worker.registration.scope));
  if (page === undefined) {
    await worker.clients.openWindow(worker.registration.scope + hash);
    return;
  }
  await page.focus();
  page.postMessage({ open: hash });
}
