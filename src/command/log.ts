/**
 * One line per event: text for people at a terminal, otherwise JSON, as in the log file that all parts of Hyper-Pi
 * share.
 *
 *   info(), warn(), error(), fault() ─▶ entry ─┬▶ sink: formatted, queued ─▶ stderr
 *                                              └▶ sink: formatted, queued ─▶ file
 *
 * Text from a peer cannot forge a line, and cannot reach a terminal as a control sequence. The sinks in `log-sinks`
 * make sure that logging never blocks.
 */

export const LogLevel = { INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel];

export type LogFields = Readonly<Record<string, string | number | boolean>>;

/** The contents of one line. */
export interface LogEntry extends LogFields {
  /** RFC 3339, in UTC. */
  readonly ts: string;
  readonly level: LogLevel;
  readonly component: string;
  readonly msg: string;
}

export interface Log {
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  /** Logs a failure that a person has to fix. */
  error(msg: string, fields?: LogFields): void;
  /**
   * Logs a fault of this program. The line asks for hardening.
   *
   * @param boundary the part of the daemon that caught the error
   */
  fault(msg: string, boundary: string, fields?: LogFields): void;
  /** Waits until all lines are written, but at most `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
}

export interface LogSink {
  write(entry: LogEntry): void;
  /** Resolves once every line is written or lost. */
  flush(): Promise<void>;
}

/** Formats one line, without its end. */
export type LogFormat = (entry: LogEntry) => string;

const COMPONENT = 'hypivisor';
const MAX_VALUE_LENGTH = 200;
/** C0, DEL and C1; line separators of Unicode; and marks that change the direction of text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern is about control characters
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Formats one line as JSON. */
export function formatJson(entry: LogEntry): string {
  return JSON.stringify(entry);
}

/** Formats one line for a person: `12:34:56 warn  message  key=value`, in UTC. */
export function formatText({ ts, level, component: _, msg, ...fields }: LogEntry): string {
  const details = Object.entries(fields).map(([name, value]) => `  ${name}=${quoted(value)}`);
  return `${ts.slice(11, 19)} ${level.padEnd(5)} ${msg}${details.join('')}`;
}

/** Quotes a value that could be mistaken for several values. */
function quoted(value: string | number | boolean): string {
  return /^[^\s"=]+$/.test(String(value)) ? String(value) : JSON.stringify(value);
}

/** The most lines of one kind in a second. Further lines, such as a flood of refused requests, are only counted. */
const MAX_LINES_PER_SECOND = 100;

/** The state of one kind of line in the current second. */
interface Throttle {
  second: number;
  lines: number;
  /** The number of lines that were not written since the last written one. */
  suppressed: number;
}

export function createLog(sinks: readonly LogSink[], now = () => performance.now()): Log {
  const throttles = new Map<string, Throttle>();

  function write(level: LogLevel, msg: string, fields: LogFields): void {
    const entry = createEntry(level, msg, fields);
    for (const sink of sinks) sink.write(entry);
  }

  /** @param kind a constant in the code, never a peer's text */
  function log(kind: string, level: LogLevel, msg: string, fields: LogFields): void {
    const second = Math.floor(now() / 1000);
    let throttle = throttles.get(kind);
    if (throttle === undefined) {
      throttle = { second, lines: 0, suppressed: 0 };
      throttles.set(kind, throttle);
    }
    if (throttle.second !== second) {
      throttle.second = second;
      throttle.lines = 0;
    }
    if (throttle.lines === MAX_LINES_PER_SECOND) {
      throttle.suppressed++;
      return;
    }
    throttle.lines++;
    const { suppressed } = throttle;
    throttle.suppressed = 0;
    write(level, msg, suppressed > 0 ? { ...fields, suppressed } : fields);
  }

  return {
    info: (msg, fields = {}) => log(msg, LogLevel.INFO, msg, fields),
    warn: (msg, fields = {}) => log(msg, LogLevel.WARN, msg, fields),
    error: (msg, fields = {}) => log(msg, LogLevel.ERROR, msg, fields),
    fault: (msg, boundary, fields = {}) => {
      log(boundary, LogLevel.ERROR, msg, { ...fields, needsHardening: true, boundary });
    },
    async flush(timeoutMs) {
      for (const [kind, throttle] of throttles) {
        if (throttle.suppressed > 0)
          write(LogLevel.WARN, 'lines suppressed', { kind, suppressed: throttle.suppressed });
        throttle.suppressed = 0;
      }
      // The timer keeps the process alive, which a write that waits for its next try does not do.
      let timer: NodeJS.Timeout | undefined;
      const timedOut = new Promise((resolve) => {
        timer = setTimeout(resolve, timeoutMs);
      });
      await Promise.race([timedOut, Promise.all(sinks.map((sink) => sink.flush()))]);
      clearTimeout(timer);
    },
  };
}

/** Text in `msg` and `fields` is cut to 200 characters, and its control characters are escaped. */
export function createEntry(level: LogLevel, msg: string, fields: LogFields): LogEntry {
  const harmlessFields = Object.entries(fields).map(([name, value]) => {
    return [name, typeof value === 'string' ? harmless(value) : value];
  });
  const ts = new Date().toISOString();
  return { ts, level, component: COMPONENT, msg: harmless(msg), ...Object.fromEntries(harmlessFields) };
}

function harmless(text: string): string {
  // Escaping only makes text longer, so the text can be cut before it is escaped.
  const escaped = text.slice(0, MAX_VALUE_LENGTH + 1).replace(UNPRINTABLE, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return escaped.length > MAX_VALUE_LENGTH ? `${escaped.slice(0, MAX_VALUE_LENGTH - 1)}…` : escaped;
}
