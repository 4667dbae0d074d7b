/**
 * A program's output as a terminal would show it: colours become styles, progress lines keep their last text, and the
 * sequences that move the cursor, set titles or ring are dropped.
 */

export interface Style {
  /** 0 to 15, the terminal's own palette; other colours become the nearest of these, so that themes keep them legible. */
  readonly color?: number;
  readonly background?: number;
  readonly bold?: true;
  readonly dim?: true;
  readonly italic?: true;
  readonly underline?: true;
  readonly strike?: true;
  readonly inverse?: true;
}

export interface Span {
  readonly text: string;
  readonly style: Style;
}

const PLAIN: Style = {};

/**
 * CSI (with its parameters and final byte), OSC and other strings up to their terminator, and two-byte escapes
 * (ECMA-48, 5.4 and 5.6). A sequence that never ends takes the rest of its line.
 */
const ESCAPE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what terminals speak
  /[\u001b\u009b](?:(?<=\u009b)|\[)([0-9;:?<=>!]*)[ -/]*([@-~]?)|\u001b[\]PX^_][^\n]*?(?:\u0007|\u001b\\|(?=\n)|$)|\u001b[ -/]*[0-~]?/g;

/** The text without any escape sequence, as one would copy it. */
export function stripAnsi(text: string): string {
  return text.includes('\u001b') || text.includes('\u009b') ? text.replace(ESCAPE, '') : text;
}

/** A line as it looks after its carriage returns have overwritten it and its backspaces have deleted characters. */
export function overwritten(line: string): string {
  let text = line.endsWith('\r') ? line.slice(0, -1) : line;
  const at = text.lastIndexOf('\r');
  if (at !== -1) text = text.slice(at + 1);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a backspace is one
  while (text.includes('\b')) text = text.replace(/(?:^|[^\b])\u0008/g, '');
  return text;
}

/** The output as spans of one style each. Line feeds stay in the text. */
export function parseAnsi(text: string): Span[] {
  const lines = text.includes('\r') || text.includes('\b') ? text.split('\n').map(overwritten).join('\n') : text;
  const spans: Span[] = [];
  let style = PLAIN;
  let from = 0;
  const push = (to: number) => {
    if (to > from) spans.push({ text: lines.slice(from, to), style });
  };
  for (const match of lines.matchAll(ESCAPE)) {
    push(match.index);
    from = match.index + match[0].length;
    if (match[2] === 'm') style = applySgr(style, match[1] as string);
  }
  push(lines.length);
  return spans;
}

/** Select Graphic Rendition (ECMA-48, 8.3.117). */
function applySgr(before: Style, parameters: string): Style {
  const codes = parameters.split(/[;:]/).map(Number);
  const style: { -readonly [Key in keyof Style]: Style[Key] } = { ...before };
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] as number;
    if (code === 0) for (const key of Object.keys(style) as (keyof Style)[]) delete style[key];
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 7) style.inverse = true;
    else if (code === 9) style.strike = true;
    else if (code === 22) {
      delete style.bold;
      delete style.dim;
    } else if (code === 23) delete style.italic;
    else if (code === 24) delete style.underline;
    else if (code === 27) delete style.inverse;
    else if (code === 29) delete style.strike;
    else if (code >= 30 && code <= 37) style.color = code - 30;
    else if (code >= 90 && code <= 97) style.color = code - 82;
    else if (code === 39) delete style.color;
    else if (code >= 40 && code <= 47) style.background = code - 40;
    else if (code >= 100 && code <= 107) style.background = code - 92;
    else if (code === 49) delete style.background;
    else if (code === 38 || code === 48) {
      const key = code === 38 ? 'color' : 'background';
      if (codes[at + 1] === 5) {
        style[key] = indexed(codes[at + 2] ?? 0);
        at += 2;
      } else if (codes[at + 1] === 2) {
        style[key] = nearest(codes[at + 2] ?? 0, codes[at + 3] ?? 0, codes[at + 4] ?? 0);
        at += 4;
      }
    }
  }
  return style;
}

function indexed(index: number): number {
  if (index < 16) return Math.max(0, index | 0);
  if (index >= 232) {
    const level = (index - 232) * 10 + 8;
    return nearest(level, level, level);
  }
  const level = (step: number) => (step === 0 ? 0 : step * 40 + 55);
  const cube = index - 16;
  return nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

/** The nearest of the sixteen colours. Their numbers have one bit each for red, green, blue and bright. */
function nearest(red: number, green: number, blue: number): number {
  const strongest = Math.max(red, green, blue);
  if (strongest < 48) return 0;
  if (strongest - Math.min(red, green, blue) < 32) return strongest < 110 ? 8 : strongest < 200 ? 7 : 15;
  const bit = (value: number) => (value > strongest / 2 + 16 ? 1 : 0);
  return bit(red) + 2 * bit(green) + 4 * bit(blue) + (strongest > 200 ? 8 : 0);
}
