import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Command, type RunCommand, readCommandLine, USAGE, UsageError } from '../../src/command/command-line.ts';
import type { HypivisorOptions } from '../../src/options.ts';

function run(args: string[], environment: NodeJS.ProcessEnv = {}): RunCommand {
  const command = readCommandLine(args, environment);
  assert.ok(command.kind === 'run');
  return command;
}

function refuses(args: string[], environment: NodeJS.ProcessEnv, message: string): void {
  assert.throws(() => readCommandLine(args, environment), { name: 'UsageError', message });
}

const NOTHING: Command = {
  kind: 'run',
  options: { allowOrigins: [], allowHosts: [] },
  logFormat: null,
  logFile: null,
  joinCaFile: null,
};

/** Each flag with its twin: a text, and what it becomes. */
const SETTINGS: [flag: string, variable: string, text: string, options: HypivisorOptions][] = [
  ['--port', 'HYPI_PORT', '4000', { port: 4000 }],
  ['--port', 'HYPI_PORT', '0', { port: 0 }],
  ['--port', 'HYPI_PORT', '65535', { port: 65535 }],
  ['--node-ttl', 'HYPI_NODE_TTL', '60', { nodeTtlMs: 60_000 }],
  ['--node-ttl', 'HYPI_NODE_TTL', '0', { nodeTtlMs: 0 }],
  ['--node-ttl', 'HYPI_NODE_TTL', '0.25', { nodeTtlMs: 250 }],
  ['--node-ttl', 'HYPI_NODE_TTL', '31536000', { nodeTtlMs: 31_536_000_000 }],
  ['--host', 'HYPI_HOST', '0.0.0.0', { host: '0.0.0.0' }],
  ['--host', 'HYPI_HOST', '::', { host: '::' }],
  ['--host', 'HYPI_HOST', '[::1]', { host: '::1' }],
  ['--host', 'HYPI_HOST', 'fe80::1%eth0', { host: 'fe80::1%eth0' }],
  ['--host', 'HYPI_HOST', 'laptop.local', { host: 'laptop.local' }],
  ['--allow-origin', 'HYPI_ALLOW_ORIGIN', 'https://example.org', { allowOrigins: ['https://example.org'] }],
  ['--allow-origin', 'HYPI_ALLOW_ORIGIN', 'HTTP://Example.org:80/', { allowOrigins: ['http://example.org'] }],
  ['--allow-origin', 'HYPI_ALLOW_ORIGIN', 'http://[::1]:8080', { allowOrigins: ['http://[::1]:8080'] }],
  ['--allow-host', 'HYPI_ALLOW_HOST', 'agents.example', { allowHosts: ['agents.example'] }],
  ['--spawn-command', 'HYPI_SPAWN_COMMAND', 'pi --mode rpc', { spawnCommand: ['pi', '--mode', 'rpc'] }],
  ['--spawn-command', 'HYPI_SPAWN_COMMAND', ' pi \t x ', { spawnCommand: ['pi', 'x'] }],
  ['--spawn-command', 'HYPI_SPAWN_COMMAND', '["my pi", "a b", ""]', { spawnCommand: ['my pi', 'a b', ''] }],
  ['--join', 'HYPI_JOIN', 'wss://hub.example/ws', { join: [{ url: 'wss://hub.example/ws' }] }],
  ['--hub-name', 'HYPI_HUB_NAME', 'the desk', { hubName: 'the desk' }],
  ['--max-agents', 'HYPI_MAX_AGENTS', '0', { maxAgents: 0 }],
  ['--max-agents', 'HYPI_MAX_AGENTS', '100000', { maxAgents: 100_000 }],
  ['--min-free-memory', 'HYPI_MIN_FREE_MEMORY', '512', { minFreeMemory: 512 * 1024 * 1024 }],
];

