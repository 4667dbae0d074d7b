import { splitList } from './grammar.ts';

/** The fields of a head. Names are case-insensitive. Any name is safe to ask for, even `__proto__`. */
export class Fields {
  readonly #values = new Map<string, string[]>();

  constructor(entries: Iterable<readonly [name: string, value: string]> = []) {
    for (const [name, value] of entries) {
      const key = name.toLowerCase();
      const values = this.#values.get(key);
      if (values === undefined) this.#values.set(key, [value]);
      else values.push(value);
    }
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase());
  }

  /** The values of all field lines of that name, in order. */
  all(name: string): readonly string[] {
    return this.#values.get(name.toLowerCase()) ?? [];
  }

  /**
   * The combined field value: the values of all its lines "concatenated in order, with each field line value separated
   * by a comma" (RFC 9110, section 5.2).
   */
  get(name: string): string | undefined {
    return this.#values.get(name.toLowerCase())?.join(', ');
  }

  /** The elements of a field that is a comma-separated list, from all its field lines. */
  list(name: string): string[] {
    return this.all(name).flatMap(splitList);
  }
}
