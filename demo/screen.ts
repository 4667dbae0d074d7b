/** Prints whole lines, and one text at a time that grows word by word. Lines wait until that text is finished. */
import { styleText } from 'node:util';

export type Style = Parameters<typeof styleText>[0];

const isColourful = process.stdout.isTTY === true && !process.env.NO_COLOR;

export function paint(style: Style, text: string): string {
  return isColourful ? styleText(style, text) : text;
}

export class Screen {
  #growing = false;
  #waiting: string[] = [];

  /** With the time before it. */
  line(text: string): void {
    const line = `${paint('dim', new Date().toTimeString().slice(0, 8))}  ${text}\n`;
    if (this.#growing) this.#waiting.push(line);
    else process.stdout.write(line);
  }

  /** Begins a line that `grow` goes on with. */
  begin(text: string): void {
    this.#growing = true;
    process.stdout.write(`${' '.repeat(10)}${text}`);
  }

  grow(text: string): void {
    process.stdout.write(text);
  }

  finish(): void {
    process.stdout.write(`\n${this.#waiting.join('')}`);
    this.#growing = false;
    this.#waiting = [];
  }
}
