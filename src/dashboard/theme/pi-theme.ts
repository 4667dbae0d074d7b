/**
 * pi's themes (`~/.pi/agent/themes/*.json`) on this page: its colour tokens become our variables. Pure.
 *
 * A value is a colour in hex or as `oklch(…)`, the name of one of the theme's `vars`, an index into the 256 colours of
 * terminals (a number, or `{kind: "indexed", index}`), or '' for the terminal's own. Other variables stay as they are.
 */

export interface PiTheme {
  name: string;
  /** Our variables, without the dashes. */
  variables: Record<string, string>;
  /** Which of our own themes lies below it. */
  scheme: 'dark' | 'light';
}

/** Ours ← theirs, the first that the theme has. */
const MAPPING: Record<string, readonly string[]> = {
  accent: ['accent'],
  focus: ['borderAccent', 'accent'],
  line: ['borderMuted'],
  edge: ['border'],
  text: ['text'],
  soft: ['text'],
  muted: ['muted', 'dim'],
  selected: ['selectedBg'],
  waiting: ['warning'],
  failed: ['error'],
  working: ['success'],
  done: ['accent'],
  idle: ['muted'],
  offline: ['dim'],
  added: ['toolDiffAdded'],
  removed: ['toolDiffRemoved'],
  'user-bg': ['userMessageBg'],
  'user-text': ['userMessageText'],
  thinking: ['thinkingText'],
  'md-heading': ['mdHeading'],
  'md-link': ['mdLink'],
  'md-code': ['mdCode'],
  'md-quote': ['mdQuote'],
  'syn-comment': ['syntaxComment'],
  'syn-keyword': ['syntaxKeyword'],
  'syn-function': ['syntaxFunction'],
  'syn-variable': ['syntaxVariable'],
  'syn-string': ['syntaxString'],
  'syn-number': ['syntaxNumber'],
  'syn-type': ['syntaxType'],
  'syn-operator': ['syntaxOperator'],
  'syn-punctuation': ['syntaxPunctuation'],
};

/** The same for `export`, the part of a theme that is for pages. */
const PAGE_MAPPING: Record<string, string> = {
  bg: 'pageBg',
  surface: 'cardBg',
  raised: 'infoBg',
};

/** @throws Error with a sentence for people if it is no theme */
export function readPiTheme(text: string): PiTheme {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('This is no JSON file.');
  }
  const { name, vars, colors, export: page } = (isObject(value) ? value : {}) as Record<string, unknown>;
  if (!isObject(colors)) throw new Error('This is no theme of pi: it has no "colors".');
  const named = isObject(vars) ? vars : {};
  const variables: Record<string, string> = {};
  for (const [ours, theirs] of Object.entries(MAPPING)) {
    for (const token of theirs) {
      const colour = colourOf(colors[token], named, 0);
      if (colour === null) continue;
      variables[ours] = colour;
      break;
    }
  }
  if (isObject(page)) {
    for (const [ours, token] of Object.entries(PAGE_MAPPING)) {
      const colour = colourOf(page[token], named, 0);
      if (colour !== null) variables[ours] = colour;
    }
  }
  if (Object.keys(variables).length === 0) throw new Error('This theme has no colour that this page knows.');
  const text_ = variables.text;
  const scheme =
    variables.bg !== undefined
      ? lightness(variables.bg) < 0.5
        ? 'dark'
        : 'light'
      : text_ !== undefined
        ? lightness(text_) > 0.5
          ? 'dark'
          : 'light'
        : /light/i.test(String(name))
          ? 'light'
          : 'dark';
  return { name: typeof name === 'string' && name !== '' ? name.slice(0, 60) : 'pi', variables, scheme };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const HEX = /^#(?:[0-9a-f]{3}|[0-9a-f]{6})$/i;
const OKLCH = /^oklch\(\s*[\d.]+%?\s+[\d.]+%?\s+[\d.]+(?:deg)?\s*\)$/i;

function colourOf(value: unknown, vars: Record<string, unknown>, depth: number): string | null {
  // A name may stand for another name, but not without end.
  if (depth > 8) return null;
  if (typeof value === 'number') return indexed(value);
  if (isObject(value)) return value.kind === 'indexed' ? indexed(value.index) : null;
  if (typeof value !== 'string' || value === '') return null;
  if (HEX.test(value) || OKLCH.test(value)) return value;
  return Object.hasOwn(vars, value) ? colourOf(vars[value], vars, depth + 1) : null;
}

const BASIC = [
  '#000000', '#cd3131', '#0dbc79', '#e5e510', '#2472c8', '#bc3fbc', '#11a8cd', '#e5e5e5',
  '#666666', '#f14c4c', '#23d18b', '#f5f543', '#3b8eea', '#d670d6', '#29b8db', '#ffffff',
]; // biome-ignore format: a row for each half

/** xterm's 256 colours: 16 basic ones, a cube of 6 × 6 × 6, 24 greys. */
function indexed(index: unknown): string | null {
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index > 255) return null;
  if (index < 16) return BASIC[index] as string;
  if (index >= 232) return hexOf(Array(3).fill(8 + 10 * (index - 232)));
  const level = (step: number) => (step === 0 ? 0 : 55 + 40 * step);
  const at = index - 16;
  return hexOf([level(Math.floor(at / 36)), level(Math.floor(at / 6) % 6), level(at % 6)]);
}

const hexOf = (rgb: number[]): string => `#${rgb.map((part) => part.toString(16).padStart(2, '0')).join('')}`;

/** From 0 up to 1, roughly. */
function lightness(colour: string): number {
  const oklch = /^oklch\(\s*([\d.]+)(%?)/i.exec(colour);
  if (oklch !== null) return Number(oklch[1]) / (oklch[2] === '%' ? 100 : 1);
  const hex = colour.length === 4 ? colour.replace(/[0-9a-f]/gi, '$&$&') : colour;
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
