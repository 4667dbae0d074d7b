/** An agent that cannot be reached. The message is the sentence for the client. */
export class DialError extends Error {
  constructor(sentence: string) {
    super(sentence);
    this.name = 'DialError';
  }
}
