/**
 * Heads and handshakes: any bytes, however they are cut, have one outcome, and a documented one.
 *
 *   whole and chopped ─▶ HeadAccumulator ─▶ parseRequestHead ─▶ readUpgradeRequest ─▶ the same request, or HttpError
 *   chopped ──────────▶ Node's server, from llhttp 9 on ────▶ the same request, but for NODE_DIFFERENCES
 *   what was read ────▶ gate, route, target, authority: documented errors only, and what was written is read again
 *
 * One head in four is a response, which no public part of Node reads at this speed: it is put to ours alone.
 */
import assert from 'node:assert/strict';
import { canonicalHost, parseAuthority } from '../../src/http/authority.ts';
import { HttpError } from '../../src/http/error.ts';
import { createGate } from '../../src/http/gate.ts';
import {
  encodeUpgradeRequest,
  encodeUpgradeResponse,
  HandshakeError,
  readUpgradeRequest,
  readUpgradeResponse,
  type UpgradeRequest,
} from '../../src/http/handshake.ts';
import { parseRequestHead, parseResponseHead, type RequestHead } from '../../src/http/message.ts';
import { parseOrigin } from '../../src/http/origin.ts';
import { encodeResponse, errorResponse } from '../../src/http/response.ts';
import { decodePathSegment, percentDecode, queryParameters } from '../../src/http/target.ts';
import { adviseOnOrigin } from '../../src/origin-advice.ts';
import { routeOf } from '../../src/route.ts';
import { cut } from './cuts.ts';
import { BASE64_TOKEN, type HeadInput, HeadInputs, TOKEN } from './head-inputs.ts';
import { agree, canCompareWithNode, HEAD_NOT_WHOLE, NODE_DIFFERENCES, NodeServer } from './head-node.ts';
import { type RequestRead, readRequest, readResponse, tell } from './head-reader.ts';
import { Random } from './random.ts';
import { count, Disagreement, type Target } from './target.ts';

const MAX_FIELDS = 100;
const DATE = 'Sun, 06 Nov 1994 08:49:37 GMT';
const ONE_IS_RESPONSE = 4;

const SUBPROTOCOLS = listOf('T');
/** What is quoted where it came is not where it goes on. */
const EXTENSIONS = listOf('T(; T(=T)?)*');

const policy = {
  token: null,
  tokenSubprotocolPrefix: 'hypi.token.',
  explain: adviseOnOrigin,
  allowOrigins: ['https://a.example'],
  allowHosts: ['a'],
  hostName: 'b.local',
};
const openGate = createGate(policy);
const gate = createGate({ ...policy, token: TOKEN });
/** Nobody sends this one, so nobody may come in. */
const shutGate = createGate({ ...policy, token: 'never sent' });

export class HeadTarget implements Target {
  readonly name = 'heads';
  readonly unit = 'heads';
  readonly peer = 'Node';
  readonly differences = canCompareWithNode ? [...NODE_DIFFERENCES, HEAD_NOT_WHOLE] : [];
  readonly met = new Map<string, number>();
  readonly #random = new Random();
  readonly #inputs = new HeadInputs(this.#random);
  readonly #node = new NodeServer();
  #input: HeadInput = this.#inputs.request();

  check(seed: number, index: number): void {
    this.#random.reset(seed, index);
    if (this.#random.oneIn(ONE_IS_RESPONSE)) {
      this.#input = this.#inputs.response();
      this.#outcome(readResponse);
    } else {
      this.#input = this.#inputs.request();
      const ours = this.#outcome(readRequest);
      if (canCompareWithNode) this.#compareWithNode(this.#input, ours);
      if (ours.kind === 'refused') checkError(ours.error);
      else if (ours.kind === 'head') checkRequest(ours.head, ours.handshake);
    }
  }

  shown(): string {
    const { bytes, cuts, maxHeadBytes, maxHeadFields } = this.#input;
    const limits = JSON.stringify({ maxHeadBytes, maxHeadFields });
    return `${limits}, chunks ending at ${cuts.join(' ')}: ${JSON.stringify(bytes.toString('latin1'))}\n${bytes.toString('hex')}`;
  }

  /** The one that the head has whole and chopped. */
  #outcome<Read extends Parameters<typeof tell>[0]>(read: (input: HeadInput, chunks: readonly Buffer[]) => Read): Read {
    const whole = read(this.#input, [this.#input.bytes]);
    const chopped = read(this.#input, cut(this.#input.bytes, this.#input.cuts));
    if (tell(chopped) !== tell(whole)) {
      throw new Disagreement('The chunking matters', ['whole', tell(whole)], ['chopped', tell(chopped)]);
    }
    return whole;
  }

  #compareWithNode(input: HeadInput, ours: RequestRead, isWhole = false): void {
    const theirs = this.#node.read(cut(input.bytes, input.cuts));
    if (agree(ours, theirs)) return;
    const meant = NODE_DIFFERENCES.find(({ explains }) => explains(ours, theirs, input));
    if (meant !== undefined) {
      count(this.met, meant.id);
    } else if (!isWhole && (ours.kind === 'incomplete' || theirs.kind === 'incomplete')) {
      count(this.met, HEAD_NOT_WHOLE.id);
      const bytes = Buffer.concat([input.bytes, Buffer.from('\r\n\r\n')]);
      const completed = { ...input, bytes, cuts: [bytes.length] };
      this.#compareWithNode(completed, readRequest(completed, [bytes]), true);
    } else {
      const said = theirs.kind === 'head' ? JSON.stringify(theirs.request.rawHeaders) : JSON.stringify(theirs);
      throw new Disagreement('Node judges otherwise', ['we', tell(ours)], ['Node', said]);
    }
  }
}

