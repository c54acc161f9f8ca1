// Word-by-word diff of two texts, with limits so that no answer can freeze the page.

const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{M}\p{N}_]+|\s+|[^]/gu;
const MOST_PAIRS = 1_000_000;
const MOST_BRACKETS = 1_000;

const wordsOf = (text) => text.match(WORD) ?? [];

// Length of the longest common subsequence of a[i:] and b[j:] for all i and j, in one flat table.
const commonLengths = (a, b) => {
  const wide = b.length + 1;
  const table = new Uint32Array((a.length + 1) * wide);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      table[i * wide + j] =
        a[i] === b[j]
          ? table[(i + 1) * wide + j + 1] + 1
          : Math.max(table[(i + 1) * wide + j], table[i * wide + j + 1]);
  return table;
};

const push = (parts, text, changed) => {
  const last = parts.at(-1);
  if (last && last[1] === changed) last[0] += text;
  else if (text) parts.push([text, changed]);
};

// Returns both sides as lists of [text, changed].
const wordDiff = (before, after) => {
  let [a, b] = [wordsOf(before), wordsOf(after)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const head = a.slice(0, start).join("");
  const tail = end ? a.slice(-end).join("") : "";
  a = a.slice(start, a.length - end);
  b = b.slice(start, b.length - end);
  const [left, right] = [[], []];
  for (const side of [left, right]) push(side, head, false);
  let [i, j] = [0, 0];
  if (a.length * b.length <= MOST_PAIRS) {
    const table = commonLengths(a, b);
    const wide = b.length + 1;
    while (i < a.length && j < b.length) {
      if (a[i] === b[j]) {
        push(left, a[i++], false);
        push(right, b[j++], false);
      } else if (table[(i + 1) * wide + j] >= table[i * wide + j + 1]) push(left, a[i++], true);
      else push(right, b[j++], true);
    }
  }
  push(left, a.slice(i).join(""), true);
  push(right, b.slice(j).join(""), true);
  for (const side of [left, right]) push(side, tail, false);
  return [left, right];
};

const sharedPart = (parts) => parts.reduce((sum, [text, changed]) => sum + (changed ? 0 : text.length), 0);

// JSON is laid out alike on both sides, so that white space and key order make no difference.
const parsed = (text) => {
  // Deeply nested JSON would overflow the stack.
  if ((text.match(/[[{]/g) ?? []).length > MOST_BRACKETS) return undefined;
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" ? value : undefined;
  } catch {
    return undefined;
  }
};

const laidOut = (value, like) => {
  if (Array.isArray(value)) return value.map((item, i) => laidOut(item, Array.isArray(like) ? like[i] : undefined));
  if (value === null || typeof value !== "object") return value;
  const known = like !== null && typeof like === "object" ? Object.keys(like) : [];
  // An object without a prototype: the keys are the model's, and one of them may be "__proto__".
  const laid = Object.create(null);
  for (const key of new Set([...known, ...Object.keys(value)]))
    if (Object.hasOwn(value, key)) laid[key] = laidOut(value[key], like?.[key]);
  return laid;
};

const diffOf = (before, after) => {
  const [a, b] = [parsed(before), parsed(after)];
  if (a === undefined || b === undefined) return wordDiff(before, after);
  return wordDiff(JSON.stringify(a, null, 1), JSON.stringify(laidOut(b, a), null, 1));
};