describe('readCommandLine', () => {
  it('leaves missing options to the defaults', () => {
    assert.deepEqual(readCommandLine([], {}), NOTHING);
  });

  for (const [flag, variable, text, options] of SETTINGS) {
    it(`${flag} ${text}, ${flag}=${text} and ${variable}=${text} are the same`, () => {
      const expected = { ...NOTHING, options: { allowOrigins: [], allowHosts: [], ...options } };
      assert.deepEqual(readCommandLine([flag, text], {}), expected);
      assert.deepEqual(readCommandLine([`${flag}=${text}`], {}), expected);
      assert.deepEqual(readCommandLine([], { [variable]: text }), expected);
    });
  }

  it('knows -p, -t and -h', () => {
    assert.deepEqual(run(['-p', '4000', '-t', '5']).options, { ...NOTHING.options, port: 4000, nodeTtlMs: 5000 });
    assert.equal(run(['-p4000']).options.port, 4000);
    assert.deepEqual(readCommandLine(['-h'], {}), { kind: 'help' });
  });

  it('helps and tells its version whatever else is given, but for unknown flags', () => {
    assert.deepEqual(readCommandLine(['--help'], {}), { kind: 'help' });
    assert.deepEqual(readCommandLine(['--version'], {}), { kind: 'version' });
    assert.deepEqual(readCommandLine(['--port', 'x', '--version'], { HYPI_PORT: 'y' }), { kind: 'version' });
    assert.deepEqual(readCommandLine(['--version', '--help'], {}), { kind: 'help' });
    refuses(['--help', '--nope'], {}, "Unknown option '--nope'; see --help");
  });

  describe('precedence', () => {
    it('a flag wins over its variable, which is then not even read', () => {
      assert.equal(run(['--port', '1'], { HYPI_PORT: '2' }).options.port, 1);
      assert.equal(run(['--port', '1'], { HYPI_PORT: 'x' }).options.port, 1);
      assert.deepEqual(run(['--allow-host', 'a'], { HYPI_ALLOW_HOST: 'b' }).options.allowHosts, ['a']);
    });

    it('the last of a flag wins, but for those that are repeatable', () => {
      assert.equal(run(['-p', '1', '--port', '2']).options.port, 2);
      const repeated = ['--allow-host', 'a', '--allow-host', 'b', '--allow-origin=http://a', '--allow-origin=http://b'];
      const { allowHosts, allowOrigins } = run(repeated).options;
      assert.deepEqual(
        [allowHosts, allowOrigins],
        [
          ['a', 'b'],
          ['http://a', 'http://b'],
        ],
      );
    });

    it('an empty variable is none', () => {
      const variables = [
        ...new Set(SETTINGS.map(([, variable]) => variable)),
        'HYPI_TOKEN',
        'HYPI_LOG_FORMAT',
        'HYPI_LOG_FILE',
      ];
      assert.deepEqual(readCommandLine([], Object.fromEntries(variables.map((variable) => [variable, '']))), NOTHING);
    });
  });

  it('separates the lists in variables by commas', () => {
    const environment = { HYPI_ALLOW_HOST: 'a, b ,,c,', HYPI_ALLOW_ORIGIN: 'http://a,https://b:8443' };
    assert.deepEqual(run([], environment).options, {
      allowHosts: ['a', 'b', 'c'],
      allowOrigins: ['http://a', 'https://b:8443'],
    });
  });

  it('takes the token from the environment alone, as it stands', () => {
    assert.equal(run([], { HYPI_TOKEN: 'a +b%2B' }).options.token, 'a +b%2B');
    refuses(['--token', 'x'], {}, "Unknown option '--token'; see --help");
  });

  it('refuses a token with white space around it, and never shows it', () => {
    for (const space of [' ', '\t', '\n', '\r\n', '\u00a0']) {
      refuses([], { HYPI_TOKEN: space }, 'HYPI_TOKEN is only white space: set it to a key, or unset it');
      for (const token of [`${space}key`, `key${space}`]) {
        refuses([], { HYPI_TOKEN: token }, 'HYPI_TOKEN must not begin or end with white space');
      }
    }
  });

  describe('the log', () => {
    it('is text or JSON', () => {
      for (const format of ['text', 'json'] as const) {
        assert.equal(run(['--log-format', format]).logFormat, format);
        assert.equal(run([], { HYPI_LOG_FORMAT: format }).logFormat, format);
      }
    });

    it('goes to a file, or to none', () => {
      assert.equal(run(['--log-file', '/var/log/x']).logFile, '/var/log/x');
      assert.equal(run(['--log-file', 'x.jsonl']).logFile, path.resolve('x.jsonl'));
      assert.equal(run([], { HYPI_LOG_FILE: 'none' }).logFile, 'none');
      assert.equal(run(['--log-file', './none']).logFile, path.resolve('none'));
    });
  });

  describe('refuses a bad value in one sentence, with the name it came by', () => {
    const port = 'must be a whole number from 0 to 65535, not';
    const ttl = 'must be a number of seconds from 0 to 31536000, not';
    const host = 'must be a host name or an IP address without a port, not';
    const origin = 'must be an origin such as https://example.org, not';
    const command = 'must be words or a JSON array of strings, not';
    const values: [flag: string, variable: string, sentence: string, texts: string[]][] = [
      ['--port', 'HYPI_PORT', port, ['65536', '1.5', '-1', '+1', '1e3', '0x50', 'http', '80 ', '٣', '9'.repeat(400)]],
      ['--node-ttl', 'HYPI_NODE_TTL', ttl, ['-1', '1s', '.5', '5.', '1e3', 'Infinity', 'NaN', '31536000.1']],
      [
        '--host',
        'HYPI_HOST',
        host,
        ['example.org:80', 'http://example.org', 'a b', '[::1', '[::1]:80', '1.2.3.4.5', '::g', '[a]'],
      ],
      ['--allow-host', 'HYPI_ALLOW_HOST', host, ['example.org:80', 'https://example.org', 'a/b', '*']],
      [
        '--allow-origin',
        'HYPI_ALLOW_ORIGIN',
        origin,
        ['example.org', 'https://', 'https://a/path', 'null', 'file://', '*'],
      ],
      ['--spawn-command', 'HYPI_SPAWN_COMMAND', command, [' ', '[]', '[""]', '["pi", 1]', '["pi"', '[[]]']],
      ['--log-format', 'HYPI_LOG_FORMAT', 'must be text or json, not', ['JSON', 'pretty']],
    ];
    for (const [flag, variable, sentence, texts] of values) {
      for (const text of texts) {
        it(`${flag} ${JSON.stringify(text.slice(0, 40))}`, () => {
          const shown = JSON.stringify(text);
          refuses([`${flag}=${text}`], {}, `${flag} ${sentence} ${shown}`);
          refuses([], { [variable]: text }, `${variable} ${sentence} ${shown}`);
        });
      }
    }

    it('empty ones too, if they came as flags', () => {
      for (const [flag, , sentence] of values) refuses([`${flag}=`], {}, `${flag} ${sentence} ""`);
      refuses(['--log-file='], {}, '--log-file must be a path or none, not ""');
    });

    it('in a list, whichever of it is wrong', () => {
      refuses([], { HYPI_ALLOW_HOST: 'a,b:1' }, `HYPI_ALLOW_HOST ${host} "b:1"`);
      refuses(['--allow-origin', 'http://a', '--allow-origin', 'b'], {}, `--allow-origin ${origin} "b"`);
    });
  });

  describe('refuses in one sentence what it does not know', () => {
    const lines: [args: string[], sentence: string][] = [
      [['--nope'], "Unknown option '--nope'"],
      [['-x'], "Unknown option '-x'"],
      [['--Port', '1'], "Unknown option '--Port'"],
      [['--no-help'], "Unknown option '--no-help'"],
      [['serve'], "Unexpected argument 'serve'"],
      [['--', 'serve'], "Unexpected argument 'serve'"],
      [['--port'], "Option '-p, --port <value>' argument missing"],
      [['--host', '--port'], "Option '--host' argument is ambiguous"],
      [['--help=yes'], "Option '-h, --help' does not take an argument"],
      [['--a\nb'], "Unknown option '--a b'"],
    ];
    for (const [args, sentence] of lines) {
      it(JSON.stringify(args), () => refuses(args, {}, `${sentence}; see --help`));
    }
  });

  it('throws nothing but UsageError, in one line, whatever it is given', () => {
    const flags = [
      '--port',
      '-p',
      '--node-ttl',
      '--host',
      '--allow-origin',
      '--allow-host',
      '--spawn-command',
      '--log-format',
    ];
    const argument = fc.oneof(fc.constantFrom(...flags), fc.string(), fc.string({ unit: 'binary' }));
    const environment = fc.dictionary(fc.constantFrom('HYPI_PORT', 'HYPI_HOST', 'HYPI_SPAWN_COMMAND'), fc.string());
    fc.assert(
      fc.property(fc.array(argument), environment, (args, variables) => {
        try {
          readCommandLine(args, variables);
        } catch (error) {
          assert.ok(error instanceof UsageError);
          assert.ok(!error.message.includes('\n'));
        }
      }),
    );
  });
});

