/** Plain HTTP, driven by autocannon. */
import autocannon from 'autocannon';
import { WrongAnswer } from './checker.ts';
import { fail, failed } from './state.ts';
import { type Counted, type Counting, countWindow, Tally } from './window.ts';

export interface HttpRequests {
  port: number;
  path: string;
  fields?: Record<string, string>;
  /** Of every response. */
  status: number;
  /** How every body ends. */
  bodyEnd: string;
  /** So many are under way at any moment. */
  atATime: number;
}

/** Longer than any window. */
const DURATION_SECONDS = 3600;

/**
 * If a server ends the connection after its answer, autocannon writes the next request to it all the same, and then
 * again to the next connection. So it is told to open a new one for each request (`reconnectRate`); it reports no
 * responses then, so they are counted here.
 */
export async function countResponses(options: HttpRequests & Counting): Promise<Counted> {
  const { port, path, fields = {}, status, bodyEnd, atATime } = options;
  const responses = new Tally();
  const setupClient = (client: NodeJS.EventEmitter) => {
    let askedAt = performance.now();
    client.on('request', () => {
      askedAt = performance.now();
    });
    client.on('headers', ({ statusCode }: { statusCode: number }) => {
      if (statusCode !== status) fail(new WrongAnswer(`status ${statusCode}, not ${status}`));
    });
    client.on('body', (chunk: Buffer) => {
      if (!chunk.toString().endsWith(bodyEnd)) fail(new WrongAnswer(`not the body expected: ${chunk}`));
      responses.onLatency(performance.now() - askedAt);
      responses.onMessage(chunk.length);
    });
    client.on('connError', fail);
  };
  const run = autocannon({
    url: `http://127.0.0.1:${port}${path}`,
    connections: atATime,
    duration: DURATION_SECONDS,
    reconnectRate: 1,
    headers: fields,
    setupClient,
  });
  const counted = await Promise.race([failed, countWindow(options, responses)]);
  (run as unknown as autocannon.Instance).stop();
  return counted;
}
