import os from 'node:os';

/** The machine, on which all figures depend, in one line. */
export function describeMachine(): string {
  const [cpu] = os.cpus();
  const memory = Math.round(os.totalmem() / 1024 ** 3);
  return `${os.cpus().length} × ${cpu?.model.trim()}, ${memory} GiB; ${os.type()} ${os.release()}; Node ${process.version}`;
}
