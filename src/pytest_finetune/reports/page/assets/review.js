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

const reviewForms = (one) => {
  if (!VIEWER || !one.named) return [];
  const known = reviewOf(one) ?? { verdict: "", note: "" };
  const verdict = selectOf(Object.entries(OPINIONS), known.verdict);
  const note = textArea(known.note);
  const save = async () => {
    const saved = await send("reviews", one, { verdict: verdict.value, note: note.value });
    REVIEWS.set(reviewKey(one.set.name, one.id), saved);
    return "saved";
  };
  const review = formOf("Your verdict", [labelled("the answer is", verdict), labelled("note", note)], save, "Save");
  if (!VIEWER.sets.length || one.set.missing) return [review];
  const to = selectOf(VIEWER.sets.map((name) => [name, name]), one.set.name);
  const answer = textArea(one.expected.split("\n or ")[0]);
  const add = async () => `added as ${(await send("cases", one, { to: to.value, answer: answer.value })).id}`;
  const more = element("details", "side");
  const form = formOf("", [labelled("eval set", to), labelled("expected", answer)], add, "Add");
  more.append(element("summary", "", "add to an eval set"), form);
  return [review, more];
};
