// Decodes the data into objects, and reads and writes the view, which is kept only in the URL.

const DATA = JSON.parse(document.getElementById("data").textContent);
const TEXT = DATA.strings;
const STATES = ["passed", "missed", "error", "unrun", "unneeded"];
const NO_ANSWER = "(no answer)";
const REPEATED = ["set", "state", "tag", "label", "got", "kind", "path", "flip", "meta", "review", "drift"];
// Lowest first: what a reviewer should see before the rest.
const RANKS = { lost: 0, error: 1, missed: 2, unrun: 3, unneeded: 4, passed: 5 };
const WORST = ["unrun", "error", "missed", "unneeded", "passed"];

const pairs = (numbers) => {
  const found = [];
  for (let i = 0; i < numbers.length; i += 2) found.push([TEXT[numbers[i]], TEXT[numbers[i + 1]]]);
  return found;
};

const textAt = (row, place) => TEXT[row[place] ?? 0];
const numberAt = (row, place) => row[place] ?? 0;

const readSample = (s, label) => ({
  state: STATES[numberAt(s, 0)],
  answer: textAt(s, 1),
  kind: textAt(s, 2),
  path: textAt(s, 3),
  detail: textAt(s, 4),
  got: label ? textAt(s, 5) || NO_ANSWER : "",
  error: textAt(s, 6),
  latency: numberAt(s, 7),
  tokens: [numberAt(s, 8), numberAt(s, 9)],
  cached: Boolean(s[10]),
  cost: numberAt(s, 11),
  finish: textAt(s, 12),
  reasoning: textAt(s, 13),
  probability: numberAt(s, 14),
  judge: textAt(s, 15),
});

const readCase = (row, set) => {
  const label = textAt(row, 4);
  const samples = (row[7] ?? []).map((s) => readSample(s, label));
  const state = WORST.find((word) => samples.some((s) => s.state === word)) ?? "unrun";
  const flip = ["", "lost", "won"][numberAt(row, 8)];
  return {
    ...{ set, label, samples, state, flip, drift: [], haystack: null },
    id: textAt(row, 0) || "(not run)",
    named: Boolean(row[0]),
    line: numberAt(row, 1),
    prompt: pairs(row[2] ?? []),
    expected: textAt(row, 3),
    tags: (row[5] ?? []).map((n) => TEXT[n]),
    meta: pairs(row[6] ?? []),
    before: (row[9] ?? []).map((s) => readSample(s, label)),
    rank: flip === "lost" ? RANKS.lost : RANKS[state],
  };
};

const readSet = (value) => {
  const set = { name: TEXT[value.name], baseline: TEXT[value.baseline], missing: TEXT[value.missing] };
  set.cases = value.cases.map((row) => readCase(row, set));
  for (const [what, places] of value.drift) for (const place of places) set.cases[place].drift.push(TEXT[what]);
  return set;
};

const readModel = (value) => {
  const sets = value.sets.map(readSet);
  return { name: TEXT[value.model], sets, cases: sets.flatMap((set) => set.cases) };
};

const decoded = new Map();
const modelAt = (number) => {
  if (!decoded.has(number)) decoded.set(number, readModel(DATA.models[number]));
  return decoded.get(number);
};

const firstFailed = (one) => one.samples.find((s) => s.state === one.state) ?? one.samples[0];

// The key of a case in the URL; includes the set if another set has a case with the same id.
const caseKey = (one, model) =>
  model.cases.filter((other) => other.id === one.id).length > 1 ? `${one.set.name}::${one.id}` : one.id;

const findCase = (key, model) =>
  model.cases.find((one) => one.named && (one.id === key || `${one.set.name}::${one.id}` === key)) ?? null;

const readAddress = () => {
  const words = new URLSearchParams(location.hash.slice(1));
  const number = Number(words.get("m") ?? 0);
  const view = { m: DATA.models[number] ? number : 0, q: words.get("q") ?? "", sort: words.get("sort") ?? "" };
  for (const key of REPEATED) view[key] = [...new Set(words.getAll(key))];
  view.case = words.get("case");
  return view;
};

const addressOf = (view) => {
  const words = new URLSearchParams();
  if (view.m) words.set("m", view.m);
  for (const key of REPEATED) for (const value of view[key]) words.append(key, value);
  for (const key of ["q", "sort", "case"]) if (view[key]) words.set(key, view[key]);
  return `#${words}`;
};
