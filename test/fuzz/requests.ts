/**
 * Requests to the registry: any text is a request or an RpcError, any params are a node or an RpcError; and what is
 * answered is JSON, with the id that came.
 */
import assert from 'node:assert/strict';
import { NODE_LIMITS, type Node } from '../../src/protocol/registry.ts';
import { applyDetails, type DetailsChange } from '../../src/registry/node-details.ts';
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

const REFUSAL = /^(Missing params|Invalid node info(: [a-z_]+)?)$/;
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
  if (node instanceof RpcError) assert.match(node.message, REFUSAL);
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

/** What is kept of a peer's object is small, and its own. */
function checkNode(node: NodeInfo): void {
  const { id, machine, cwd, port, pid = 0, dialKey = 'a', spawnId = '', details, ...others } = node;
  assert.deepEqual(others, {}, 'nothing else is copied');
  assert.equal(Object.getPrototypeOf(node), Object.prototype);
  for (const [text, maxBytes] of [
    [id, 256],
    [machine, 253],
    [cwd, 4096],
    [spawnId, 64],
  ] as const) {
    checkText(text, maxBytes);
  }
  assert.notEqual(id, '');
  assert.ok(Number.isInteger(port) && port >= 1 && port <= 65_535);
  assert.ok(Number.isSafeInteger(pid) && pid >= 0);
  assert.match(dialKey, /^[\w-]{1,128}$/);
  if (details !== undefined) checkDetails({ id, machine, cwd, port, status: 'active' }, details);
}

function checkText(text: string, maxBytes: number): void {
  assert.ok(Buffer.byteLength(text) <= maxBytes && !UNFIT.test(text) && Buffer.from(text).toString() === text);
}

/** They are bounded, change the node as they say, and change nothing the second time. */
function checkDetails(before: Node, details: DetailsChange): void {
  const { node, changed } = applyDetails(before, details, 1_700_000_000);
  const { name = '', session = '', model = '', tool = '', successor = '', question } = node;
  const { name: nameBytes, session: sessionBytes, model: modelBytes, tool: toolBytes, id: idBytes } = NODE_LIMITS;
  checkText(name, nameBytes);
  checkText(session, sessionBytes);
  checkText(model, modelBytes);
  checkText(tool, toolBytes);
  checkText(successor, idBytes);
  if (question !== undefined) {
    checkText(question.title, NODE_LIMITS.questionTitle);
    for (const option of question.options ?? []) checkText(option, NODE_LIMITS.questionOption);
    assert.ok((question.options ?? []).length <= NODE_LIMITS.questionOptions);
  }
  const told = Object.entries({ ...before, ...changed }).filter(([, value]) => value !== null);
  assert.deepEqual(node, Object.fromEntries(told));
  assert.deepEqual(JSON.parse(JSON.stringify(node)), node, 'it comes out as it went in');
  assert.deepEqual(applyDetails(node, { ...details, stateAge: null, toolAge: null }, 1_800_000_000).changed, {});
}

function attempt<T>(act: () => T): T | RpcError {
  try {
    return act();
  } catch (error) {
    if (error instanceof RpcError) return error;
    throw error;
  }
}
