/** Splits code into pieces, each of a kind that has a colour. */
import { Prism } from './prism.ts';

/** The kinds that have a colour of their own: `--syn-…` in styles/tokens.css. */
export type Kind =
  | 'comment'
  | 'keyword'
  | 'function'
  | 'variable'
  | 'string'
  | 'number'
  | 'type'
  | 'operator'
  | 'punctuation'
  | 'added'
  | 'removed';

export interface Piece {
  readonly text: string;
  readonly kind: Kind | null;
}

/** Longer texts or lines have no colours: some of Prism's patterns take time that grows faster than the text. */
export const MAX_HIGHLIGHTED_CHARACTERS = 30_000;
export const MAX_HIGHLIGHTED_LINE = 1000;

const KINDS: Record<string, Kind> = {
  comment: 'comment',
  prolog: 'comment',
  doctype: 'comment',
  cdata: 'comment',
  shebang: 'comment',
  keyword: 'keyword',
  atrule: 'keyword',
  rule: 'keyword',
  important: 'keyword',
  tag: 'keyword',
  boolean: 'number',
  number: 'number',
  constant: 'number',
  unit: 'number',
  function: 'function',
  'function-name': 'function',
  'function-definition': 'function',
  'function-variable': 'function',
  macro: 'function',
  method: 'function',
  selector: 'function',
  string: 'string',
  'template-string': 'string',
  'triple-quoted-string': 'string',
  char: 'string',
  regex: 'string',
  url: 'string',
  'attr-value': 'string',
  'attr-name': 'type',
  'class-name': 'type',
  builtin: 'type',
  type: 'type',
  namespace: 'type',
  symbol: 'type',
  decorator: 'type',
  annotation: 'type',
  property: 'variable',
  variable: 'variable',
  parameter: 'variable',
  key: 'variable',
  'assign-left': 'variable',
  title: 'keyword',
  operator: 'operator',
  entity: 'operator',
  punctuation: 'punctuation',
  inserted: 'added',
  'inserted-sign': 'added',
  deleted: 'removed',
  'deleted-sign': 'removed',
  coord: 'comment',
};

const ALIASES: Record<string, string> = {
  console: 'bash',
  shellsession: 'bash',
  'sh-session': 'bash',
  zsh: 'bash',
  fish: 'bash',
  mjs: 'javascript',
  cjs: 'javascript',
  mts: 'typescript',
  cts: 'typescript',
  jsonc: 'json',
  json5: 'json',
  jsonl: 'json',
  rs: 'rust',
  golang: 'go',
  h: 'c',
  hpp: 'cpp',
  cc: 'cpp',
  'c++': 'cpp',
  patch: 'diff',
  kt: 'kotlin',
  conf: 'ini',
  cfg: 'ini',
  properties: 'ini',
  mk: 'makefile',
  htm: 'markup',
  vue: 'markup',
  svelte: 'markup',
  scss: 'css',
  less: 'css',
};

/**
 * @param language the word behind a fence, or a file's extension
 * @returns null if the language is not known, or the text is too long
 */
export function highlight(text: string, language: string): readonly Piece[] | null {
  const name = language.toLowerCase();
  const grammar = grammarOf(ALIASES[name] ?? name);
  if (grammar === null || text.length > MAX_HIGHLIGHTED_CHARACTERS) return null;
  if (new RegExp(`[^\\n]{${MAX_HIGHLIGHTED_LINE + 1}}`).test(text)) return null;
  const pieces: { text: string; kind: Kind | null }[] = [];
  const push = (piece: string, kind: Kind | null) => {
    const last = pieces.at(-1);
    // White space has no colour, so it joins the piece before it: fewer elements.
    if (last !== undefined && (last.kind === kind || piece.trim() === '')) last.text += piece;
    else pieces.push({ text: piece, kind });
  };
  const walk = (stream: Prism.TokenStream, kind: Kind | null) => {
    if (typeof stream === 'string') push(stream, kind);
    else if (Array.isArray(stream)) for (const token of stream) walk(token, kind);
    else walk(stream.content, kindOf(stream) ?? kind);
  };
  walk(Prism.tokenize(text, grammar), null);
  return pieces;
}

function grammarOf(name: string): Prism.Grammar | null {
  // Prism's table of languages also has functions, and the fields that any object inherits.
  const grammar = Object.hasOwn(Prism.languages, name) ? Prism.languages[name] : undefined;
  return typeof grammar === 'object' ? (grammar as Prism.Grammar) : null;
}

function kindOf(token: Prism.Token): Kind | null {
  for (const name of [token.type, ...(Array.isArray(token.alias) ? token.alias : [token.alias])]) {
    if (name !== undefined && Object.hasOwn(KINDS, name)) return KINDS[name] as Kind;
  }
  return null;
}
