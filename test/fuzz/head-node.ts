/** Requests as Node's own server reads them, and where its judgement is meant to differ from ours. */
import http from 'node:http';
import { Duplex } from 'node:stream';
import type { HeadInput } from './head-inputs.ts';
import type { RequestRead } from './head-reader.ts';
import type { Difference, DifferenceText } from './target.ts';

export type NodeRead =
  | { kind: 'head'; request: http.IncomingMessage }
  | { kind: 'refused'; code: string }
  | { kind: 'incomplete' };

/** A connection whose client has written and listens no more. */
class Written extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
}

/** Its parser, llhttp, took spaces before a colon and other things that RFC 9112 forbids until 9: no opinion to heed. */
export const canCompareWithNode = Number.parseInt(process.versions.llhttp ?? '0', 10) >= 9;

/** Bounds are ours to keep, and the Host is ours to check; all else is as Node has it. */
export class NodeServer {
  readonly #server = http.createServer({ maxHeaderSize: 2 ** 17, requireHostHeader: false });
  #outcome: NodeRead = { kind: 'incomplete' };

  constructor() {
    this.#server.maxHeadersCount = 0;
    const first = (outcome: NodeRead) => {
      if (this.#outcome.kind === 'incomplete') this.#outcome = outcome;
    };
    this.#server.on('request', (request) => first({ kind: 'head', request }));
    this.#server.on('checkContinue', (request) => first({ kind: 'head', request }));
    this.#server.on('checkExpectation', (request) => first({ kind: 'head', request }));
    this.#server.on('upgrade', (request) => first({ kind: 'head', request }));
    this.#server.on('connect', (request) => first({ kind: 'head', request }));
    this.#server.on('clientError', (error: NodeJS.ErrnoException) => {
      first({ kind: 'refused', code: String(error.code) });
    });
  }

  read(chunks: readonly Buffer[]): NodeRead {
    this.#outcome = { kind: 'incomplete' };
    const socket = new Written();
    this.#server.emit('connection', socket);
    for (const chunk of chunks) {
      // Told at once, where a push would be told in another tick.
      if (this.#outcome.kind === 'incomplete') socket.emit('data', chunk);
    }
    socket.destroy();
    return this.#outcome;
  }
}

