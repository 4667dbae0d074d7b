/** How well a text fits what somebody typed. Pure. */

/**
 * All letters of the query must come in the text in order; the more of them at the beginnings of words and one after the
 * other, the better.
 *
 * @returns null if it does not fit
 */
export function fit(query: string, text: string): number | null {
  const wanted = query.toLowerCase().replace(/\s+/g, '');
  const given = text.toLowerCase();
  let score = 0;
  let at = -1;
  for (const letter of wanted) {
    const found = given.indexOf(letter, at + 1);
    if (found === -1) return null;
    if (found === at + 1) score += 3;
    else if (/[\s/._-]/.test(given[found - 1] ?? ' ')) score += 2;
    score -= Math.min(found - at, 20) / 20;
    at = found;
  }
  return score - given.length / 200;
}
