/** A client that talks to an agent through the relay. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { type AgentEvent, type AgentRequest, textOf } from './language.ts';

export class Conversation {
  readonly #socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  /** @throws Error with the daemon's sentence if there is no relay to the agent */
  static async open(relayUrl: string): Promise<Conversation> {
    const socket = new WebSocket(relayUrl);
    const [payload] = await Promise.race([
      once(socket, 'message'),
      once(socket, 'close').then(([code]) => Promise.reject(new Error(`the connection ended (${code})`))),
    ]);
    // An error after this is followed by 'close', which `ask` waits for.
    socket.on('error', () => {});
    // An agent's first message is its init_state. The daemon itself sends a message only if it cannot reach the agent: an error.
    const { error } = JSON.parse(String(payload)) as { error?: string };
    if (error !== undefined) throw new Error(error);
    return new Conversation(socket);
  }

  /**
   * Sends a prompt, and waits until it is answered.
   *
   * @param onText hears each new piece of the answer
   * @throws Error if the connection ends first
   */
  async ask(prompt: string, onText: (text: string) => void): Promise<void> {
    const socket = this.#socket;
    let shown = 0;
    let spoken = false;
    // The agent may still have to answer the prompt of another client.
    let begun = false;
    await new Promise<void>((resolve, reject) => {
      const onMessage = (payload: unknown) => {
        const event = JSON.parse(String(payload)) as AgentEvent;
        if (!('message' in event)) return;
        if (event.message.role === 'user') begun = textOf(event.message) === prompt;
        if (event.message.role !== 'assistant' || !begun) return;
        // Every update repeats the message from its beginning.
        const text = textOf(event.message);
        if (event.type === 'message_start') shown = 0;
        // One message after another: what is said before a tool runs, and after.
        if (text.length > shown) onText((shown === 0 && spoken ? ' ' : '') + text.slice(shown));
        spoken ||= text.length > 0;
        shown = text.length;
        if (event.type === 'message_end' && event.message.stopReason !== 'toolUse') end();
      };
      const onClose = (code: number) => end(new Error(`the connection ended (${code})`));
      const end = (error?: Error) => {
        socket.off('message', onMessage).off('close', onClose);
        if (error === undefined) resolve();
        else reject(error);
      };
      socket.on('message', onMessage).on('close', onClose);
      if (socket.readyState === WebSocket.OPEN) socket.send(prompt);
      else onClose(1006);
    });
  }

  /** Asks the agent to stop answering. */
  abort(): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    const request: AgentRequest = { type: 'abort' };
    this.#socket.send(JSON.stringify(request));
  }

  close(): void {
    this.#socket.close();
  }
}
