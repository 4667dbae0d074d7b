/** What clients ask of a session: prompts, answers, pages of its history, and what they need to write a prompt. */
import { AGENT_LIMITS, type AgentAnswer, type AgentRequest, type Attachment } from '../protocol/agent.ts';
import { AttachmentProblem, contentOf } from './attachment.ts';
import type { Client } from './audience.ts';
import { pageOf } from './history.ts';
import type { AgentHost } from './host.ts';
import { byteLength, encode } from './json.ts';
import type { Prompts } from './prompts.ts';
import type { Questions } from './questions.ts';
import { type PlainPrompt, RequestProblem, readRequest } from './request.ts';
import type { Transcript } from './transcript.ts';

const MAX_PAGE_MESSAGES = 500;

/** The parts of a session that its clients may use. */
export interface RequestsContext {
  readonly host: Pick<AgentHost, 'cwd' | 'commands' | 'isCommand' | 'listFiles'>;
  readonly prompts: Pick<Prompts, 'submit' | 'remove' | 'steer' | 'stop'>;
  readonly questions: Pick<Questions, 'answer' | 'dismiss'>;
  readonly transcript: Pick<Transcript, 'messages'>;
  /** Whether a run of pi is under way. */
  readonly runs: () => boolean;
  readonly now: () => number;
  readonly newId: () => string;
  /** Called with a fault of pi or of the extension's own. */
  readonly onFault: (error: unknown) => void;
}

type RequestOf<Type extends AgentRequest['type']> = Extract<AgentRequest, { type: Type }>;

export class Requests {
  readonly #session: RequestsContext;

  constructor(session: RequestsContext) {
    this.#session = session;
  }

  /** Performs what a client's message asks for, and answers the client. */
  receive(client: Client, text: string): void {
    try {
      this.#perform(client, readRequest(text, client.isClassic));
    } catch (error) {
      this.#refuse(client, error);
    }
  }

  #perform(client: Client, request: AgentRequest | PlainPrompt): void {
    const { host, prompts, questions } = this.#session;
    const now = this.#session.now();
    switch (request.type) {
      case 'plain_prompt':
        this.#submit(client, { id: this.#session.newId(), text: request.text });
        break;
      case 'prompt':
        this.#submit(client, request);
        break;
      case 'attach_file':
        this.#attach(client, request);
        break;
      case 'abort':
        prompts.stop(now);
        break;
      case 'queue_remove':
        sendObjection(client, request, prompts.remove(request.id));
        break;
      case 'queue_steer':
        sendObjection(client, request, prompts.steer(request.id, this.#session.runs(), now));
        break;
      case 'answer':
        sendObjection(client, request, questions.answer(request.id, request.value, request.client ?? null));
        break;
      case 'dismiss':
        this.#dismiss(client, request);
        break;
      case 'fetch_history':
        this.#answerPage(client, request);
        break;
      case 'fetch_message':
        this.#answerMessage(client, request);
        break;
      case 'list_commands':
        answer(client, { type: 'commands_list', commands: host.commands() });
        break;
      case 'list_files':
        void this.#answerFiles(client, request);
        break;
    }
  }

  #submit(client: Client, request: Omit<RequestOf<'prompt'>, 'type'>): void {
    const { id, text, attachments = [], deliver = 'followUp' } = request;
    const { host, prompts, runs, now } = this.#session;
    if (text.trim() === '' && attachments.length === 0) {
      // pi should not get a prompt without text. Classic clients know no message that says so.
      sendObjection(client, { type: 'prompt', id }, 'A prompt needs text, or a file');
      return;
    }
    const prompt = {
      id,
      text: text.trim() === '' ? attachments.map(({ filename }) => filename).join(', ') : text,
      content: contentOf(text, attachments),
      deliver,
      attachments: attachments.length,
      client: request.client ?? null,
      isCommand: attachments.length === 0 && host.isCommand(text),
    };
    const known = prompts.submit(prompt, runs(), now());
    if (known !== null) answer(client, { type: 'prompt_status', ...known });
  }

  #attach(client: Client, { filename, content, mimeType }: RequestOf<'attach_file'>): void {
    try {
      const attachment: Attachment = { filename, data: content };
      if (mimeType !== undefined) attachment.mimeType = mimeType;
      this.#submit(client, { id: this.#session.newId(), text: '', attachments: [attachment] });
      answer(client, { type: 'attach_file_ack', filename, success: true });
    } catch (error) {
      if (!(error instanceof AttachmentProblem)) throw error;
      answer(client, { type: 'attach_file_ack', filename, success: false, error: error.message });
    }
  }

  #dismiss(client: Client, request: RequestOf<'dismiss'>): void {
    const { prompts, questions, now } = this.#session;
    const outcome = questions.dismiss(request.id, request.client ?? null);
    if (typeof outcome === 'string' || !('dismissed' in outcome)) sendObjection(client, request, outcome);
    else if (outcome.dismissed.dismissStops) prompts.stop(now());
  }

  #answerPage(client: Client, { before, limit }: RequestOf<'fetch_history'>): void {
    const { json, oldestIndex } = pageOf(
      this.#session.transcript.messages,
      before,
      Math.min(limit, MAX_PAGE_MESSAGES),
      AGENT_LIMITS.snapshotBytes - 100,
    );
    const hasMore = oldestIndex > 0;
    client.send(`{"type":"history_page","messages":${json},"hasMore":${hasMore},"oldestIndex":${oldestIndex}}`);
  }

  #answerMessage(client: Client, { type, index }: RequestOf<'fetch_message'>): void {
    const message = this.#session.transcript.messages[index];
    const text = encode({ type: 'message', index, message });
    if (message === undefined) {
      answer(client, { type: 'error', request: type, id: index, error: 'There is no such message' });
    } else if (byteLength(text) > AGENT_LIMITS.messageBytes) {
      answer(client, { type: 'error', request: type, id: index, error: 'The message is too large' });
    } else {
      client.send(text);
    }
  }

  async #answerFiles(client: Client, { prefix }: RequestOf<'list_files'>): Promise<void> {
    const { host, onFault } = this.#session;
    try {
      const files = await host.listFiles(prefix ?? '');
      answer(client, { type: 'files_list', files, cwd: host.cwd, ...(prefix === undefined ? {} : { prefix }) });
    } catch (error) {
      onFault(error);
    }
  }

  #refuse(client: Client, error: unknown): void {
    const isExpected = error instanceof RequestProblem || error instanceof AttachmentProblem;
    if (!isExpected) this.#session.onFault(error);
    if (client.isClassic) return;
    const refusal: AgentAnswer = { type: 'error', error: isExpected ? error.message : 'pi could not do that' };
    if (error instanceof RequestProblem) {
      refusal.request = error.request;
      if (error.id !== undefined) refusal.id = error.id;
    }
    answer(client, refusal);
  }
}

function answer(client: Client, message: AgentAnswer): void {
  client.send(encode(message));
}

/** Sends the client the reason why its request failed, or the earlier decision, if there is either. */
function sendObjection(
  client: Client,
  { type, id }: { type: string; id: string },
  objection: string | AgentAnswer | null,
): void {
  if (objection === null || client.isClassic) return;
  answer(client, typeof objection === 'string' ? { type: 'error', request: type, id, error: objection } : objection);
}
