/** Our own reading of heads, made to tell its outcome. */
import { HttpError } from '../../src/http/error.ts';
import {
  HandshakeError,
  readUpgradeRequest,
  readUpgradeResponse,
  type UpgradeRequest,
} from '../../src/http/handshake.ts';
import { HeadAccumulator } from '../../src/http/head-accumulator.ts';
import { parseRequestHead, parseResponseHead, type RequestHead, type ResponseHead } from '../../src/http/message.ts';
import { type HeadInput, OFFER } from './head-inputs.ts';

export type Read<Head, Handshake> =
  | { kind: 'head'; head: Head; bytes: string; rest: string; handshake: Handshake | HttpError | HandshakeError }
  | { kind: 'refused'; error: HttpError }
  | { kind: 'incomplete' };

export type RequestRead = Read<RequestHead, UpgradeRequest>;
export type ResponseRead = Read<ResponseHead, ReturnType<typeof readUpgradeResponse>>;

/** @throws what is no HttpError */
export function readRequest(input: HeadInput, chunks: readonly Buffer[]): RequestRead {
  return read('request', input, chunks, parseRequestHead, readUpgradeRequest);
}

/** @throws what is neither an HttpError nor a HandshakeError */
export function readResponse(input: HeadInput, chunks: readonly Buffer[]): ResponseRead {
  return read('response', input, chunks, parseResponseHead, (head) => readUpgradeResponse(head, OFFER));
}

function read<Head, Handshake>(
  kind: 'request' | 'response',
  { maxHeadBytes, maxHeadFields }: HeadInput,
  chunks: readonly Buffer[],
  parse: (head: Buffer, maxFields: number) => Head,
  shakeHands: (head: Head) => Handshake,
): Read<Head, Handshake> {
  const accumulator = new HeadAccumulator(maxHeadBytes, kind);
  try {
    for (const [i, chunk] of chunks.entries()) {
      const complete = accumulator.push(chunk);
      if (complete === null) continue;
      const head = parse(complete.head, maxHeadFields);
      const rest = Buffer.concat([complete.rest, ...chunks.slice(i + 1)]).toString('latin1');
      const bytes = complete.head.toString('latin1');
      return { kind: 'head', head, bytes, rest, handshake: attempt(() => shakeHands(head)) };
    }
    return { kind: 'incomplete' };
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    return { kind: 'refused', error };
  }
}

function attempt<T>(act: () => T): T | HttpError | HandshakeError {
  try {
    return act();
  } catch (error) {
    if (error instanceof HttpError || error instanceof HandshakeError) return error;
    throw error;
  }
}

/** All there is to it, in one line: equal for equal outcomes, for what a head says depends on its bytes alone. */
export function tell(outcome: RequestRead | ResponseRead): string {
  switch (outcome.kind) {
    case 'head': {
      const { bytes, rest, handshake } = outcome;
      const said = handshake instanceof Error ? `${handshake.name} ${handshake.message}` : handshake;
      return JSON.stringify([bytes, rest, said]);
    }
    case 'refused':
      return `refused with ${outcome.error.status} ${outcome.error.message}`;
    default:
      return outcome.kind;
  }
}
