/** The sample agents, and the answers that they know. There is no model behind them, and they say so. */
import type { FileEntry } from './language.ts';

export interface Character {
  id: string;
  cwd: string;
  files: FileEntry[];
  topics: readonly Topic[];
}

export interface Topic {
  question: string;
  answer: string;
}

const file = (path: string): FileEntry => ({ path, isDirectory: false });
const folder = (path: string): FileEntry => ({ path, isDirectory: true });

export const CAST: readonly Character[] = [
  {
    id: 'ada',
    cwd: '/home/demo/compiler',
    files: [folder('src/'), file('src/lexer.ts'), file('src/parser.ts'), file('README.md')],
    topics: [
      {
        question: 'Why does the build fail?',
        answer:
          'The parser drops the last token when a file ends without a newline. I have a fix and a test that failed before it.',
      },
      {
        question: 'What did you change?',
        answer: 'One line in src/parser.ts. The whole suite passes.',
      },
    ],
  },
  {
    id: 'grace',
    cwd: '/home/demo/handbook',
    files: [folder('chapters/'), file('chapters/1-install.md'), file('chapters/2-first-steps.md')],
    topics: [
      {
        question: 'How is the handbook?',
        answer: 'I read chapter 1 as a newcomer would. Step 3 asks for a file that step 5 creates, so I swapped them.',
      },
      { question: 'Are there dead links?', answer: 'There were two. Both point to the new pages now.' },
    ],
  },
  {
    id: 'alan',
    cwd: '/home/demo/machine',
    files: [file('tape.c'), file('Makefile')],
    topics: [
      {
        question: 'Will the machine stop?',
        answer: 'It will stop, or it will not. I am still waiting to find out which.',
      },
    ],
  },
  {
    id: 'hedy',
    cwd: '/home/demo/radio',
    files: [folder('firmware/'), file('firmware/hop.rs')],
    topics: [
      {
        question: 'Do the two ends stay together?',
        answer: 'They hop together now. Before, they lost each other after the eighth channel.',
      },
    ],
  },
  {
    id: 'emmy',
    cwd: '/home/demo/algebra',
    files: [file('rings.py'), file('ideals.py'), file('test_rings.py')],
    topics: [
      {
        question: 'What are you testing?',
        answer: 'Each symmetry gives us something that stays the same. I wrote one test for each.',
      },
    ],
  },
];

export const TOOLS: readonly string[] = ['bash', 'read', 'edit', 'write'];

export const COMMANDS = [
  { name: '/review', description: 'Review what changed' },
  { name: '/explain', description: 'Explain this folder to a newcomer' },
];

/** The answer to the question that has the most words in common with the prompt; without any, what can be asked. */
export function answerTo({ id, topics }: Character, prompt: string): string {
  const asked = wordsOf(prompt);
  const inCommon = ({ question }: Topic) => [...wordsOf(question)].filter((word) => asked.has(word)).length;
  const [best] = topics.toSorted((a, b) => inCommon(b) - inCommon(a)) as [Topic, ...Topic[]];
  if (inCommon(best) > 0) return best.answer;
  const questions = topics.map(({ question }) => `“${question}”`).join(' or ');
  return `I am ${id}, a sample agent with no model behind me, and all I can be asked is ${questions}`;
}

/** Short words say nothing of what somebody asks about. */
function wordsOf(text: string): Set<string> {
  return new Set(text.toLowerCase().match(/\p{L}{4,}/gu));
}
