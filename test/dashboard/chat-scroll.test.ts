import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  AT_BOTTOM,
  BOTTOM_PX,
  follow,
  onMessages,
  onScrolled,
  onUpward,
  place,
  type Scroll,
} from '../../src/dashboard/chat/scroll.ts';

const at = (top: number, height = 2000, viewHeight = 500) => ({ top, height, viewHeight });
const row = { key: 'm7', offset: -20 };
const reading: Scroll = { mode: 'reading', anchor: row, unseen: 0, top: 900 };

describe('following', () => {
  it('scrolls to the bottom as the content grows, and leaves it if it is there', () => {
    assert.equal(place(AT_BOTTOM, at(1500, 2100), null, null).to, 1600);
    assert.equal(place(AT_BOTTOM, at(1500), null, null).to, null);
    assert.equal(place(AT_BOTTOM, at(0, 300), null, null).to, null, 'shorter than the view');
  });

  it('ends at the first sign of going up, before anything has scrolled', () => {
    const scroll = onUpward(AT_BOTTOM, row, at(1500));
    assert.deepEqual([scroll.mode, scroll.anchor], ['reading', row]);
    assert.equal(place(scroll, at(1500, 5000), row.offset, null).to, null, 'growth below moves nothing');
  });

  it('goes on if there is nothing above to go to', () => {
    assert.equal(onUpward(AT_BOTTOM, row, at(0, 400)).mode, 'following');
  });

  it('ends with a scroll upward without a gesture, beyond the bottom zone', () => {
    const scroll = { ...AT_BOTTOM, top: 1500 };
    assert.equal(onScrolled(scroll, row, at(1500 - BOTTOM_PX)).mode, 'following');
    assert.equal(onScrolled(scroll, row, at(1500 - BOTTOM_PX - 1)).mode, 'reading');
  });

  it('goes on when the content shrinks under it', () => {
    assert.equal(onScrolled({ ...AT_BOTTOM, top: 1500 }, row, at(1200, 1700)).mode, 'following');
  });
});

describe('reading', () => {
  it('begins to follow when scrolled down to within the bottom zone, on both sides of its edge', () => {
    assert.equal(onScrolled(reading, row, at(1500 - BOTTOM_PX)).mode, 'following');
    assert.equal(onScrolled(reading, row, at(1500 - BOTTOM_PX - 1)).mode, 'reading');
  });

  it('does not begin to follow by going up within that zone, nor by standing there', () => {
    const scroll = onUpward({ ...AT_BOTTOM, top: 1500 }, row, at(1500));
    assert.equal(onScrolled(scroll, row, at(1490)).mode, 'reading');
    assert.equal(onScrolled({ ...scroll, top: 1490 }, row, at(1490)).mode, 'reading');
  });

  it('follows at the very bottom, however it was reached', () => {
    assert.equal(onScrolled({ ...reading, top: 1600 }, row, at(1500)).mode, 'following');
  });

  it('keeps the row in sight where it is when something comes in above', () => {
    const { scroll, to } = place(reading, at(900, 3000), row.offset + 1000, null);
    assert.equal(to, 1900);
    assert.equal(onScrolled(scroll, row, at(1900, 3000)).mode, 'reading');
    assert.equal(place(reading, at(900, 3000), row.offset, null).to, null, 'below');
    assert.equal(place(reading, at(900, 1900), row.offset - 100, null).to, 800, 'shrinks above');
    assert.equal(place(reading, at(900, 3000), null, null).to, null, 'the row is gone');
  });

  it('counts new messages until it follows again', () => {
    const scroll = onMessages(onMessages(reading, 1), 2);
    assert.equal(scroll.unseen, 3);
    assert.equal(onMessages(AT_BOTTOM, 2).unseen, 0);
    assert.deepEqual([follow(scroll).mode, follow(scroll).unseen], ['following', 0]);
    assert.equal(onScrolled(scroll, row, at(1500)).unseen, 0);
  });
});

describe('the start of the answer, as a choice', () => {
  it('stops following once the first line reaches the top', () => {
    const answer = (offset: number) => ({ key: 'm9', offset });
    assert.equal(place(AT_BOTTOM, at(1500, 2100), null, answer(150)).to, 1600, 'not yet there');
    const { scroll, to } = place(AT_BOTTOM, at(1500, 2100), null, answer(60));
    assert.equal(to, 1560);
    assert.deepEqual([scroll.mode, scroll.anchor], ['reading', { key: 'm9', offset: 0 }]);
  });
});
