/**
 * The history of a session: the entries that pi stores → messages, and pages of them with a bounded size.
 *
 * A message that is too large by itself is cut: its texts are shortened, and `cut` says how to fetch the whole message.
 */
import type { Message } from '../protocol/agent.ts';
import { byteLength, encode, fits } from './json.ts';
import type { PiEntry } from './pi.ts';

/** A message larger than this is cut, so that a few large messages do not fill a page. */
export const MAX_MESSAGE_BYTES = 100_000;

/** The messages for people, without the system prompt. */
export function messagesOf(entries: readonly PiEntry[]): Message[] {
  const messages: Message[] = [];
  for (const entry of entries) {
    const message = messageOf(entry);
    if (message !== null && isForPeople(message)) messages.push(message);
  }
  return messages;
}

/** Whether a message is for people. Newer pis have the system prompt in the conversation. */
export function isForPeople({ role }: Message): boolean {
  return role !== 'system';
}

function messageOf(entry: PiEntry): Message | null {
  const timestamp = Date.parse(entry.timestamp ?? '') || 0;
  switch (entry.type) {
    case 'message':
      return entry.message ?? null;
    case 'compaction':
      return summaryMessage('compactionSummary', entry, timestamp);
    case 'branch_summary':
      return entry.summary ? summaryMessage('branchSummary', entry, timestamp) : null;
    case 'custom_message': {
      const { customType, content, display, details } = entry;
      const message: Message = { role: 'custom', timestamp };
      if (customType !== undefined) message.customType = customType;
      if (content !== undefined) message.content = content;
      if (display !== undefined) message.display = display;
      if (details !== undefined) message.details = details;
      return message;
    }
    default:
      return null;
  }
}

function summaryMessage(role: string, { summary = '' }: PiEntry, timestamp: number): Message {
  return { role, summary, timestamp };
}

/** A range of messages as JSON. */
export interface Page {
  /** A JSON array. */
  json: string;
  /** The index of the first message. */
  oldestIndex: number;
}

/**
 * The last messages before `end`, as many as fit, oldest first.
 *
 * @param limit the largest number of messages
 * @param maxBytes the largest size of `json`; it should have room for a message of MAX_MESSAGE_BYTES
 */
export function pageOf(messages: readonly Message[], end: number, limit: number, maxBytes: number): Page {
  const page: string[] = [];
  let bytes = 2;
  let index = Math.min(end, messages.length);
  while (index > 0 && page.length < limit) {
    const json = encodeMessage(messages[index - 1] as Message, index - 1, MAX_MESSAGE_BYTES);
    bytes += byteLength(json) + 1;
    if (bytes > maxBytes) break;
    page.push(json);
    index--;
  }
  return { json: `[${page.reverse().join(',')}]`, oldestIndex: index };
}

/** @returns the message as JSON of at most `maxBytes` bytes, cut if necessary; `maxBytes` must be at least 1 KB */
export function encodeMessage(message: Message, index: number, maxBytes: number): string {
  const json = encode(message);
  return fits(json, maxBytes) ? json : encode(cutMessage(message, index, byteLength(json), maxBytes));
}

/** Like `encodeMessage`, but not encoded. */
export function fitMessage(message: Message, index: number, maxBytes: number): Message {
  const json = encode(message);
  return fits(json, maxBytes) ? message : cutMessage(message, index, byteLength(json), maxBytes);
}

function cutMessage(message: Message, index: number, bytes: number, maxBytes: number): Message {
  const cut = { index, bytes };
  for (const keep of [32_768, 8192, 1024, 128]) {
    const shortened = { ...(shorten(message, keep, 0) as Message), cut };
    if (fits(encode(shortened), maxBytes)) return shortened;
  }
  return { role: message.role.slice(0, 64), cut };
}

/** The most elements of an array and fields of an object that a cut message keeps. */
const MAX_ELEMENTS = 256;
const MAX_DEPTH = 16;

/**
 * Copies a value and shortens its texts to `keep`. A picture that is too large is left out, because it cannot be cut.
 */
function shorten(value: unknown, keep: number, depth: number): unknown {
  if (typeof value === 'string') return value.length <= keep ? value : `${value.slice(0, keep)}…`;
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? String(value) : value;
  if (depth === MAX_DEPTH) return undefined;
  if (Array.isArray(value)) return value.slice(0, MAX_ELEMENTS).map((element) => shorten(element, keep, depth + 1));
  const { type, data } = value as { type?: unknown; data?: unknown };
  const isPicture = type === 'image' && typeof data === 'string' && data.length > keep;
  const fields = Object.entries(value).slice(0, MAX_ELEMENTS);
  return Object.fromEntries(
    fields.map(([name, field]) => [name, isPicture && name === 'data' ? '' : shorten(field, keep, depth + 1)]),
  );
}
