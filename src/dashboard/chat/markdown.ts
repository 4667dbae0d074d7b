/**
 * Markdown as blocks, parsed as it arrives.
 *
 *     source   ├── settled blocks ──┼── tail ──┤
 *
 * Later text can't change a settled block, so its object stays the same and it is never parsed or rendered again; each
 * new piece of text costs one parse of the tail. This file finds fenced code at the margin, and lines that are too long
 * to parse, by a scan whose cost is linear; marked's lexer parses the prose between them.
 *
 * HTML is not a part of the language: its tags stay text.
 */
import { Lexer, type Token, Tokenizer } from 'marked';

export type Block =
  | { readonly kind: 'prose'; readonly token: Token }
  | { readonly kind: 'code'; readonly lang: string; readonly text: string; readonly open: boolean }
  | { readonly kind: 'plain'; readonly text: string };

export interface Parsed {
  /** With CR LF and lone CR as LF. */
  readonly source: string;
  readonly blocks: readonly Block[];
  /** How many of the blocks are settled, from the first. */
  readonly settled: number;
  /** Where the tail begins in the source. */
  readonly tail: number;
  /** How many link definitions a finished text has; 0 until then. If the number changes, so may every block. */
  readonly definitions: number;
}

/** A line longer than these is shown unparsed: some cost marked's lexer seconds (a run of 10,000 asterisks: 0.8 s). */
export const MAX_LINE_CHARACTERS = 8000;
export const MAX_WORD_CHARACTERS = 2000;
export const MAX_NESTING = 16;
export const MAX_INDENT = 120;

const FENCE = /^(?:(`{3,})([^`\n]*)|(~{3,})([^\n]*))$/gm;
const UNPARSABLE = new RegExp(
  [
    `^[^\\n]{${MAX_LINE_CHARACTERS + 1},}$`,
    `^[^\\n]*[^\\s]{${MAX_WORD_CHARACTERS + 1},}[^\\n]*$`,
    `^(?![-*_ \\t]*$)(?:[ \\t]*(?:>|[-+*](?=[\\s>])|\\d{1,9}[.)](?=[\\s>]))){${MAX_NESTING + 1},}[^\\n]*$`,
    `^[ \\t]{${MAX_INDENT + 1},}[^\\n]*$`,
  ].join('|'),
  'gm',
);

/** A last line that can still become something else: a list item's number, a rule, a heading's underline, a table's. */
const UNDECIDED = /^[ \t]*(?:\d{1,9}[.)]?|[-+*=_|:~#>` \t]*)$/;

const EMPTY: Parsed = { source: '', blocks: [], settled: 0, tail: 0, definitions: 0 };

/**
 * Parses a text that may still grow.
 *
 * @param before what the same call returned for the text's beginning; its settled blocks are kept as they are
 * @param complete whether nothing will follow
 */
export function parseMarkdown(text: string, before: Parsed = EMPTY, complete = false): Parsed {
  const source = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
  const links = definitions(source);
  // A definition at the end turns text before it into links.
  const start = source.startsWith(before.source) && !(complete && links.size > 0) ? before : EMPTY;
  const blocks = start.blocks.slice(0, start.settled);
  let { settled, tail } = start;
  let certain = true;
  for (let at = tail; at < source.length; ) {
    const part = nextPart(source, at, links);
    const whole = part.complete || complete;
    if (certain) {
      settled = blocks.length + (whole ? part.blocks.length : part.settled);
      tail = whole ? part.end : at + part.settledLength;
      certain = whole;
    }
    blocks.push(...part.blocks);
    at = part.end;
  }
  return { source, blocks, settled, tail, definitions: complete ? links.size : 0 };
}

type Links = ReadonlyMap<string, { href: string; title: string | undefined }>;

function definitions(source: string): Links {
  const found = new Map<string, { href: string; title: string | undefined }>();
  if (!source.includes(']:')) return found;
  for (const [, label, href, title] of source.matchAll(
    /^ {0,3}\[([^\]\n]{1,200})\]: *<?([^\s>]{1,2000})>?(?: +"([^"\n]*)")? *$/gm,
  )) {
    const key = (label as string).toLowerCase().replace(/\s+/g, ' ');
    if (!found.has(key)) found.set(key, { href: href as string, title });
  }
  return found;
}