/** Where Node is meant to differ. */
export const NODE_DIFFERENCES: readonly Difference<RequestRead, NodeRead, HeadInput>[] = [
  {
    id: 'request target of another kind',
    peer: 'serves any target that has the characters of one',
    we: 'refuse with 400 what is neither a path nor an absolute http(s) or ws(s) URL with a plain authority',
    because: 'what has no path asks for nothing that is here; userinfo in it is a trap (RFC 9110, section 4.2.4)',
    explains: (ours, theirs) =>
      refusedFor(ours, 'Invalid request target') && theirs.kind === 'head' && !theirs.request.url?.startsWith('/'),
  },
  {
    id: 'spaces in the request line',
    peer: 'skips runs of spaces around the target, and knows RTSP and ICE',
    we: 'refuse with 400 all but one space between the words, and all but HTTP',
    because: 'request-line = method SP request-target SP HTTP-version (RFC 9112, section 3)',
    explains: (ours, _theirs, { bytes }) =>
      refusedFor(ours, 'Malformed request line') && / {2}| $| (RTSP|ICE)\/1\.0$/.test(startLine(bytes)),
  },
  {
    id: 'another version of HTTP',
    peer: 'serves HTTP/0.9, also where no version is named, and HTTP/2.0 in this form',
    we: 'refuse with 400 all but 1.0 and 1.1',
    because: 'nobody speaks them in this form but to confuse (RFC 9112, section 2.3)',
    explains: (ours, theirs) =>
      theirs.kind === 'head' &&
      ((refusedFor(ours, 'Unsupported HTTP version') && /^(0\.9|2\.0)$/.test(theirs.request.httpVersion)) ||
        (refusedFor(ours, 'Malformed request line') && theirs.request.httpVersion === '0.9')),
  },
  {
    id: 'Host missing',
    peer: 'leaves it to an option, which is off here',
    we: 'refuse with 400',
    because: '"MUST respond with a 400 … to any HTTP/1.1 request message that lacks a Host" (RFC 9112, section 3.2)',
    explains: (ours, theirs) => refusedFor(ours, 'Missing Host') && fieldCount(theirs, 'host') === 0,
  },
  {
    id: 'Host doubled',
    peer: 'takes the first',
    we: 'refuse with 400',
    because: 'so RFC 9112, section 3.2: whoever reads the other one sees another request',
    explains: (ours, theirs) => refusedFor(ours, 'More than one Host') && fieldCount(theirs, 'host') > 1,
  },
  {
    id: 'Host malformed',
    peer: 'takes any field value',
    we: 'refuse with 400 what is no host, with a port or without',
    because: 'so RFC 9112, section 3.2; and the gate compares it',
    explains: (ours, theirs) =>
      refusedFor(ours, 'Invalid Host') &&
      theirs.kind === 'head' &&
      // The plain ones are never refused.
      !/^[\w.~-]+(:[0-5]?\d{0,4})?$/.test(theirs.request.headers.host ?? ''),
  },
  {
    id: 'body of a GET',
    peer: 'reads it',
    we: 'refuse with 400',
    because: 'no request that is served here has one, and where a body hides, a second request may',
    explains: (ours, theirs) =>
      refusedFor(ours, 'A request body is not allowed') &&
      theirs.kind === 'head' &&
      /^(GET|HEAD)$/.test(theirs.request.method ?? '') &&
      fieldCount(theirs, 'content-length') + fieldCount(theirs, 'transfer-encoding') > 0,
  },
  {
    id: 'two framings',
    peer: 'overlooks an empty Transfer-Encoding beside a Content-Length',
    we: 'refuse with 400 the two together, whatever they say',
    because: 'it "ought to be handled as an error" (RFC 9112, section 6.3)',
    explains: (ours, theirs) =>
      refusedFor(ours, 'Both Transfer-Encoding and Content-Length') &&
      fieldCount(theirs, 'content-length') === 1 &&
      fieldCount(theirs, 'transfer-encoding') > 0,
  },
  {
    id: 'framing of a body that is not read',
    peer: 'refuses a Transfer-Encoding or a Content-Length that it could not read by',
    we: 'take it where the method is neither GET nor HEAD',
    because: 'all other methods are refused, without reading on, and the connection is closed',
    explains: (ours, theirs) =>
      ours.kind === 'head' &&
      !/^(GET|HEAD)$/.test(ours.head.method) &&
      ((refusedWith(theirs, /^HPE_INVALID_TRANSFER_ENCODING$/) && ours.head.fields.has('transfer-encoding')) ||
        (refusedWith(theirs, /^HPE_INVALID_CONTENT_LENGTH$/) &&
          Number(ours.head.fields.get('content-length')) >= 2 ** 64)),
  },
  {
    id: 'bare LF',
    peer: 'ends the request line of HTTP/0.9 with it',
    we: 'refuse it with 400 anywhere in a head',
    because: 'whoever disagrees about where lines end can be made to disagree about what was asked',
    explains: (ours, _theirs, { bytes }) =>
      refusedFor(ours, 'Bare LF in the head') && /(^|[^\r])\n/.test(bytes.toString('latin1')),
  },
  {
    id: 'CR and LF first of all',
    peer: 'skips them',
    we: 'refuse with 400',
    because: 'an empty line may stand before a second request on a connection (RFC 9112, 2.2), and there is none here',
    explains: (ours, _theirs, { bytes }) =>
      (refusedFor(ours, 'Empty line before the start-line') || refusedFor(ours, 'Malformed request line')) &&
      bytes.toString('latin1').startsWith('\r'),
  },
  {
    id: 'too much',
    peer: 'has other bounds, which are off here',
    we: 'refuse with 431 past ours',
    because: 'a head costs memory before anything is known of who sends it',
    explains: (ours, theirs, { bytes, maxHeadBytes, maxHeadFields }) =>
      (refusedFor(ours, 'The head is too large') && bytes.length > maxHeadBytes) ||
      (refusedFor(ours, 'Too many fields') && theirs.kind === 'head' && fieldCount(theirs) > maxHeadFields),
  },
  {
    id: 'unknown method',
    peer: 'knows a list of methods, PRI among them for HTTP/2.0 alone',
    we: 'take any token, and answer 405 or 404',
    because: 'a method is a token (RFC 9110, section 9.1)',
    explains: (ours, theirs) =>
      ours.kind === 'head' &&
      refusedWith(theirs, /^HPE_INVALID_(METHOD|VERSION)$/) &&
      (ours.head.method === 'PRI' || !http.METHODS.includes(ours.head.method)),
  },
  {
    id: 'raw bytes in the target',
    peer: 'refuses bytes from 0x80 on',
    we: 'take them',
    because: 'some clients do not encode the token or the id of a node',
    explains: (ours, theirs) =>
      ours.kind === 'head' && refusedWith(theirs, /^HPE_INVALID_URL$/) && /[\x80-\xff]/.test(ours.head.requestTarget),
  },
];

/** Judged apart, for what explains it is only seen once the head is whole. */
export const HEAD_NOT_WHOLE: DifferenceText = {
  id: 'head not whole yet',
  peer: 'refuses some errors at their byte, and others only at the end of their line, or of the head',
  we: 'refuse an illegal byte when it comes, and judge what the bytes mean once the head is whole',
  because: 'whoever speaks another protocol, TLS say, is answered at once',
};

function refusedFor(ours: RequestRead, sentence: string): boolean {
  return ours.kind === 'refused' && ours.error.message === sentence;
}

function refusedWith(theirs: NodeRead, code: RegExp): boolean {
  return theirs.kind === 'refused' && code.test(theirs.code);
}

/** How many field lines there are, of that name or in all. */
function fieldCount(theirs: NodeRead, name?: string): number {
  if (theirs.kind !== 'head') return Number.NaN;
  const { rawHeaders } = theirs.request;
  return rawHeaders.filter((text, i) => i % 2 === 0 && (name === undefined || text.toLowerCase() === name)).length;
}

function startLine(bytes: Buffer): string {
  return bytes.toString('latin1').split('\r\n', 1)[0] as string;
}

/** Whether both read the same request. */
export function agree(ours: RequestRead, theirs: NodeRead): boolean {
  if (ours.kind !== 'head' || theirs.kind !== 'head') return ours.kind === theirs.kind;
  const { head, bytes } = ours;
  const { method, url, httpVersion, rawHeaders } = theirs.request;
  if (head.method !== method || head.requestTarget !== url || head.version !== httpVersion) return false;
  const values = new Map<string, string[]>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    values.set(name, [...(values.get(name) ?? []), rawHeaders[i + 1] as string]);
  }
  const fieldLines = bytes.split('\r\n').length - 3;
  return (
    rawHeaders.length === 2 * fieldLines &&
    [...values].every(([name, all]) => JSON.stringify(head.fields.all(name)) === JSON.stringify(all))
  );
}
