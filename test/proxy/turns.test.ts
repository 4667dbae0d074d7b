import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Turn, Turns } from '../../src/proxy/turns.ts';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** Notes who has begun, in order. */
class Line {
  readonly turns: Turns;
  readonly begun: string[] = [];
  readonly #turns = new Map<string, Turn>();

  constructor(maxDials: number, maxDialsPerAddress: number) {
    this.turns = new Turns({ maxDials, maxDialsPerAddress });
  }

  come(...names: string[]): void {
    for (const name of names)
      this.#turns.set(
        name,
        this.turns.wait(name.slice(0, 1), () => void this.begun.push(name)),
      );
  }

  end(...names: string[]): void {
    for (const name of names) this.#turns.get(name)?.end();
  }

  async settle(): Promise<string[]> {
    for (let i = 0; i < 20; i++) await nextTurn();
    return this.begun.splice(0);
  }
}

describe('turns', () => {
  test('begin in the order they came, not within the call', async () => {
    const line = new Line(10, 10);
    line.come('a1', 'a2', 'a3');
    assert.deepEqual(line.begun, []);
    assert.deepEqual(await line.settle(), ['a1', 'a2', 'a3']);
    assert.equal(line.turns.dialling, 3);
  });

  test('addresses are served one after the other, however many wait at one of them', async () => {
    const line = new Line(10, 10);
    line.come('a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1');
    assert.deepEqual(await line.settle(), ['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4']);
  });

  test('the turns of one address have a bound, and hold up no other address', async () => {
    const line = new Line(10, 2);
    line.come('a1', 'a2', 'a3', 'a4', 'b1');
    assert.deepEqual(await line.settle(), ['a1', 'b1', 'a2']);
    line.end('a2');
    line.come('b2');
    assert.deepEqual(await line.settle(), ['a3', 'b2']);
    line.end('a1', 'a3');
    assert.deepEqual(await line.settle(), ['a4']);
  });

  test('all together have a bound', async () => {
    const line = new Line(3, 2);
    line.come('a1', 'a2', 'b1', 'b2', 'c1', 'c2');
    assert.deepEqual(await line.settle(), ['a1', 'b1', 'c1']);
    assert.equal(line.turns.dialling, 3);
    line.end('b1');
    assert.deepEqual(await line.settle(), ['a2']);
    line.end('a1', 'a2', 'c1');
    assert.deepEqual(await line.settle(), ['b2', 'c2']);
    line.end('b2', 'c2');
    assert.equal(line.turns.dialling, 0);
    assert.deepEqual(await line.settle(), []);
  });

  test('one that ends while it waits never begins, and ending twice frees one place', async () => {
    const line = new Line(1, 1);
    line.come('a1', 'a2', 'a3', 'b1');
    line.end('a1', 'a1', 'b1');
    assert.deepEqual(await line.settle(), ['a2']);
    line.end('a2', 'a2', 'a2');
    assert.equal(line.turns.dialling, 0);
    line.come('a4');
    assert.deepEqual(await line.settle(), ['a3']);
    assert.equal(line.turns.dialling, 1);
  });

  test('of very many only some begin in one turn of the event loop: what has come meanwhile is heard first', async () => {
    const line = new Line(1000, 1000);
    line.come(...Array.from({ length: 100 }, (_, i) => `a${i}`));
    await nextTurn();
    const first = line.begun.length;
    assert.ok(first > 0 && first < 50, `${first}`);
    line.end(...Array.from({ length: 100 }, (_, i) => `a${i}`));
    assert.equal((await line.settle()).length, first, 'the others have left');
    assert.equal(line.turns.dialling, 0);
  });

  test('a turn may end within its begin', async () => {
    const turns = new Turns({ maxDials: 1, maxDialsPerAddress: 1 });
    let begun = 0;
    for (let i = 0; i < 5; i++) {
      const turn = turns.wait('a', () => {
        begun++;
        turn.end();
      });
    }
    for (let i = 0; i < 10; i++) await nextTurn();
    assert.equal(begun, 5);
    assert.equal(turns.dialling, 0);
  });
});
