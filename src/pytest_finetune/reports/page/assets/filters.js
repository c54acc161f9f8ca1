// Which cases are shown. A case must match every kind of filter: any value of a kind, but all of the tags.

const FACETS = {
  state: { name: "verdict", values: (one) => [one.state] },
  set: { name: "set", values: (one) => [one.set.name] },
  tag: { name: "tag", values: (one) => one.tags, all: true },
  label: { name: "expected", values: (one) => (one.label ? [one.label] : []) },
  got: { name: "answer", values: (one) => one.samples.map((s) => s.got).filter(Boolean) },
  kind: { name: "format", values: (one) => one.samples.map((s) => s.kind).filter(Boolean) },
  path: { name: "path", values: (one) => one.samples.map((s) => s.path).filter(Boolean), quiet: true },
  flip: { name: "flip", values: (one) => (one.flip ? [one.flip] : []) },
  meta: { name: "metadata", values: (one) => one.meta.map(([key, value]) => `${key}=${value}`), quiet: true },
  review: { name: "person", values: (one) => [reviewOf(one)?.verdict].filter(Boolean) },
  drift: { name: "drift", values: (one) => one.drift, quiet: true },
};

// A confusion matrix cell counts attempts: one attempt must match both the expected and the answered label.
const inCell = (one, view) => {
  if (!view.label.length && !view.got.length) return true;
  return one.samples.some((s) => {
    const right = s.state === "passed" && s.got !== NO_ANSWER ? s.got : one.label;
    return (!view.label.length || view.label.includes(right)) && (!view.got.length || view.got.includes(s.got));
  });
};

// A format failure belongs to one attempt too: the same attempt must match kind and path.
const inFailure = (one, view) =>
  (!view.kind.length && !view.path.length) ||
  one.samples.some(
    (s) => (!view.kind.length || view.kind.includes(s.kind)) && (!view.path.length || view.path.includes(s.path)),
  );

const haystackOf = (one) => {
  if (one.haystack === null) {
    const prompt = one.prompt.filter(([role]) => role !== "system" && role !== "developer").map(([, text]) => text);
    const answers = one.samples.flatMap((s) => [s.answer, s.error]);
    one.haystack = [one.id, ...prompt, one.expected, ...answers, ...one.tags].join("\n").toLowerCase();
  }
  return one.haystack;
};

const matcher = (view) => {
  const text = view.q.toLowerCase();
  const kinds = ["state", "set", "tag", "flip", "meta", "review", "drift"].filter((key) => view[key].length);
  const holds = (one, key) => {
    const values = FACETS[key].values(one);
    const wanted = (value) => values.includes(value);
    return FACETS[key].all ? view[key].every(wanted) : view[key].some(wanted);
  };
  return (one) =>
    kinds.every((key) => holds(one, key)) &&
    inCell(one, view) &&
    inFailure(one, view) &&
    (!text || haystackOf(one).includes(text));
};

const ORDERS = {
  "": { name: "failures first", by: (a, b) => a.rank - b.rank },
  file: { name: "file order", by: () => 0 },
  slow: { name: "slowest first", by: (a, b) => slowest(b) - slowest(a) },
};
const slowest = (one) => Math.max(0, ...one.samples.map((s) => s.latency));

const shownCases = (model, view) =>
  model.cases.filter(matcher(view)).sort((ORDERS[view.sort] ?? ORDERS[""]).by);

const countsOf = (cases, values) => {
  const counts = new Map();
  for (const one of cases) for (const value of new Set(values(one))) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
};

const chooser = (key, label, options, act) => {
  const select = element("select", "facet");
  select.dataset.facet = key;
  select.setAttribute("aria-label", label);
  for (const [value, text] of options) {
    const option = element("option", "", text);
    option.value = value;
    select.append(option);
  }
  select.addEventListener("change", () => act(select));
  return select;
};

const facetControl = (key, counts, add) => {
  const { name } = FACETS[key];
  const sorted = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  const options = sorted.map(([value, count]) => [value, `${value} (${count.toLocaleString("en")})`]);
  return chooser(key, `Filter by ${name}`, [["", name], ...options], (select) => {
    if (select.value) add(key, select.value);
    select.value = "";
  });
};

const orderControl = (view, choose) => {
  const options = Object.entries(ORDERS).map(([key, { name }]) => [key, name]);
  const select = chooser("sort", "Order", options, () => choose(select.value));
  select.value = ORDERS[view.sort] ? view.sort : "";
  return select;
};

const drawFacets = (place, model, view, add, choose) => {
  const controls = Object.keys(FACETS)
    .filter((key) => !FACETS[key].quiet)
    .map((key) => [key, countsOf(model.cases, FACETS[key].values)])
    // A filter with the same value for all cases is useless.
    .filter(([key, counts]) => counts.size > 1 || (counts.size === 1 && key !== "set" && key !== "state"))
    .map(([key, counts]) => facetControl(key, counts, add));
  place.replaceChildren(...controls, orderControl(view, choose));
};

const drawChips = (place, view, remove, clear) => {
  const found = REPEATED.flatMap((key) => view[key].map((value) => [key, value, `${FACETS[key].name}: ${value}`]));
  if (view.q) found.push(["q", view.q, `text: ${view.q}`]);
  const chips = found.map(([key, value, text]) => {
    const chip = button("chip", text, () => remove(key, value), `Remove the filter ${text}`);
    chip.append(element("span", "cross", "×"));
    return chip;
  });
  if (chips.length > 1) chips.push(button("chip plain", "clear all", clear));
  place.hidden = !chips.length;
  place.replaceChildren(...chips);
};
