/** The sample agents, and what they know. There is no model behind them, and they say so. */
import type { Exchange, Step } from './script.ts';

export interface Character {
  /** What it is talked to by, from a terminal. */
  id: string;
  /** What its session is called. */
  name: string;
  /** On the other machine, whose hypivisor has joined. */
  isElsewhere?: true;
  /** Below the demo's home folder. */
  folder: string;
  /** What is in it: path → contents. */
  files: Record<string, string>;
  model: string;
  /** Tokens that it begins with. */
  context: number;
  /** What was said and done before the curtain rises. */
  past: readonly Exchange[];
  /** What it is at when the curtain rises; nothing where it is idle. */
  opening?: Exchange;
  /** What it can be asked. */
  topics: readonly Exchange[];
}

const LEXER = `export function lex(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const token = next(text, at);
    if (token.end === text.length) break;
    at = token.end;
    tokens.push(token);
  }
  return tokens;
}`;

const LEXER_DIFF = ` 40   while (at < text.length) {
 41     const token = next(text, at);
-42     if (token.end === text.length) break;
+42     tokens.push(token);
 43     at = token.end;
-44     tokens.push(token);
 45   }
 46   return tokens;`;

const WHY_THE_BUILD_FAILS: Step[] = [
  { think: 'A file without a newline at its end is the only one that fails. I look at where the lexer stops.' },
  { tool: 'read', args: { path: 'src/lexer.ts', offset: 36, limit: 10 }, output: LEXER },
  { say: 'The loop leaves before it has pushed the token it has just read.' },
  {
    tool: 'edit',
    args: { path: 'src/lexer.ts' },
    output: 'Edited src/lexer.ts',
    diff: LEXER_DIFF,
  },
  {
    tool: 'bash',
    args: { command: 'npm test' },
    output:
      '> compiler@2.1.0 test\n\n  lexer\n    ✓ keeps the last token (2 ms)\n    ✓ knows every operator\n  parser\n    ✓ 212 programs\n\n  214 passing (1.9 s)',
    ms: 1800,
  },
  {
    say: 'The parser drops the last token when a file ends without a newline. I have a fix and a test that failed before it.',
  },
];

const CHAPTER =
  '# 1. Installing\n\n1. Download the archive.\n2. Unpack it.\n3. Open `config.toml`.\n4. Choose a port.\n5. Run `setup`.\n';

const SWAP: Step = {
  confirm: 'Swap steps 3 and 5 of chapter 1?',
  message: 'Step 3 asks for a file that step 5 creates. Readers who follow the order get an error.',
  yes: [
    {
      tool: 'edit',
      args: { path: 'chapters/1-install.md' },
      output: 'Edited',
      diff: '-12 3. Open `config.toml`.\n+12 3. Run `setup`, which writes `config.toml`.\n 13 4. Choose a port.\n-14 5. Run `setup`.\n+14 5. Open `config.toml` and enter the port.',
    },
    { say: 'Swapped. I read the chapter again from its beginning, and every file is there before it is asked for.' },
  ],
  no: [{ say: 'Left as it is. I put a note before step 3 instead, which says where the file comes from.' }],
};

const BAND: Step = {
  select: 'Which band shall the two ends hop in?',
  options: {
    '88 channels': [
      {
        tool: 'bash',
        args: { command: 'make flash CHANNELS=88' },
        output: 'firmware.bin 41 kB\nflashed left\nflashed right',
        ms: 2000,
      },
      { say: 'Both ends hop over 88 channels now, and find each other again in 12 ms.' },
    ],
    '40 channels': [{ say: '40 it is: slower to jam, quicker to find. Both ends are flashed.' }],
    'ask me later': [{ say: 'I leave the table as it is, and go on with the tests.' }],
  },
};

const TAPE: Step[] = [
  { think: 'Nobody can say beforehand whether it stops. Running it is the only way to find out.' },
  {
    tool: 'bash',
    args: { command: './machine --trace busy-beaver-5.tm' },
    output: Array.from(
      { length: 60 },
      (_, i) => `step ${(i + 1) * 786_432}  state ${'ABCDE'[i % 5]}  ${4098 - i * 7} ones`,
    ).join('\n'),
    ms: 150_000,
  },
  { say: 'It has not stopped yet, which proves nothing. I go on.' },
];

