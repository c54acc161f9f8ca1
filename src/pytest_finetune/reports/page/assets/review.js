// In the viewer only: what a person says about a case, kept with the run, and new lines of eval sets.

const VIEWER = DATA.viewer ?? null;
const OPINIONS = { "": "no verdict", right: "right", wrong: "wrong", unclear: "unclear" };
const reviewKey = (set, id) => `${set}::${id}`;
const REVIEWS = new Map(
  (VIEWER?.reviews ?? []).map(([set, id, verdict, note]) => [reviewKey(set, id), { verdict, note }]),
);

const reviewOf = (one) => REVIEWS.get(reviewKey(one.set.name, one.id));

const send = async (what, one, value) => {
  const body = JSON.stringify({ eval_set: one.set.name, case: one.id, ...value });
  const response = await fetch(`${VIEWER.address}/${what}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body,
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
};

const labelled = (text, control) => {
  const made = element("label", "", text);
  made.append(control);
  return made;
};

const selectOf = (values, chosen) => {
  const select = element("select");
  for (const [value, text] of values) {
    const option = element("option", "", text);
    option.value = value;
    option.selected = value === chosen;
    select.append(option);
  }
  return select;
};

const textArea = (text) => {
  const area = element("textarea");
  area.value = text;
  area.rows = 2;
  return area;
};

const formOf = (title, controls, act, act_name) => {
  const form = element("form", "review");
  const result = element("output");
  const go = element("button", "", act_name);
  form.append(element("h4", "", title), ...controls, go, result);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      result.textContent = await act();
    } catch (error) {
      result.textContent = error.message;
    }
    go.disabled = false;
  });
  return form;
};

// What the answers of a set look like decides how a right one is entered.
const answerControl = (set, text) => {
  if (set.kind !== "label") {
    const area = textArea(text);
    if (set.kind !== "text") area.spellcheck = false;
    area.rows = Math.min(12, Math.max(2, text.split("\n").length));
    return area;
  }
  return selectOf(set.labels.map((label) => [label, label]), text.trim());
};

const KINDS = { label: "label", json: "JSON value", tool_call: "calls, as a JSON list", text: "expected" };

const askFor = async (one) => {
  const words = new URLSearchParams({ eval_set: one.set.name, case: one.id });
  const response = await fetch(`${VIEWER.address}/cases?${words}`);
  if (!response.ok) throw new Error("the case cannot be read: reload the page");
  return response.json();
};

const addForm = (one) => {
  const setOf = (name) => VIEWER.sets.find((set) => set.name === name) ?? VIEWER.sets[0];
  const to = selectOf(VIEWER.sets.map(({ name }) => [name, name]), one.set.name);
  const place = element("div");
  let known = { expected: "", answer: "" };
  let control = null;
  const enter = (text) => {
    const set = setOf(to.value);
    control = answerControl(set, text);
    place.replaceChildren(labelled(KINDS[set.kind], control));
  };
  const take = button("plain", "take the model's answer", () => enter(known.answer));
  const add = async () => `added as ${(await send("cases", one, { to: to.value, answer: control.value })).id}`;
  to.addEventListener("change", () => enter(control.value));
  const form = formOf("", [labelled("eval set", to), place, take], add, "Add");
  const more = element("details", "side");
  more.append(element("summary", "", "add to an eval set"), form);
  more.addEventListener("toggle", async () => {
    if (!more.open || control) return;
    enter("");
    try {
      known = await askFor(one);
      take.hidden = !known.answer;
      enter(known.expected);
      more.dataset.ready = "yes";
    } catch (error) {
      form.querySelector("output").textContent = error.message;
    }
  });
  return more;
};

const reviewForms = (one) => {
  if (!VIEWER || !one.named) return [];
  const known = reviewOf(one) ?? { verdict: "", note: "" };
  const verdict = selectOf(Object.entries(OPINIONS), known.verdict);
  const note = textArea(known.note);
  const save = async () => {
    const saved = await send("reviews", one, { verdict: verdict.value, note: note.value });
    REVIEWS.set(reviewKey(one.set.name, one.id), saved);
    reviewed(one);
    return "saved";
  };
  const review = formOf("Your verdict", [labelled("the answer is", verdict), labelled("note", note)], save, "Save");
  return VIEWER.sets.length && !one.set.missing ? [review, addForm(one)] : [review];
};
