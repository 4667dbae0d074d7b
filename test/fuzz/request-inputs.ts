/** Requests to the registry as text: JSON that is nearly right, and what is hardly JSON any more. */
import type { Random } from './random.ts';

/** A request and its params, name by name, as they stand in JSON. */
const REQUEST = { id: '"1"', method: '"register"', params: '' };
const NODE = {
  id: '"a"',
  machine: '"box"',
  cwd: '"/work"',
  port: '8080',
  status: '"active"',
  pid: '42',
  dialKey: '"aZ_-"',
};
/** What a node may say of itself beside. */
const DETAILS = {
  name: '"fix the parser"',
  session: '"s"',
  model: '"m"',
  state: '"working"',
  state_age: '1.5',
  tool: '"bash"',
  tool_age: '0',
  context: '{"used":1,"max":2}',
  cost: '0.25',
  question: '{"id":"q","kind":"select","title":"Which?","options":["this","that"]}',
  questions: '2',
  successor: '"b"',
  spawn_id: '"x"',
};
/** Their values, of other fields or with a part that is not what it must be. */
const DETAIL_VALUES = [
  ...Object.values(DETAILS),
  'null',
  '"failed"',
  '{"used":1}',
  '{"used":-1,"max":1}',
  '{"id":"q","kind":"radio","title":""}',
  '{"id":"q","kind":"custom","title":"","options":null}',
  '{"id":"q","kind":"input","title":"\\n"}',
  '{"id":"q","kind":"input","title":"","options":[1]}',
  `{"id":"q","kind":"input","title":"${'é'.repeat(257)}"}`,
];

const TEXTS = [
  '',
  'a',
  'active',
  'offline',
  'ping',
  '__proto__',
  'constructor',
  '\\ud800',
  '\\udc00\\ud800',
  '\\u0000',
  '\\n',
]
  .concat(
    '\\ud83d\\ude00',
    'é😀',
    '\\u2028',
    '\\u007f',
    '\\u0085',
    '<img src=x>',
    '\\\\',
    '\\"',
    'a'.repeat(128),
    'a'.repeat(129),
  )
  .concat(
    'é'.repeat(126),
    'é'.repeat(127),
    'a'.repeat(253),
    'a'.repeat(254),
    'é'.repeat(128),
    'a'.repeat(256),
    'a'.repeat(257),
  );
const LONG_TEXTS = ['a'.repeat(4096), 'a'.repeat(4097), '\\u00e9'.repeat(2048)];
const NUMBERS = [
  '0',
  '-0',
  '1',
  '-1',
  '1.5',
  '1e3',
  '65535',
  '65536',
  '9007199254740991',
  '9007199254740993',
  '1e999',
  '-1e999',
].concat('1e-999', '8080.0', '0.1e1', '00', '.5', '+1', '0x10', 'NaN', '1_000');
const OTHERS = [
  'null',
  'true',
  'false',
  '[]',
  '{}',
  '[1,"a"]',
  '{"id":"a"}',
  '{"__proto__":{"id":"a"}}',
  'undefined',
  '',
];
const NAMES = [
  'id',
  'method',
  'params',
  'port',
  'pid',
  'dialKey',
  '__proto__',
  'constructor',
  'toJSON',
  'event',
  '\\u0069d',
  '',
];
const TELLING = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '\\',
  ' ',
  '\0',
  '\n',
  'e',
  '-',
  '9',
  '\ufeff',
  '\ud800',
  '\u2028',
  '/*',
];

const ONE_IS_DEEP = 5000;
const MAX_DEPTH = 30_000;

export class RequestInputs {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  next(): string {
    const random = this.#random;
    const params = random.oneIn(16) ? this.#value() : this.#object({ ...NODE, ...this.#someDetails() });
    let text = random.oneIn(32) ? this.#value() : this.#object({ ...REQUEST, params });
    if (random.oneIn(4)) for (let times = random.between(1, 3); times > 0; times--) text = this.#mutated(text);
    return text;
  }

  /** These, or nearly: a value changed, a name left out, doubled or put in. */
  #object(usual: Readonly<Record<string, string>>): string {
    const random = this.#random;
    const entries = Object.entries(usual).map(([name, value]) => [name, random.oneIn(12) ? this.#value() : value]);
    if (random.oneIn(4)) entries.splice(random.below(entries.length), 1);
    if (random.oneIn(4)) entries.splice(random.below(entries.length + 1), 0, [random.pick(NAMES), this.#value()]);
    return `{${entries.map(([name, value]) => `"${name}":${value}`).join(',')}}`;
  }

  #someDetails(): Record<string, string> {
    const random = this.#random;
    if (random.oneIn(2)) return {};
    const some = Object.entries(DETAILS).filter(() => random.oneIn(4));
    return Object.fromEntries(
      some.map(([name, value]) => [name, random.oneIn(6) ? random.pick(DETAIL_VALUES) : value]),
    );
  }

  #value(): string {
    const random = this.#random;
    if (random.oneIn(ONE_IS_DEEP)) return this.#deep();
    switch (random.below(8)) {
      case 0:
        return random.pick(OTHERS);
      case 1:
      case 2:
        return random.pick(NUMBERS);
      default:
        return `"${random.pick(random.oneIn(32) ? LONG_TEXTS : TEXTS)}"`;
    }
  }

  #deep(): string {
    const depth = this.#random.between(1, MAX_DEPTH);
    const [open, close] = this.#random.pick([
      ['[', ']'],
      ['{"a":', '}'],
    ]) as [string, string];
    return `${open.repeat(depth)}0${close.repeat(depth)}`;
  }

  #mutated(text: string): string {
    const random = this.#random;
    const at = random.below(text.length + 1);
    const size = random.between(1, 6);
    switch (random.below(4)) {
      case 0:
        return text.slice(0, at) + random.pick(TELLING) + text.slice(at);
      case 1:
        return text.slice(0, at) + random.pick(TELLING) + text.slice(at + 1);
      case 2:
        return text.slice(0, at) + text.slice(at + size);
      default:
        return text.slice(0, at + size) + text.slice(at);
    }
  }
}
