/** The state that all commands of a load's process share. */
import { Tally } from './window.ts';

export const tally = new Tally();

let reject: (error: Error) => void;
/** Rejects if an answer was wrong or a connection was lost. */
export const failed = new Promise<never>((_, rejectIt) => {
  reject = rejectIt;
});
// It is looked at by whichever command runs next.
failed.catch(() => {});

export function fail(error: Error): void {
  reject(error);
}
