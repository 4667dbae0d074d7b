/** An agent cannot be relayed to. The message is the sentence the client will be told. */
export class DialError extends Error {
  constructor(sentence: string) {
    super(sentence);
    this.name = 'DialError';
  }
}