export const CAST: readonly Character[] = [
  {
    id: 'ada',
    name: 'Fix the lost last token',
    folder: 'compiler',
    files: { 'README.md': '# compiler\n', 'src/lexer.ts': LEXER, 'src/parser.ts': 'export {};\n' },
    model: 'sample-large',
    context: 31_000,
    past: [
      {
        prompt: 'Users say that the last line of their file is ignored. Find out why.',
        steps: [
          { think: 'First a file that shows it, as small as it can be.' },
          { tool: 'bash', args: { command: "printf 'let x = 1' | ./compile --tokens -" }, output: 'let\nx\n=' },
          {
            say: [
              'I can reproduce it: **the last token is lost** where a file has no newline at its end.',
              '',
              '| Input | Tokens |',
              '|---|---|',
              '| `let x = 1⏎` | `let` `x` `=` `1` |',
              '| `let x = 1` | `let` `x` `=` |',
              '',
              'Two ways to mend it:',
              '',
              '1. push the token before the loop may end, or',
              '2. add a newline to what is read:',
              '',
              '```ts',
              "const text = source.endsWith('\\n') ? source : source + '\\n';",
              '```',
              '',
              'The first is the honest one. Shall I?',
            ].join('\n'),
          },
        ],
      },
    ],
    topics: [
      { prompt: 'Why does the build fail?', steps: WHY_THE_BUILD_FAILS },
      { prompt: 'What did you change?', steps: [{ say: 'One line in src/lexer.ts. The whole suite passes.' }] },
    ],
  },
  {
    id: 'grace',
    name: 'Read the handbook as a newcomer',
    folder: 'handbook',
    files: { 'chapters/1-install.md': CHAPTER, 'chapters/2-first-steps.md': '# 2. First steps\n' },
    model: 'sample-large',
    context: 52_000,
    past: [
      {
        prompt: 'Read the handbook as somebody who has never seen it, and tell me where you stumble.',
        steps: [
          {
            tool: 'read',
            args: { path: 'chapters/1-install.md' },
            output: CHAPTER,
          },
          { say: 'I stumble at step 3 of chapter 1: there is no `config.toml` yet. **Step 5 creates it.**' },
        ],
      },
    ],
    opening: {
      prompt: 'Mend what you find, but ask me before you change an order.',
      steps: [{ think: 'An order is what I found.' }, SWAP],
    },
    topics: [
      {
        prompt: 'How is the handbook?',
        steps: [{ say: 'Chapter 1 asks for a file that does not exist yet.' }, SWAP],
      },
      { prompt: 'Are there dead links?', steps: [{ say: 'There were two. Both point to the new pages now.' }] },
    ],
  },
  {
    id: 'alan',
    name: 'Will it stop?',
    folder: 'machine',
    files: { Makefile: 'run:\n', 'tape.c': 'int main(void);\n' },
    model: 'sample-small',
    context: 8000,
    past: [],
    opening: { prompt: 'Run the five-state machine and tell me when it stops.', steps: TAPE },
    topics: [
      {
        prompt: 'Will the machine stop?',
        steps: [{ say: 'It will stop, or it will not. I am still waiting to find out which.' }],
      },
    ],
  },
  {
    id: 'hedy',
    name: 'Hop together',
    isElsewhere: true,
    folder: 'radio',
    files: { 'firmware/hop.rs': 'fn hop() {}\n' },
    model: 'sample-large',
    context: 74_000,
    past: [
      {
        prompt: 'The two ends lose each other after the eighth channel.',
        steps: [
          {
            tool: 'bash',
            args: { command: 'rg -n "channel" firmware/hop.rs' },
            output: 'firmware/hop.rs\n14:    let channel = table[step & 7];\n31:    tune(channel);',
          },
          { say: '`step & 7` wraps after eight. The table has more: the index must run to its length.' },
          {
            tool: 'edit',
            args: { path: 'firmware/hop.rs' },
            output: 'Edited',
            diff: '-14     let channel = table[step & 7];\n+14     let channel = table[step % table.len()];',
          },
        ],
      },
    ],
    opening: {
      prompt: 'Good. Now let them use a whole band.',
      steps: [{ say: 'There are three that the radios can do.' }, BAND],
    },
    topics: [
      {
        prompt: 'Do the two ends stay together?',
        steps: [{ say: 'They hop together now. Before, they lost each other after the eighth channel.' }],
      },
    ],
  },
  {
    id: 'joan',
    name: 'Draw the grammar',
    folder: 'compiler',
    files: {},
    model: 'sample-small',
    context: 4000,
    past: [
      {
        prompt: 'Draw the grammar of expressions for the handbook.',
        steps: [
          {
            say: '```\nexpression = term { ("+" | "-") term }\nterm       = factor { ("*" | "/") factor }\nfactor     = number | "(" expression ")"\n```',
          },
        ],
      },
    ],
    topics: [
      { prompt: 'What does the grammar look like?', steps: [{ say: 'Three rules: expression, term and factor.' }] },
    ],
  },
  {
    id: 'emmy',
    name: 'A test for each symmetry',
    folder: 'algebra',
    files: { 'rings.py': '', 'ideals.py': '', 'test_rings.py': '' },
    model: 'sample-small',
    context: 12_000,
    past: [
      {
        prompt: 'Write a test for each law that a ring must obey.',
        steps: [
          {
            tool: 'write',
            args: {
              path: 'test_rings.py',
              content:
                'import pytest\n\nfrom rings import Z\n\n\n@pytest.mark.parametrize("n", [2, 3, 12])\ndef test_addition_commutes(n):\n    ring = Z(n)\n    assert all(a + b == b + a for a in ring for b in ring)\n',
            },
            output: 'Wrote 9 lines',
          },
          {
            tool: 'bash',
            args: { command: 'pytest -q' },
            output: '...                                                  [100%]\n3 passed in 0.04s',
          },
          { say: 'Addition commutes in `Z/2`, `Z/3` and `Z/12`. The other laws follow the same way.' },
        ],
      },
    ],
    topics: [
      {
        prompt: 'What are you testing?',
        steps: [
          {
            tool: 'bash',
            args: { command: 'pytest -q' },
            output: '............                                         [100%]\n12 passed in 0.09s',
          },
          { say: 'Each symmetry gives us something that stays the same. I wrote one test for each.' },
        ],
      },
    ],
  },
  {
    id: 'mary',
    name: 'Import the catalogue of stars',
    isElsewhere: true,
    folder: 'sky',
    files: { 'catalogue.csv': 'name,declination\n' },
    model: 'sample-large',
    context: 180_000,
    past: [],
    opening: {
      prompt: 'Import all 1,800,000 stars.',
      steps: [
        {
          tool: 'bash',
          args: { command: './import catalogue.csv' },
          output: 'read 1000 rows\nrow 1001: declination "n/a"',
          isError: true,
          ms: 400,
        },
        { fail: 'The provider is overloaded (529). It was tried three times.' },
      ],
    },
    topics: [
      {
        prompt: 'How many stars are there?',
        steps: [{ say: 'A thousand are in. Row 1,001 has no declination, and I do not make one up.' }],
      },
    ],
  },
];

