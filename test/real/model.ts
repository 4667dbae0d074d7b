/**
 * A model that does what the prompt says, over the API that many providers speak: so a real pi runs with no provider.
 *
 *   say N            N words, one at a time          think N         thinks first, then says N words
 *   slow N MS        N words, one every MS           run COMMAND     calls bash, and then says what came
 *   ask KIND         calls ask_person                count N         calls count_up
 *   fail STATUS N    fails N times, then answers     anything else   is repeated
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

interface ChatMessage {
  role: string;
  content?: string | { type: string; text?: string }[];
}
interface Body {
  messages: ChatMessage[];
}

type Delta = Record<string, unknown>;

export class Model {
  /** What it was asked, as it came. */
  readonly requests: Body[] = [];
  readonly #server: http.Server;
  readonly #failures = new Map<string, number>();

  private constructor(server: http.Server) {
    this.#server = server;
  }

  static async start(): Promise<Model> {
    const server = http.createServer();
    const model = new Model(server);
    server.on('request', (request, response) => {
      model.#serve(request, response).catch(() => response.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return model;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request) text += chunk;
    const body = JSON.parse(text) as Body;
    this.requests.push(body);
    const last = body.messages.at(-1);
    const prompt = textOf(body.messages.findLast(({ role }) => role === 'user'));
    const [word = '', ...args] = prompt.split(/\s+/);
    if (word === 'fail' && last?.role === 'user') {
      const failed = this.#failures.get(prompt) ?? 0;
      if (failed < Number(args[1])) {
        this.#failures.set(prompt, failed + 1);
        response.writeHead(Number(args[0]), { 'content-type': 'application/json' });
        response.end(JSON.stringify({ error: { message: 'overloaded', type: 'overloaded_error' } }));
        return;
      }
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const stream = new Stream(response);
    if (last?.role === 'tool') await stream.say([`It came: ${textOf(last)}`], 0);
    else await this.#answer(stream, word, args, prompt);
  }

  async #answer(stream: Stream, word: string, args: string[], prompt: string): Promise<void> {
    const words = Array.from({ length: Number(args[0]) || 0 }, (_, i) => `word${i} `);
    switch (word) {
      case 'say':
        return stream.say(words, 0);
      case 'slow':
        return stream.say(words, Number(args[1]));
      case 'think':
        for (const thought of ['Let ', 'me ', 'see.']) await stream.send({ reasoning_content: thought });
        return stream.say(words, 0);
      case 'run':
        return stream.call('bash', { command: prompt.slice('run '.length) });
      case 'ask':
        return stream.call('ask_person', { kind: args[0] });
      case 'count':
        return stream.call('count_up', { to: Number(args[0]) });
      default:
        return stream.say(['You said: ', prompt], 0);
    }
  }
}

/** One answer, as server-sent events. */
class Stream {
  readonly #response: http.ServerResponse;
  #tokens = 0;

  constructor(response: http.ServerResponse) {
    this.#response = response;
  }

  async send(delta: Delta, finishReason: string | null = null): Promise<void> {
    this.#tokens++;
    await this.#write({ choices: [{ index: 0, delta, finish_reason: finishReason }] });
  }

  async say(words: string[], pauseMs: number): Promise<void> {
    await this.send({ role: 'assistant', content: '' });
    for (const word of words) {
      if (pauseMs > 0) await sleep(pauseMs);
      await this.send({ content: word });
      if (this.#response.destroyed) return;
    }
    await this.#end('stop');
  }

  async call(name: string, args: object): Promise<void> {
    const id = `call_${name}_${Date.now()}`;
    const text = JSON.stringify(args);
    const pieces = [text.slice(0, 4), text.slice(4)];
    await this.send({ role: 'assistant', content: null });
    await this.send({ tool_calls: [{ index: 0, id, type: 'function', function: { name, arguments: '' } }] });
    for (const piece of pieces) await this.send({ tool_calls: [{ index: 0, function: { arguments: piece } }] });
    await this.#end('tool_calls');
  }

  async #end(finishReason: string): Promise<void> {
    await this.send({}, finishReason);
    const usage = { prompt_tokens: 100, completion_tokens: this.#tokens, total_tokens: 100 + this.#tokens };
    await this.#write({ choices: [], usage });
    this.#response.end('data: [DONE]\n\n');
  }

  async #write(part: object): Promise<void> {
    const chunk = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'mock-1', ...part };
    if (!this.#response.write(`data: ${JSON.stringify(chunk)}\n\n`)) await once(this.#response, 'drain');
  }
}

function textOf(message: ChatMessage | undefined): string {
  const { content = '' } = message ?? {};
  return typeof content === 'string' ? content : content.map(({ text = '' }) => text).join('');
}
