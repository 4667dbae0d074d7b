/** Reads pi's messages, which may be of any age and shape: no message makes it throw. */
import type { ContentPart, ImagePart, Message, Question } from '../../protocol/agent.ts';

/** Stands for a value that is no message, so that the others keep their indexes. */
export const UNREADABLE: Message = { role: 'unreadable' };

export function readMessage(value: unknown): Message {
  const readable = typeof value === 'object' && value !== null && typeof (value as Message).role === 'string';
  return readable ? (value as Message) : UNREADABLE;
}

/** @throws TypeError if it is no list */
export function readMessages(values: readonly unknown[]): Message[] {
  return values.map(readMessage);
}

/** The items of a list that are objects with texts under these names; none if it is no list. */
export function readList<Item extends object>(value: unknown, ...names: (keyof Item & string)[]): Item[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item): item is Item => {
    return typeof item === 'object' && item !== null && names.every((name) => typeof item[name] === 'string');
  });
}

export function readText(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** The question, with a text in each field that must be one. */
export function readQuestion(value: Question): Question {
  const { id, title, message, options } = value;
  return {
    ...value,
    id: String(id),
    title: String(title),
    ...(message !== undefined && { message: String(message) }),
    ...(options !== undefined && { options: Array.isArray(options) ? options.map(String) : [] }),
  };
}

/** The parts of known types, each with the fields that its type promises. */
export function contentOf(message: Message): readonly ContentPart[] {
  const { content } = message;
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
  return Array.isArray(content) ? content.filter(isPart) : [];
}

function isPart(part: unknown): part is ContentPart {
  if (typeof part !== 'object' || part === null) return false;
  const { type, text, thinking, id, name, data, mimeType } = part as Record<string, unknown>;
  switch (type) {
    case 'text':
      return typeof text === 'string';
    case 'thinking':
      return typeof thinking === 'string';
    case 'toolCall':
      return typeof id === 'string' && typeof name === 'string';
    case 'image':
      return typeof data === 'string' && typeof mimeType === 'string';
    default:
      return false;
  }
}

/** All text of a message, its parts on lines of their own. */
export function textOf(message: Message): string {
  return resultText(message.content);
}

export function resultText(content: Message['content'] | undefined): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .flatMap((part) => (part?.type === 'text' && typeof part.text === 'string' ? [part.text] : []))
    .join('\n');
}

const IMAGE_TYPES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);

/** The pictures of a message, of the types that browsers show and that can hold no script. */
export function imagesOf(content: Message['content'] | undefined): readonly ImagePart[] {
  if (!Array.isArray(content)) return [];
  return content.filter(
    (part): part is ImagePart => isPart(part) && part.type === 'image' && IMAGE_TYPES.has(part.mimeType),
  );
}

export function imageUrl({ mimeType, data }: ImagePart): string {
  return `data:${mimeType};base64,${data}`;
}
