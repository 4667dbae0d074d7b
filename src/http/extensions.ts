import { isToken, splitList, trimWhitespace } from './grammar.ts';

/** One element of Sec-WebSocket-Extensions (RFC 6455, section 9.1). */
export interface Extension {
  readonly name: string;
  /** `name` or `name=value`, in their order, without quotes. */
  readonly parameters: readonly string[];
}

const QUOTED_STRING = /^"(?:[^"\\]|\\.)*"$/;

/**
 * Reads a Sec-WebSocket-Extensions value. Returns null if it is malformed or names no extension.
 *
 * Quotes need no care when the value is split at commas and semicolons: "When using the quoted-string syntax variant,
 * the value after quoted-string unescaping MUST conform to the 'token' ABNF" (section 9.1), and a token contains
 * neither. A value that a quoted comma cuts in two was malformed before the cut, and its halves are malformed too.
 */
export function parseExtensions(value: string): Extension[] | null {
  const extensions: Extension[] = [];
  for (const element of splitList(value)) {
    const [name = '', ...parameters] = element.split(';').map(trimWhitespace);
    const read = parameters.map(parseParameter);
    if (!isToken(name) || !read.every((parameter) => parameter !== null)) return null;
    extensions.push({ name, parameters: read });
  }
  return extensions.length === 0 ? null : extensions;
}

/**
 * The inverse of `parseExtensions`. The value is written from its parsed parts, so it passes on no raw bytes of the
 * peer.
 */
export function formatExtensions(extensions: readonly Extension[]): string {
  return extensions.map(({ name, parameters }) => [name, ...parameters].join('; ')).join(', ');
}

/** `token [ "=" ( token | quoted-string ) ]`, with white space around the `=` as RFC 2616's implied LWS had it. */
function parseParameter(parameter: string): string | null {
  const equals = parameter.indexOf('=');
  if (equals === -1) return isToken(parameter) ? parameter : null;
  const name = trimWhitespace(parameter.slice(0, equals));
  const value = unquote(trimWhitespace(parameter.slice(equals + 1)));
  return isToken(name) && isToken(value) ? `${name}=${value}` : null;
}

function unquote(value: string): string {
  return QUOTED_STRING.test(value) ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
}
