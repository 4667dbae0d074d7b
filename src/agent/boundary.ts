/**
 * An exception that leaves a callback can end pi. So every function that pi, Node or another extension calls is
 * wrapped. Its exceptions and rejections are logged, and never reach the caller.
 */
import type { AgentLog } from './log.ts';

export type Boundary = <Args extends unknown[]>(
  name: string,
  act: (...args: Args) => unknown,
) => (...args: Args) => Promise<void> | undefined;

/** @returns a function that wraps another. The promise of a wrapped asynchronous function never rejects. */
export function createBoundary(log: Pick<AgentLog, 'fault'>): Boundary {
  return (name, act) =>
    (...args) => {
      try {
        const result = act(...args);
        if (!(result instanceof Promise)) return undefined;
        return result.then(
          () => {},
          (error: unknown) => void log.fault(error, name),
        );
      } catch (error) {
        log.fault(error, name);
        return undefined;
      }
    };
}
