// One case in full, and the flips side by side. Texts are inserted as text nodes, never as HTML.

const FLIPS_SHOWN = 4;

const SPACES = { " ": "·", "\t": "⇥\t", "\n": "↵\n" };

// White space on its own is invisible, also on a coloured ground.
const seen = (text) => (/^\s+$/.test(text) ? text.replace(/[ \t\n]/g, (space) => SPACES[space]) : text);

const marked = (parts, kind) => {
  const made = element("pre", "text");
  made.dir = "auto";
  for (const [text, changed] of parts) made.append(changed ? element("mark", kind, seen(text)) : text);
  return made;
};

const plain = (text) => marked([[text || "(empty)", false]]);

const titled = (title, ...content) => {
  const made = element("div", "side");
  const head = element("h4");
  head.append(...[title].flat());
  made.append(head, ...content);
  return made;
};

const sides = (left, right) => {
  const made = element("div", "sides");
  made.append(left, right);
  return made;
};

const legendOf = (left, right) => {
  const made = element("p", "legend");
  made.append(element("mark", "left", `only ${left}`), " ", element("mark", "right", `only ${right}`));
  return made;
};

// Two texts side by side with their differences highlighted, unless they have next to nothing in common.
const compared = (leftTitle, left, rightTitle, right, legend = ["expected", "got"]) => {
  const diff = DATA.redacted || left === right ? null : diffOf(left, right);
  const alike = diff && sharedPart(diff[0]) * 5 > Math.min(left.length, right.length);
  if (!alike) return sides(titled(leftTitle, plain(left)), titled(rightTitle, plain(right)));
  const made = element("div");
  made.append(sides(titled(leftTitle, marked(diff[0], "left")), titled(rightTitle, marked(diff[1], "right"))), legendOf(...legend));
  return made;
};

// With several accepted answers, the answer is compared with the most similar one.
const closest = (expected, answer) => {
  const choices = expected.split("\n or ").slice(0, 8);
  if (choices.length < 2) return expected;
  return choices.map((text) => [sharedPart(diffOf(text, answer)[0]) / (text.length + 1), text]).sort((a, b) => b[0] - a[0])[0][1];
};

const wordOf = (word, text = word) => {
  const made = element("span", `word ${word}`);
  made.append(glyph(word), text);
  return made;
};

const answerOf = (s) => s.error || s.answer;

const factsOf = (s) => {
  const facts = [];
  if (s.latency) facts.push(s.latency < 1 ? `${Math.round(s.latency * 1000)} ms` : `${s.latency.toFixed(1)} s`);
  if (s.tokens[0] || s.tokens[1]) facts.push(`${s.tokens.map((n) => n.toLocaleString("en")).join(" + ")} tokens`);
  if (s.cost) facts.push(`$${s.cost.toPrecision(2)}`);
  if (s.probability) facts.push(`probability ${(s.probability * 100).toFixed(1)} %`);
  if (s.cached) facts.push("from cache");
  if (s.finish) facts.push(`finish: ${s.finish}`);
  return element("p", "quiet", facts.join(" · "));
};

const reasonOf = (s) => {
  const made = element("p", "reason");
  if (s.kind) made.append(element("b", "", s.path ? `${s.kind} at ${s.path}` : s.kind));
  if (s.detail) made.append(s.kind ? `: ${s.detail}` : s.detail);
  return made;
};

const foldedOf = (name, text) => {
  const made = element("details", "side");
  made.append(element("summary", "", `${name}: ${oneLine(text).slice(0, 90)}…`), plain(text));
  return made;
};

const promptOf = (one) =>
  one.prompt.map(([role, text]) => {
    const long = (role === "system" || role === "developer" || role === "tools") && text.length > 160;
    if (!long) return titled(role, plain(text));
    return foldedOf(role, text);
  });

