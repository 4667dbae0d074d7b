/** What a page on a phone must be. */
import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';

export const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

/** Nothing is wider than the screen, targets are 44 pixels, and no input is so small that a phone zooms in. */
export async function assertFits(page: Page): Promise<void> {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0, 'nothing is wider than the screen');
  const small = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('button, a[href], select, textarea, input:not([type="file"])')].flatMap(
      (each) => {
        // What is in a label is hit by hitting the label.
        const target = each.closest('label') ?? each;
        const { width, height } = target.getBoundingClientRect();
        const isShown = width > 1 && height > 1 && each.checkVisibility();
        const inline = getComputedStyle(each).display === 'inline';
        return isShown && !inline && (height < 44 || width < 44)
          ? [`${each.outerHTML.slice(0, 120)} ${width}×${height}`]
          : [];
      },
    ),
  );
  assert.deepEqual(small, []);
  const inputs = await page.evaluate(() =>
    [...document.querySelectorAll('input:not([type="file"], [type="radio"], [type="checkbox"]), textarea, select')]
      .filter((each) => each.checkVisibility())
      .map((each) => Number.parseFloat(getComputedStyle(each).fontSize))
      .filter((size) => size < 16),
  );
  assert.deepEqual(inputs, [], 'below 16 px a phone zooms in');
}