interface Part {
  readonly blocks: readonly Block[];
  readonly end: number;
  /** Whether later text can't change it. */
  readonly complete: boolean;
  /** If it is not complete: how many of its blocks are settled, and how much text they took. */
  readonly settled: number;
  readonly settledLength: number;
}

/** The fence, unparsable line, or stretch of prose that begins at `from`. */
function nextPart(source: string, from: number, links: Links): Part {
  const fence = matchFrom(FENCE, source, from);
  if (fence?.index === from) return codePart(source, from, fence);
  const line = matchFrom(UNPARSABLE, source, from);
  if (line?.index === from) {
    const end = from + line[0].length;
    const text = line[0];
    return {
      blocks: [{ kind: 'plain', text }],
      end: end + 1,
      complete: source[end] === '\n',
      settled: 0,
      settledLength: 0,
    };
  }
  const end = Math.min(fence?.index ?? source.length, line?.index ?? source.length);
  // The opening line of a fence may grow into one that opens none; a line that is too long stays so.
  const followed = end < source.length && (end === line?.index || source.includes('\n', end));
  return prosePart(source.slice(from, end), from, followed, links);
}

function codePart(source: string, from: number, opening: RegExpExecArray): Part {
  const fence = (opening[1] ?? opening[3]) as string;
  const info = (opening[2] ?? opening[4] ?? '').trim();
  const lang = /^[^\s{]*/.exec(info)?.[0] ?? '';
  const lineEnd = from + opening[0].length;
  if (lineEnd >= source.length) {
    return { blocks: [code(lang, '', true)], end: lineEnd, complete: false, settled: 0, settledLength: 0 };
  }
  const start = lineEnd + 1;
  const closing = matchFrom(new RegExp(`^ {0,3}${fence}${fence[0]}*[ \\t]*$`, 'gm'), source, start);
  if (closing === null) {
    return {
      blocks: [code(lang, source.slice(start), true)],
      end: source.length,
      complete: false,
      settled: 0,
      settledLength: 0,
    };
  }
  const end = closing.index + closing[0].length;
  const text = source.slice(start, Math.max(start, closing.index - 1));
  // A closing fence that is the very last line may yet become a longer line that closes nothing.
  return {
    blocks: [code(lang, text, false)],
    end: end + 1,
    complete: source[end] === '\n',
    settled: 0,
    settledLength: 0,
  };
}

function code(lang: string, text: string, open: boolean): Block {
  return { kind: 'code', lang, text, open };
}

function prosePart(text: string, from: number, complete: boolean, links: Links): Part {
  const end = from + text.length;
  const tokens = lex(text, links);
  if (tokens === null) {
    return { blocks: [{ kind: 'plain', text }], end, complete, settled: 0, settledLength: 0 };
  }
  const blocks: Block[] = [];
  const starts: number[] = [];
  let length = 0;
  for (const token of tokens) {
    if (token.type !== 'space' && token.type !== 'def') {
      starts.push(length);
      blocks.push({ kind: 'prose', token });
    }
    length += token.raw.length;
  }
  // The last block may grow. If it may still become a part of the block before it, that one may grow too.
  let settled = Math.max(0, blocks.length - 1);
  if (settled > 0 && UNDECIDED.test(text.slice(starts[settled]))) settled -= 1;
  return { blocks, end, complete, settled, settledLength: starts[settled] ?? 0 };
}

function matchFrom(pattern: RegExp, source: string, from: number): RegExpExecArray | null {
  pattern.lastIndex = from;
  return pattern.exec(source);
}

/** The tokenizer with HTML left out, so that tags are text like any other. */
class ProseTokenizer extends Tokenizer {
  override html(): undefined {}
  override tag(): undefined {}
}

/** Null if the lexer gives up on the text. */
function lex(text: string, links: Links): Token[] | null {
  const lexer = new Lexer({ gfm: true, breaks: true, tokenizer: new ProseTokenizer() });
  for (const [label, link] of links) lexer.tokens.links[label] = { href: link.href, title: link.title ?? null };
  try {
    return lexer.lex(text);
  } catch {
    return null;
  }
}
