/** The sample agents, and what they have to say. No model is behind them: they know their lines. */
import type { FileEntry } from './language.ts';

export interface Character {
  id: string;
  cwd: string;
  files: FileEntry[];
  /** Answers, given in turn. */
  lines: readonly string[];
}

const file = (path: string): FileEntry => ({ path, isDirectory: false });
const folder = (path: string): FileEntry => ({ path, isDirectory: true });

export const CAST: readonly Character[] = [
  {
    id: 'ada',
    cwd: '/home/demo/compiler',
    files: [folder('src/'), file('src/lexer.ts'), file('src/parser.ts'), file('README.md')],
    lines: [
      'The parser drops the last token when a file ends without a newline. I have a fix and a test that failed before it.',
      'Done: one line changed in src/parser.ts, and the whole suite passes.',
    ],
  },
  {
    id: 'grace',
    cwd: '/home/demo/handbook',
    files: [folder('chapters/'), file('chapters/1-install.md'), file('chapters/2-first-steps.md')],
    lines: [
      'I read chapter 1 as a newcomer would. Step 3 asks for a file that step 5 creates, so I swapped them.',
      'Two links were dead. Both point to the new pages now.',
    ],
  },
  {
    id: 'alan',
    cwd: '/home/demo/machine',
    files: [file('tape.c'), file('Makefile')],
    lines: ['It will stop, or it will not. I am still waiting to find out which.'],
  },
  {
    id: 'hedy',
    cwd: '/home/demo/radio',
    files: [folder('firmware/'), file('firmware/hop.rs')],
    lines: ['The two ends hop together now. Before, they lost each other after the eighth channel.'],
  },
  {
    id: 'emmy',
    cwd: '/home/demo/algebra',
    files: [file('rings.py'), file('ideals.py'), file('test_rings.py')],
    lines: ['Each symmetry gives us something that stays the same. I wrote one test for each.'],
  },
];

export const TOOLS: readonly string[] = ['bash', 'read', 'edit', 'write'];

export const COMMANDS = [
  { name: '/review', description: 'Review what changed' },
  { name: '/explain', description: 'Explain this folder to a newcomer' },
];
