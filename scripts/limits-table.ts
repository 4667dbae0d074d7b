/**
 * `npm run docs`: rewrites the table of limits in docs/reliability.md from the values and comments of src/options.ts.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { DEFAULT_LIMITS } from '../src/options.ts';

const DOCUMENT = new URL('../docs/reliability.md', import.meta.url);
const BEGIN = '<!-- Made from src/options.ts by `npm run docs`. -->\n\n';
const END = '\n<!-- The end of what is made. -->';

/** @returns the document with the current table */
export async function withLimits(document: string): Promise<string> {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin === -1 || end < begin) throw new Error('docs/reliability.md has no place for the limits');
  return document.slice(0, begin) + BEGIN + (await limitsTable()) + document.slice(end);
}

async function limitsTable(): Promise<string> {
  const explanations = readExplanations(await readFile(new URL('../src/options.ts', import.meta.url), 'utf8'));
  const rows = Object.entries(DEFAULT_LIMITS).map(([name, value]) => {
    const explanation = explanations.get(name);
    if (explanation === undefined) throw new Error(`src/options.ts does not explain ${name}`);
    return `| \`${name}\` | ${format(name, value)} | ${explanation} |\n`;
  });
  return `| Limit | Value | Meaning and reason |\n|---|---|---|\n${rows.join('')}`;
}

/** The comment of each limit, in one line. */
function readExplanations(source: string): Map<string, string> {
  const begin = source.indexOf('export const DEFAULT_LIMITS');
  const table = source.slice(begin, source.indexOf('} as const', begin));
  const explained = table.matchAll(/\/\*\*([\s\S]*?)\*\/\s+(\w+):/g);
  return new Map(Array.from(explained, ([, text = '', name = '']) => [name, text.replace(/\s+(\* )?/g, ' ').trim()]));
}

const BYTES: Unit[] = [
  [1024 ** 2, 'MiB'],
  [1024, 'KiB'],
  [1, 'B'],
];
const TIMES: Unit[] = [
  [24 * 3600 * 1000, 'days'],
  [1000, 's'],
  [1, 'ms'],
];

type Unit = [size: number, name: string];

/** `16 KiB`, `2.5 s`, `7 days`, `20,000`, `∞` */
function format(name: string, value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '∞';
  const units = name.endsWith('Bytes') ? BYTES : name.endsWith('Ms') ? TIMES : null;
  const [size, unit] = units?.find(([size]) => value >= size) ?? [1, null];
  const amount = (value / size).toLocaleString('en', { maximumFractionDigits: 3 });
  return unit === null ? amount : `${amount} ${unit}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(DOCUMENT, await withLimits(await readFile(DOCUMENT, 'utf8')));
}