const attemptOf = (one, s, number) => {
  const made = element("div", "attempt");
  if (one.samples.length > 1) {
    const head = element("h4", "", `attempt ${number + 1} `);
    head.append(wordOf(s.state));
    made.append(head);
  }
  if (s.state === "unrun" || s.state === "unneeded") return made.append(plain("(not run)")), made;
  if (s.state === "missed" && one.expected)
    made.append(compared("expected", closest(one.expected, s.answer), "got", s.answer));
  else if (one.expected && s.state === "error") made.append(sides(titled("expected", plain(one.expected)), titled("error", plain(s.error))));
  else made.append(titled(s.error ? "error" : one.expected === s.answer ? "answer, as expected" : "answer", plain(answerOf(s))));
  if (s.state === "passed" && one.expected && one.expected !== s.answer) made.append(titled("expected", plain(one.expected)));
  if (s.error && s.answer) made.append(titled("answer", plain(s.answer)));
  if (s.kind || s.detail) made.append(reasonOf(s));
  if (s.reasoning) made.append(foldedOf("reasoning", s.reasoning));
  if (s.judge) made.append(foldedOf("judge", s.judge));
  made.append(factsOf(s));
  return made;
};

// A case flips as a whole; show the attempt that did not pass next to the same attempt of the other run.
const flippedPair = (one) => {
  const side = one.flip === "lost" ? one.samples : one.before;
  const at = Math.max(0, side.findIndex((s) => s.state !== "passed"));
  return [one.before[at] ?? one.before[0], one.samples[at] ?? one.samples[0]];
};

const flipOf = (one) => {
  const [before, after] = flippedPair(one);
  return compared(
    ["baseline ", wordOf(before.state)], answerOf(before),
    ["this model ", wordOf(after.state)], answerOf(after),
    ["baseline", "this model"],
  );
};

const tagsOf = (one, view) => {
  const made = element("p", "tags");
  for (const tag of one.tags) {
    const link = element("a", "tag", tag);
    link.href = addressOf({ ...view, tag: [tag], case: null });
    made.append(link);
  }
  for (const [key, value] of one.meta) made.append(element("span", "tag", `${key}: ${value}`));
  return made;
};

const drawDetail = (place, one, model, view, back, step) => {
  if (!one) {
    place.replaceChildren(element("p", "quiet", model.cases.length ? "Select a case: click it, or press j or k." : "No cases."));
    return;
  }
  const head = element("div", "detail-head");
  const close = button("back", "← list", back);
  const moves = [button("step", "‹", () => step(-1), "Previous case"), button("step", "›", () => step(1), "Next case")];
  const title = element("h3");
  const link = element("a", "id", one.id);
  link.href = addressOf({ ...view, case: caseKey(one, model) });
  title.append(link);
  head.append(close, wordOf(one.state), ...(one.flip ? [wordOf(one.flip)] : []), ...moves);
  const where = element("p", "quiet", one.line ? `${one.set.name}:${one.line}` : one.set.name);
  const body = [head, title, where, tagsOf(one, view)];
  if (one.set.missing) body.push(element("p", "note", `No prompt: ${one.set.missing}.`));
  body.push(...promptOf(one));
  if (one.flip) body.push(element("h4", "over", one.flip === "lost" ? "lost against the baseline" : "won against the baseline"), flipOf(one));
  const passed = one.samples.filter((s) => s.state === "passed").length;
  if (one.samples.length > 1) body.push(element("p", "quiet", `${passed} of ${one.samples.length} attempts passed`));
  body.push(...one.samples.map((s, number) => attemptOf(one, s, number)));
  body.push(...reviewForms(one));
  place.replaceChildren(...body);
  place.scrollTop = 0;
};

const drawFlips = (article, model, number) => {
  for (const place of article.querySelectorAll("[data-flips]")) {
    const set = model.sets.find((other) => other.name === place.dataset.set);
    const flips = set.cases.filter((one) => one.flip).sort((a, b) => (a.flip > b.flip) - (a.flip < b.flip));
    place.replaceChildren(
      ...flips.slice(0, FLIPS_SHOWN).map((one) => {
        const made = element("div", "flip");
        const head = element("h3", "flip-head");
        const link = element("a", "id", one.id);
        link.href = addressOf({ ...readAddress(), m: number, set: [set.name], flip: [one.flip], case: caseKey(one, model) });
        head.append(wordOf(one.flip), link, element("span", "quiet", oneLine(promptTextOf(one)).slice(0, 120)));
        made.append(head, flipOf(one));
        return made;
      }),
    );
    if (flips.length > FLIPS_SHOWN)
      place.append(element("p", "quiet", `${(flips.length - FLIPS_SHOWN).toLocaleString("en")} more in the list`));
  }
};