describe('joins', () => {
  const url = 'wss://hub.example/ws';
  const joinsOf = (args: string[], environment: NodeJS.ProcessEnv = {}) => run(args, environment).options.join;

  it('any number of hubs can be joined, each once', () => {
    const two = [{ url }, { url: 'http://10.0.0.1:31415' }];
    assert.deepEqual(joinsOf(['--join', url, '--join', 'http://10.0.0.1:31415', '--join', url]), two);
    assert.deepEqual(joinsOf([], { HYPI_JOIN: ` ${url} http://10.0.0.1:31415,` }), two);
    assert.equal(joinsOf([], { HYPI_JOIN: ' , ' }), undefined);
  });

  it('their key is HYPI_JOIN_TOKEN, or else HYPI_TOKEN', () => {
    assert.deepEqual(joinsOf(['--join', url], { HYPI_TOKEN: 'mine' }), [{ url, token: 'mine' }]);
    assert.deepEqual(joinsOf(['--join', url], { HYPI_TOKEN: 'mine', HYPI_JOIN_TOKEN: 'its' }), [{ url, token: 'its' }]);
    refuses(['--join', url], { HYPI_JOIN_TOKEN: ' x' }, 'HYPI_JOIN_TOKEN must not begin or end with white space');
  });

  it('their power is what is given', () => {
    const features = ['roster', 'relay'];
    assert.deepEqual(joinsOf(['--join', url, '--join-only', 'relay, roster']), [{ url, features }]);
    assert.deepEqual(joinsOf(['--join', url], { HYPI_JOIN_ONLY: 'roster relay' }), [{ url, features }]);
    for (const text of ['', 'roster,all', ',']) {
      const message = `--join-only must be some of roster, relay, spawn, not ${JSON.stringify(text)}`;
      refuses(['--join', url, '--join-only', text], {}, message);
    }
  });

  it('certificates are a file', () => {
    assert.equal(run(['--join', url, '--join-ca', 'ca.pem']).joinCaFile, path.resolve('ca.pem'));
  });

  it('a secret in a URL is refused, and not shown', () => {
    for (const [text, sentence] of [
      [
        'wss://hub/ws?token=secret',
        '--join must have no token in its URL, where others can see it: set HYPI_JOIN_TOKEN',
      ],
      ['wss://me:secret@hub/ws', '--join must have no user and no password in its URL: set HYPI_JOIN_TOKEN'],
      ['secret@hub', '--join must be the URL of a hypivisor, such as wss://hub.example/ws'],
      ['ftp://hub/', '--join must be the URL of a hypivisor, such as wss://hub.example/ws'],
    ] as const) {
      refuses(['--join', text], {}, sentence);
    }
  });

  it('a name without a visible character is refused', () => {
    for (const text of [' x', 'a\nb', 'x'.repeat(254)]) {
      refuses(['--hub-name', text], {}, `--hub-name must be a name of at most 253 bytes, not ${JSON.stringify(text)}`);
    }
  });
});

