/** A client's message → a request, checked field by field, or a prompt if the text is no request. Pure. */
import { AGENT_LIMITS, type AgentRequest, type Attachment } from '../protocol/agent.ts';
import { byteLength, parseObject } from './json.ts';

/** A prompt sent as plain text. */
export interface PlainPrompt {
  type: 'plain_prompt';
  text: string;
}

/** An invalid request. The message is the sentence for the sender. */
export class RequestProblem extends Error {
  /** The type of the request. */
  readonly request: string;
  readonly id: string | number | undefined;

  constructor(sentence: string, request: string, id?: string | number) {
    super(sentence);
    this.name = 'RequestProblem';
    this.request = request;
    this.id = id;
  }
}

/**
 * Reads a client's message.
 *
 * @param isClassic whether the client knows only the classic requests; all its other messages are prompts
 * @throws RequestProblem if a field of the request is invalid, or its type is unknown
 */
export function readRequest(text: string, isClassic: boolean): AgentRequest | PlainPrompt {
  const value = parseObject(text);
  if (value === null || typeof value.type !== 'string') return { type: 'plain_prompt', text };
  const fields = new Fields(value.type, value);
  const request = readClassic(fields);
  if (request !== null) return request;
  if (isClassic) return { type: 'plain_prompt', text };
  return readNewer(fields);
}

function readClassic(fields: Fields): AgentRequest | null {
  switch (fields.type) {
    case 'abort':
    case 'list_commands':
      return { type: fields.type };
    case 'fetch_history':
      return { type: 'fetch_history', before: fields.count('before'), limit: fields.count('limit') };
    case 'list_files': {
      const prefix = fields.optionalText('prefix');
      return prefix === undefined ? { type: 'list_files' } : { type: 'list_files', prefix };
    }
    case 'attach_file': {
      const filename = fields.text('filename');
      const mimeType = fields.optionalText('mimeType');
      const request = { type: 'attach_file' as const, filename, content: fields.text('content') };
      return mimeType === undefined ? request : { ...request, mimeType };
    }
    default:
      return null;
  }
}

function readNewer(fields: Fields): AgentRequest {
  switch (fields.type) {
    case 'prompt': {
      const request: AgentRequest = { type: 'prompt', id: fields.id(), text: fields.text('text') };
      const attachments = fields.attachments();
      if (attachments.length > 0) request.attachments = attachments;
      const deliver = fields.optionalText('deliver');
      if (deliver === 'steer' || deliver === 'followUp') request.deliver = deliver;
      else if (deliver !== undefined) fields.refuse('deliver must be steer or followUp');
      return { ...request, ...fields.client() };
    }
    case 'queue_remove':
    case 'queue_steer':
      return { type: fields.type, id: fields.id() };
    case 'answer': {
      const value = fields.get('value');
      if (typeof value !== 'string' && typeof value !== 'boolean') fields.refuse('value must be a string or a boolean');
      return { type: 'answer', id: fields.id(), value: value as string | boolean, ...fields.client() };
    }
    case 'dismiss':
      return { type: 'dismiss', id: fields.id(), ...fields.client() };
    case 'fetch_message':
      return { type: 'fetch_message', index: fields.count('index') };
    default:
      return fields.refuse(`There is no request of the type ${fields.type.slice(0, 64)}`);
  }
}

class Fields {
  readonly type: string;
  readonly #value: Record<string, unknown>;

  constructor(type: string, value: Record<string, unknown>) {
    this.type = type;
    this.#value = value;
  }

  get(name: string): unknown {
    return Object.hasOwn(this.#value, name) ? this.#value[name] : undefined;
  }

  text(name: string): string {
    const value = this.get(name);
    return typeof value === 'string' ? value : this.refuse(`${name} must be a string`);
  }

  optionalText(name: string): string | undefined {
    const value = this.get(name);
    return value === undefined || value === null ? undefined : this.text(name);
  }

  count(name: string): number {
    const value = this.get(name);
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
      ? value
      : this.refuse(`${name} must be a whole number`);
  }

  id(): string {
    const id = this.text('id');
    if (id === '' || byteLength(id) > AGENT_LIMITS.idBytes) {
      this.refuse(`id must have 1 to ${AGENT_LIMITS.idBytes} bytes`);
    }
    return id;
  }

  client(): { client?: string } {
    const client = this.optionalText('client');
    if (client === undefined || client === '') return {};
    if (byteLength(client) > AGENT_LIMITS.idBytes) this.refuse(`client has at most ${AGENT_LIMITS.idBytes} bytes`);
    return { client };
  }

  attachments(): Attachment[] {
    const value = this.get('attachments');
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value) || value.length > 32) this.refuse('attachments must be a list of at most 32 files');
    return (value as unknown[]).map((element) => {
      if (typeof element !== 'object' || element === null) this.refuse('attachments must be objects');
      const fields = new Fields(this.type, element as Record<string, unknown>);
      const attachment: Attachment = { filename: fields.text('filename'), data: fields.text('data') };
      const mimeType = fields.optionalText('mimeType');
      return mimeType === undefined ? attachment : { ...attachment, mimeType };
    });
  }

  refuse(sentence: string): never {
    const id = this.get('id') ?? this.get('index');
    throw new RequestProblem(sentence, this.type, typeof id === 'string' || typeof id === 'number' ? id : undefined);
  }
}
