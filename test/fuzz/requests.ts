/**
 * Requests to the registry: any text is a request or an RpcError, any params are a node or an RpcError; and what is
 * answered is JSON, with the id that came.
 */
import assert from 'node:assert/strict';
import { type NodeInfo, readNodeInfo } from '../../src/registry/node-info.ts';
import {
  encodeError,
  encodeResult,
  parseRequest,
  type Request,
  type RequestId,
  RpcError,
} from '../../src/registry/rpc.ts';
import { Random } from './random.ts';
import { RequestInputs } from './request-inputs.ts';
import type { Target } from './target.ts';

const REFUSALS = ['Missing params', 'Invalid node info'];
/** What of a text may not be in a node: it would not come out as it went in, or not on one line. */
const UNFIT = /[\p{Cc}\p{Cs}]/u;

export class RequestTarget implements Target {
  readonly name = 'requests';
  readonly unit = 'requests';
  readonly peer = 'nobody';
  readonly differences = [];
  readonly met = new Map<string, number>();
  readonly #random = new Random();
  readonly #inputs = new RequestInputs(this.#random);
  #text = '';

  check(seed: number, index: number): void {
    this.#random.reset(seed, index);
    this.#text = this.#inputs.next();
    const request = attempt(() => parseRequest(this.#text));
    if (request instanceof RpcError) {
      assert.match(request.message, /^Invalid request: [\w ]+$/);
      checkAnswer(encodeError(request.id, request.message), request.id, { error: request.message });
    } else {
      checkRequest(request, this.#text);
    }
  }

  shown(): string {
    return `${JSON.stringify(this.#text)}\n${Buffer.from(this.#text).toString('hex')}`;
  }
}

function checkRequest(request: Request, text: string): void {
  const { id, method, params, ...others } = request;
  assert.deepEqual(others, {}, 'nothing else is copied');
  const parsed = JSON.parse(text);
  assert.equal(parsed.method, method);
  assert.equal(parsed.id, asParsed(id));
  checkAnswer(encodeResult(id, '{"status":"registered"}'), id, { result: { status: 'registered' } });
  // A lone surrogate is written as its escape, so that the sentence comes back as it was.
  checkAnswer(encodeError(id, `Method not found: ${method}`), id, { error: `Method not found: ${method}` });

  const node = attempt(() => readNodeInfo(params));
  if (node instanceof RpcError) assert.ok(REFUSALS.includes(node.message), node.message);
  else checkNode(node);
}

function checkAnswer(answer: string, id: RequestId | undefined, rest: object): void {
  // JSON.stringify knows no -0.
  const told = asParsed(id) === 0 ? 0 : asParsed(id);
  assert.deepEqual(JSON.parse(answer), id === undefined ? rest : { id: told, ...rest });
}

/** A large integer is kept with all its digits; JSON.parse rounds it. */
function asParsed(id: unknown): unknown {
  return typeof id === 'bigint' ? Number(id) : id;
}

/** What is kept of a peer's object is small, flat, and its own. */
function checkNode(node: NodeInfo): void {
  const { id, machine, cwd, port, pid = 0, dialKey = 'a', ...others } = node;
  assert.deepEqual(others, {}, 'nothing else is copied');
  assert.equal(Object.getPrototypeOf(node), Object.prototype);
  for (const [text, maxBytes] of [
    [id, 256],
    [machine, 253],
    [cwd, 4096],
  ] as const) {
    assert.ok(Buffer.byteLength(text) <= maxBytes && !UNFIT.test(text) && Buffer.from(text).toString() === text);
  }
  assert.notEqual(id, '');
  assert.ok(Number.isInteger(port) && port >= 1 && port <= 65_535);
  assert.ok(Number.isSafeInteger(pid) && pid >= 0);
  assert.match(dialKey, /^[\w-]{1,128}$/);
}

function attempt<T>(act: () => T): T | RpcError {
  try {
    return act();
  } catch (error) {
    if (error instanceof RpcError) return error;
    throw error;
  }
}