/** What is told of it can be told: a sentence, in a response that can be read. */
function checkError(error: HttpError): void {
  const bytes = Buffer.concat(encodeResponse(errorResponse(error), DATE));
  const end = bytes.indexOf('\r\n\r\n') + 4;
  const { status, fields } = parseResponseHead(bytes.subarray(0, end), MAX_FIELDS);
  assert.equal(status, error.status);
  assert.equal(fields.get('content-length'), String(bytes.length - end));
  assert.equal(bytes.toString('utf8', end), `${error.message}\n`);
}

function checkRequest(head: RequestHead, handshake: UpgradeRequest | HttpError | HandshakeError): void {
  if (handshake instanceof HttpError) checkError(handshake);
  else if (!(handshake instanceof HandshakeError)) checkHandshake(handshake);
  checkStrictness(head);
  checkTarget(head);
  routeOf(head.path, new Set<string>());
  checkNames(head);
  assert.equal(
    passes(401, () => gate.authorise(head)),
    carriesToken(head),
    'who carries the token passes',
  );
  passes(403, () => openGate.admit(head));
  openGate.authorise(head);
  gate.admit(head);
  assert.throws(() => shutGate.authorise(head), HttpError, 'a token that nobody sent');
}

function passes(otherwise: number, act: () => void): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    assert.equal(error.status, otherwise);
    checkError(error);
    return false;
  }
}

/** The right token in one of its three places, and no other beside it in that place. */
function carriesToken({ query, fields }: RequestHead): boolean {
  const parameters = new URLSearchParams(`&${query?.replaceAll('+', '%2B') ?? ''}`).getAll('token');
  const credentials = fields.all('authorization').map((value) => value.replace(/^bearer +/i, 'Bearer '));
  const entries = fields.list('sec-websocket-protocol').filter((entry) => entry.startsWith('hypi.token.'));
  return (
    isOnly(parameters, TOKEN) || isOnly(credentials, `Bearer ${TOKEN}`) || isOnly(entries, `hypi.token.${BASE64_TOKEN}`)
  );
}

function isOnly(values: readonly string[], wanted: string): boolean {
  return values.length === 1 && values[0] === wanted;
}

/** What is passed on is well-formed, and what one end writes, the other reads. */
function checkHandshake(request: UpgradeRequest): void {
  assert.match(request.key, /^[\w+/]{22}==$/);
  assert.match(request.subprotocols.join(', '), SUBPROTOCOLS);
  assert.match(request.extensions ?? '', EXTENSIONS);
  const asked = parseRequestHead(encodeUpgradeRequest('::1', 80, request, null), MAX_FIELDS);
  assert.deepEqual(readUpgradeRequest(asked), request);
  const subprotocol = request.subprotocols[0] ?? null;
  const extensions = request.extensions?.split(',', 1)[0] ?? null;
  const answer = parseResponseHead(encodeUpgradeResponse(request.key, subprotocol, extensions), MAX_FIELDS);
  assert.deepEqual(readUpgradeResponse(answer, request), { subprotocol, extensions });
}

/** Where Node lets pass what we refuse, letting it pass too would be no disagreement. */
function checkStrictness({ method, version, path, fields }: RequestHead): void {
  const hosts = fields.all('host');
  assert.ok(hosts.length === 1 || (hosts.length === 0 && version === '1.0'), 'one Host');
  assert.ok(path.startsWith('/') || (path === '*' && method === 'OPTIONS'), 'a path');
  const lengths = fields.all('content-length');
  assert.ok(lengths.length === 0 || (lengths.length === 1 && !fields.has('transfer-encoding')), 'one framing');
  const hasBody = fields.has('transfer-encoding') || !/^0*$/.test(lengths[0] ?? '');
  assert.ok(!hasBody || (method !== 'GET' && method !== 'HEAD'), 'no body');
}

/** As the platform's own decoders have it, where they speak of the same. */
function checkTarget({ requestTarget, path, query }: RequestHead): void {
  const written = query === null ? path : `${path}?${query}`;
  assert.ok(requestTarget.endsWith(written) || requestTarget.endsWith(written.slice(1)), 'the parts of the target');
  if (/[\x80-\xff]/.test(requestTarget)) return;
  assert.equal(decodePathSegment(path), decodeUri(path));
  for (const name of ['token', 'x']) {
    const values = queryParameters(query, name);
    for (const value of values) {
      const decoded = percentDecode(value);
      if (decoded !== null) assert.equal(decoded.toString('latin1'), unescape(value));
    }
    // URLSearchParams decodes names too, and takes a plus for a space.
    if (query !== null && !/[%+]/.test(query)) assert.deepEqual(values, new URLSearchParams(`&${query}`).getAll(name));
  }
}

function decodeUri(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** A name in its canonical form stays as it is. */
function checkNames({ host, fields }: RequestHead): void {
  if (host !== null) {
    assert.notEqual(parseAuthority(host), null);
    const canonical = canonicalHost(host);
    if (canonical !== null) assert.equal(canonicalHost(canonical), canonical);
  }
  for (const value of fields.all('origin')) {
    const origin = parseOrigin(value);
    if (origin !== null) assert.deepEqual(parseOrigin(origin.serialized), origin);
  }
}

/** An empty list or a list of these, T being a token. */
function listOf(element: string): RegExp {
  return new RegExp(`^(E(, E)*)?$`.replaceAll('E', element).replaceAll('T', "[!#$%&'*+.^_`|~\\w-]+"));
}