export const TOOLS: readonly { name: string; description: string }[] = [
  { name: 'bash', description: 'Runs a command' },
  { name: 'read', description: 'Reads a file' },
  { name: 'edit', description: 'Changes a part of a file' },
  { name: 'write', description: 'Writes a file' },
];

export const COMMANDS = [
  { name: '/review', description: 'Review what changed' },
  { name: '/explain', description: 'Explain this folder to a newcomer' },
];

/** What is done about the topic that has the most words in common with the prompt; without any, what can be asked. */
export function answerTo({ id, topics }: Character, prompt: string): Step[] {
  const asked = wordsOf(prompt);
  const inCommon = (topic: Exchange) => [...wordsOf(topic.prompt)].filter((word) => asked.has(word)).length;
  const [best] = topics.toSorted((a, b) => inCommon(b) - inCommon(a)) as [Exchange, ...Exchange[]];
  if (inCommon(best) > 0) return best.steps;
  const questions = topics.map((topic) => `“${topic.prompt}”`).join(' or ');
  return [
    { tool: 'bash', args: { command: 'ls' }, output: 'README.md\nsrc\ntest' },
    { say: `I am ${id}, a sample agent with no model behind me, and all I can be asked is ${questions}` },
  ];
}

/** Short words say nothing of what somebody asks about. */
function wordsOf(text: string): Set<string> {
  return new Set(text.toLowerCase().match(/\p{L}{4,}/gu));
}
