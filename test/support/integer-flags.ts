/** Command lines of the programs among the tests: flags that are whole numbers, and --help. */
import { parseArgs } from 'node:util';

/**
 * Reads this process's arguments. Ends the process after --help, and with 2 and a sentence where they make no sense.
 *
 * @param defaults every flag there is, by its name without the dashes
 */
export function integerFlags<Flags extends Record<string, number>>(usage: string, defaults: Flags): Flags {
  try {
    const flags = Object.keys(defaults).map((name) => [name, { type: 'string' }] as const);
    const { help, ...values } = parseArgs({
      options: { ...Object.fromEntries(flags), help: { type: 'boolean', short: 'h' } },
    }).values as { help?: boolean } & Record<string, string>;
    if (help) {
      process.stdout.write(usage);
      process.exit(0);
    }
    return { ...defaults, ...Object.fromEntries(Object.entries(values).map(readInteger)) };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}

function readInteger([name, text]: [string, string]): [name: string, value: number] {
  if (!/^\d{1,15}$/.test(text)) throw new Error(`--${name} must be a whole number, not '${text}'`);
  return [name, Number(text)];
}
