/** The processor time that processes have used, as Linux tells it. */
import { readdirSync, readFileSync } from 'node:fs';

/** The unit of times in /proc/pid/stat, the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/**
 * User and system time of all threads of the processes, in seconds. Nothing is awaited in here, so that what the caller
 * counts just before or after belongs to the same moment.
 */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (fromSchedstat(pid) ?? fromStat(pid)), 0);
}

/** In nanoseconds, if the kernel was built to count them. */
function fromSchedstat(pid: number): number | null {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    const times = tasks.map((task) => readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    return times.reduce((sum, nanoseconds) => sum + Number(nanoseconds), 0) / 1e9;
  } catch {
    return null;
  }
}

function fromStat(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Behind the name in parentheses, which may hold anything: state is field 3, user and system time are 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
