/**
 * A short connection to an agent that is not open, to tell it one thing: an answer from the roster, or to stop. It counts
 * as done only once the agent says so.
 */
import type { FromAgent, QuestionSettled } from '../../protocol/agent.ts';
import { deltaSubprotocols } from '../../protocol/subprotocol.ts';
import type { Environment } from './environment.ts';

export const ERRAND_TIMEOUT_MS = 8000;

export interface Way {
  environment: Environment;
  address(nodeId: string): string;
  token(): string | null;
}

/** The agent's reply to an answer. */
export type AnswerOutcome =
  | { kind: 'accepted' }
  /** Somebody else answered first. */
  | { kind: 'already'; settled: QuestionSettled | null }
  | { kind: 'not-delivered'; why: string };

/** @param value null to dismiss the question */
export function answer(
  way: Way,
  nodeId: string,
  questionId: string,
  value: string | boolean | null,
  client: string,
): Promise<AnswerOutcome> {
  const failed = (why: string): AnswerOutcome => ({ kind: 'not-delivered', why });
  return errand(way, nodeId, failed, (message, send) => {
    switch (message.type) {
      case 'init_state':
        if (message.questions === undefined) return failed('This agent takes answers in its own terminal only.');
        if (!message.questions.some(({ id }) => id === questionId)) return { kind: 'already', settled: null };
        send({ ...(value === null ? { type: 'dismiss' } : { type: 'answer', value }), id: questionId, client });
        return undefined;
      case 'question_settled': {
        if (message.id !== questionId) return undefined;
        const isOurs = message.client === client && (message.by === 'dashboard' || message.by === 'dismissed');
        return isOurs ? { kind: 'accepted' } : { kind: 'already', settled: message };
      }
      case 'error':
        return message.id === questionId ? failed(message.error) : undefined;
      default:
        return undefined;
    }
  });
}

/** Stops the agent's run. @returns null, or why it is not known to have stopped */
export function abort(way: Way, nodeId: string): Promise<string | null> {
  return errand<string | null>(
    way,
    nodeId,
    (why) => why,
    (message, send) => {
      if (message.type === 'init_state') {
        send({ type: 'abort' });
        // An older agent tells no state: only that the request was sent is known.
        return message.state === undefined || message.state === 'idle' ? null : undefined;
      }
      return message.type === 'state' && message.state !== 'working' ? null : undefined;
    },
  );
}

/**
 * @param failed turns the reason of a failure into a result
 * @param step takes each message; a result other than undefined ends the errand
 */
function errand<T>(
  { environment, address, token }: Way,
  nodeId: string,
  failed: (why: string) => T,
  step: (message: FromAgent, send: (message: object) => void) => T | undefined,
): Promise<T> {
  return new Promise((resolve) => {
    let refusal: string | null = null;
    const socket = environment.open(address(nodeId), deltaSubprotocols(token(), null));
    const end = (result: T) => {
      cancel();
      socket.onclose = null;
      socket.onmessage = null;
      socket.close(1000);
      resolve(result);
    };
    const cancel = environment.after(ERRAND_TIMEOUT_MS, () => end(failed('The agent did not answer.')));
    socket.onmessage = ({ data }) => {
      const message = parse(data);
      if (message === null) return;
      if (typeof message.error === 'string' && !('type' in message)) {
        refusal = message.error;
        return;
      }
      const result = step(message as FromAgent, (request) => socket.send(JSON.stringify(request)));
      if (result !== undefined) end(result);
    };
    socket.onclose = () => end(failed(refusal ?? 'The connection to the agent was lost.'));
  });
}

function parse(data: unknown): { error?: unknown } | null {
  try {
    const value: unknown = JSON.parse(String(data));
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}
