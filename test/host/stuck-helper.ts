/**
 * Stands in for the helper process, for tests without a mount that hangs: it does what `path` says.
 *
 *   hang          waits for a FIFO that nobody writes to, in a thread, and replies nothing
 *   hang and say  the same, and replies that `silent` did not answer
 *   stop          is stopped, with its event loop
 *   end           ends
 *   fail          replies a fault
 *   else          replies what it was asked
 */
import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Question, Reply } from '../../src/host/helper.ts';
import type { Tasks } from '../../src/host/tasks.ts';

process.on('message', ({ id, task, silent }: Question) => {
  const { path, home } = task.params as Tasks['listDirectories'];
  const say = (reply: Omit<Reply, 'id'> & object) => process.send?.({ id, ...reply });
  switch (path) {
    case 'hang':
      hang(home);
      break;
    case 'hang and say':
      hang(home);
      say({ error: 'silent', silent: [`/silent-${process.pid}`], gaveUp: true } as never);
      break;
    case 'stop':
      process.kill(process.pid, 'SIGSTOP');
      break;
    case 'end':
      process.exit(1);
      break;
    case 'fail':
      say({ fault: 'a stack', silent: [], gaveUp: false } as never);
      break;
    default:
      say({ result: { path, silent, pid: process.pid }, silent: [], gaveUp: false } as never);
  }
});

process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

function hang(home: string): void {
  const fifo = join(home, `fifo-${process.pid}`);
  execFileSync('mkfifo', [fifo]);
  void open(fifo, 'r');
}