describe('USAGE', () => {
  it('names every variable that is read, and no other', () => {
    const read = new Set<string>();
    const environment = new Proxy<NodeJS.ProcessEnv>({}, { get: (_, name) => void read.add(String(name)) });
    readCommandLine([], environment);
    assert.deepEqual(new Set(USAGE.match(/HYPI_\w+/g)), read);
  });

  it('names flags that exist, each with its twin beside it', () => {
    const named = new Set(USAGE.match(/--[a-z][a-z-]*/g));
    named.delete('--mode');
    const twins = new Map(SETTINGS.map(([flag, variable]) => [flag, variable]));
    twins.set('--log-format', 'HYPI_LOG_FORMAT').set('--log-file', 'HYPI_LOG_FILE');
    twins.set('--join-only', 'HYPI_JOIN_ONLY').set('--join-ca', 'HYPI_JOIN_CA');
    assert.deepEqual(named, new Set([...twins.keys(), '--help', '--version']));
    for (const [flag, variable] of twins) {
      const entry = USAGE.slice(USAGE.indexOf(flag));
      assert.ok(
        entry.indexOf(variable) < entry.indexOf('\n  ', entry.indexOf('HYPI_')),
        `${variable} stands beside ${flag}`,
      );
    }
    for (const flag of ['--help', '--version']) assert.notEqual(readCommandLine([flag], {}).kind, 'run');
  });

  it('fits a narrow terminal', () => {
    for (const line of USAGE.split('\n')) assert.ok(line.length <= 90, line);
    assert.ok(USAGE.endsWith('\n'));
  });
});
