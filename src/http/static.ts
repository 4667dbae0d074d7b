import type { RequestHead } from './message.ts';
import type { Response } from './response.ts';

/**
 * The static files of the dashboard, which are all in memory before the first request.
 *
 *   request head ─▶ content coding ─▶ does the client have it? ─┬▶ 200 and the bytes
 *                                                                └▶ 304
 *
 * A file is looked up by its exact path in a table, so no path from a peer ever reaches a file system.
 */

/** The content codings that can be chosen. The smallest comes first. */
const CODINGS = ['br', 'gzip', 'identity'] as const;
export type Coding = (typeof CODINGS)[number];

/** One file of the build. */
export interface Asset {
  /** The path in a request target, such as `/assets/app-4F2A.js`. */
  readonly path: string;
  /** The media type. */
  readonly type: string;
  /** The path changes with the content, so a cache never has to revalidate it. */
  readonly immutable: boolean;
  /** A strong entity tag of the file without any coding, in quotes. */
  readonly etag: string;
  /** The file in each coding that the build made. */
  readonly bodies: { readonly identity: Buffer; readonly br?: Buffer; readonly gzip?: Buffer };
}

/**
 * The policy of the page. Scripts, styles and connections are the daemon's own, and no page may show it in a frame. So
 * even if an agent's text became markup, it could neither load, run nor send anything.
 */
const POLICY = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data: blob:",
    "manifest-src 'self'",
    "worker-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; '),
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** `entity-tag = [ weak ] opaque-tag` (RFC 9110, section 8.8.3). */
const STRONG_TAG = /^"[\x21\x23-\x7e\x80-\xff]*"$/;
const TAGS = /(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g;

/** A coding and `weight = OWS ";" OWS "q=" qvalue` (RFC 9110, section 12.4.2). */
const WEIGHTED_CODING = /^([^\s;]+)[\t ]*(?:;[\t ]*q=([01](?:\.\d{0,3})?))?$/i;

/** "gzip" and "x-gzip" are the same (RFC 9110, section 8.4.1.3). */
const ALIASES: Readonly<Record<string, string>> = { 'x-gzip': 'gzip' };

/** Smaller than any weight that a client can give. */
const UNNAMED_IDENTITY = 0.0001;

export class Assets {
  readonly #responses = new Map<string, ReadonlyMap<Coding, Response>>();

  /** @throws {TypeError} if an entity tag is malformed or weak. */
  constructor(assets: Iterable<Asset> = []) {
    for (const asset of assets) this.#responses.set(asset.path, responsesOf(asset));
  }

  has(path: string): boolean {
    return this.#responses.has(path);
  }

  /** The response to a GET or HEAD request; null if there is no such file. */
  get(head: RequestHead): Response | null {
    const responses = this.#responses.get(head.path);
    if (responses === undefined) return null;
    const response = responses.get(chooseCoding(head, responses)) as Response;
    return isKnown(head, response.fields.ETag as string) ? notModified(response) : response;
  }
}

/** One response for each coding, made once. */
function responsesOf({ path, type, immutable, etag, bodies }: Asset): ReadonlyMap<Coding, Response> {
  if (!STRONG_TAG.test(etag)) throw new TypeError(`${path} has no strong entity tag`);
  const responses = new Map<Coding, Response>();
  for (const coding of CODINGS) {
    const body = bodies[coding];
    if (body === undefined) continue;
    const fields: Record<string, string> = {
      'Content-Type': type,
      // With "no-cache" it is cached, but revalidated each time.
      'Cache-Control': immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
      ETag: tagFor(etag, coding),
      Vary: 'Accept-Encoding',
      ...POLICY,
    };
    if (coding !== 'identity') fields['Content-Encoding'] = coding;
    responses.set(coding, { status: 200, fields, body });
  }
  return responses;
}

/** Each coding of a file has a tag of its own: equal strong tags mean equal bytes (RFC 9110, section 8.8.3.3). */
function tagFor(etag: string, coding: Coding): string {
  return coding === 'identity' ? etag : `${etag.slice(0, -1)}-${coding}"`;
}

/**
 * Chooses the coding with the highest weight, and the smallest of equal ones. A client that accepts none of them gets
 * the file without a coding, which is no worse than an error.
 */
function chooseCoding(head: RequestHead, offered: ReadonlyMap<Coding, Response>): Coding {
  const weights = weightsOf(head);
  let chosen: Coding = 'identity';
  let best = 0;
  for (const coding of offered.keys()) {
    // "If the representation has no content coding, then it is acceptable by default unless specifically excluded"
    // (RFC 9110, section 12.5.3).
    const weight = weights.get(coding) ?? weights.get('*') ?? (coding === 'identity' ? UNNAMED_IDENTITY : 0);
    if (weight <= best) continue;
    chosen = coding;
    best = weight;
  }
  return chosen;
}

function weightsOf({ fields }: RequestHead): Map<string, number> {
  const weights = new Map<string, number>();
  for (const element of fields.list('accept-encoding')) {
    const [, coding, weight = '1'] = WEIGHTED_CODING.exec(element) ?? [];
    if (coding === undefined) continue;
    const name = coding.toLowerCase();
    weights.set(ALIASES[name] ?? name, Number(weight));
  }
  return weights;
}

/**
 * Evaluates If-None-Match (RFC 9110, section 13.1.2): `*`, or a list of tags, which are compared weakly. The list
 * cannot be split at commas, because a tag may contain one.
 */
function isKnown({ fields }: RequestHead, etag: string): boolean {
  const value = fields.get('if-none-match');
  if (value === undefined) return false;
  if (value === '*') return true;
  for (const [, tag] of value.matchAll(TAGS)) if (tag === etag) return true;
  return false;
}

/**
 * "The server generating a 304 response MUST generate any of … Content-Location, Date, ETag, and Vary, Cache-Control"
 * (15.4.5).
 */
function notModified({ fields, body }: Response): Response {
  const { 'Content-Type': _type, 'Content-Encoding': _encoding, ...kept } = fields;
  return { status: 304, fields: kept, body: body.subarray(0, 0) };
}
