/** The process of a load: see commands.ts, and process.ts for its other end. */
import { type Commands, commands } from './commands.ts';

export interface Order {
  id: number;
  command: keyof Commands;
  options: never;
}

export interface Answer {
  id: number;
  result?: unknown;
  error?: { message: string; isWrongAnswer: boolean };
}

async function carryOut({ id, command, options }: Order): Promise<Answer> {
  try {
    const run: (options: never) => Promise<unknown> = commands[command];
    return { id, result: await run(options) };
  } catch (error) {
    const { name, message } = error as Error;
    return { id, error: { message, isWrongAnswer: name === 'WrongAnswer' } };
  }
}

process.on('message', async (order: Order) => process.send?.(await carryOut(order)));
process.on('disconnect', () => process.exit());
