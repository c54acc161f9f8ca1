// Wires everything together: the URL decides what is shown, and every control changes the URL.

const byId = (id) => document.getElementById(id);
const grid = byId("grid");
const search = byId("search");
const detail = byId("detail");
const help = byId("help");

let view = readAddress();
let model = modelAt(view.m);
let chosen = null;

const list = new CaseList(
  { grid, scroller: grid, head: byId("head"), sheet: byId("sheet"), empty: byId("empty") },
  (one, open) => choose(one, open),
);

const remember = () => history.replaceState(null, "", addressOf(view));

const reading = (on) => document.body.classList.toggle("reading", on);

function choose(one, open) {
  chosen = one;
  view.case = one?.named ? caseKey(one, model) : null;
  remember();
  present(one);
  if (open) {
    reading(true);
    if (getComputedStyle(detail).position === "fixed") detail.focus();
  }
}

function back() {
  reading(false);
  grid.focus({ preventScroll: true });
}

function drawCount(cases) {
  byId("count").textContent = `${cases.length.toLocaleString("en")} of ${model.cases.length.toLocaleString("en")}`;
}

function filter() {
  const cases = shownCases(model, view);
  drawCount(cases);
  drawChips(byId("chips"), view, remove, clear);
  list.show(cases);
  // A case is always open: the first of the list unless one was selected.
  if (view.case === null) chosen = cases[0] ?? null;
  present(chosen);
}

// A review was saved: the filter by person has new values, and the list follows where it is in use.
function reviewed(one) {
  drawFacets(byId("facets"), model, view, add, (sort) => change({ sort }));
  if (!view.review.length) return;
  const cases = shownCases(model, view);
  const top = grid.scrollTop;
  drawCount(cases);
  list.show(cases);
  grid.scrollTop = top;
  list.choosing(one);
}

function present(one) {
  list.choosing(one);
  drawDetail(detail, one, model, view, back, (by) => list.move(by));
}

const change = (changes) => {
  view = { ...view, ...changes };
  remember();
  filter();
};

const add = (key, value) => change({ [key]: [...new Set([...view[key], value])] });

const remove = (key, value) => {
  if (key === "q") search.value = "";
  change(key === "q" ? { q: "" } : { [key]: view[key].filter((other) => other !== value) });
};

const clear = () => {
  search.value = "";
  change({ q: "", ...Object.fromEntries(REPEATED.map((key) => [key, []])) });
};

const isFiltered = () => view.q !== "" || REPEATED.some((key) => view[key].length);

function showModel() {
  model = modelAt(view.m);
  for (const article of document.querySelectorAll("[data-model]")) {
    article.hidden = Number(article.dataset.model) !== view.m;
    if (!article.hidden) {
      document.title = article.dataset.title;
      drawFlips(article, model, view.m);
    }
  }
  for (const link of document.querySelectorAll("[data-model-link]"))
    link.setAttribute("aria-current", Number(link.dataset.modelLink) === view.m ? "page" : "false");
  drawFacets(byId("facets"), model, view, add, (sort) => change({ sort }));
}

// The URL changed: a link, a bookmark, the back button.
function follow() {
  view = readAddress();
  search.value = view.q;
  showModel();
  chosen = view.case === null ? null : findCase(view.case, model);
  // A link to a case that is not in this run leads to the list.
  if (!chosen) view.case = null;
  filter();
  reading(view.case !== null);
}

search.addEventListener("input", () => change({ q: search.value.trim() }));
window.addEventListener("hashchange", follow);

for (const fold of document.querySelectorAll(".fold"))
  fold.addEventListener("click", () => {
    const rows = byId(fold.getAttribute("aria-controls"));
    rows.hidden = !rows.hidden;
    fold.setAttribute("aria-expanded", !rows.hidden);
  });

document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (!link || event.defaultPrevented || link.dataset.modelLink) return;
  if (link.dataset.to) {
    event.preventDefault();
    grid.focus();
  }
  if (!detail.contains(link)) byId("cases").scrollIntoView({ block: "start" });
});

const THEMES = { "": ["◐ auto", "system default"], light: ["○ light", "light"], dark: ["● dark", "dark"] };

const showTheme = () => {
  const [text, name] = THEMES[document.documentElement.dataset.theme ?? ""];
  byId("theme").textContent = text;
  byId("theme").setAttribute("aria-label", `${text}, colours: ${name}`);
};

const nextTheme = () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length];
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  try {
    localStorage.setItem("finetune-theme", next);
  } catch {
    // A page opened from disk may have no storage; the choice is then lost when it closes.
  }
  showTheme();
};

byId("theme").addEventListener("click", nextTheme);
byId("help-open").addEventListener("click", () => help.showModal());

const escape = () => {
  if (document.body.classList.contains("reading")) back();
  else if (document.activeElement === search && search.value) remove("q");
  else if (document.activeElement === search) grid.focus({ preventScroll: true });
  else if (isFiltered()) clear();
};

const KEYS = {
  j: () => list.move(1),
  ArrowDown: () => list.move(1),
  k: () => list.move(-1),
  ArrowUp: () => list.move(-1),
  PageDown: () => list.move(list.page),
  PageUp: () => list.move(-list.page),
  Home: () => list.move(-Infinity),
  End: () => list.move(Infinity),
  Enter: () => chosen && (choose(chosen, true), detail.focus()),
  "/": () => (search.focus(), search.select()),
  "?": () => help.showModal(),
  t: nextTheme,
  Escape: escape,
};
const EVERYWHERE = new Set(["j", "k", "/", "?", "t", "Escape"]);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const typing = event.target.matches("input, select, textarea");
  if (typing && event.key !== "Escape" && !(event.target === search && event.key === "ArrowDown")) return;
  // Arrows, Enter and similar keys belong to the focused element, unless that is the list.
  if (!KEYS[event.key] || (!EVERYWHERE.has(event.key) && event.target !== grid && !typing && event.target !== document.body)) return;
  if (event.key === "Enter" && event.target !== grid) return;
  if (["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End"].includes(event.key) && event.target === document.body) return;
  event.preventDefault();
  if (typing && event.key === "ArrowDown") grid.focus({ preventScroll: true });
  KEYS[event.key]();
});

window.addEventListener("beforeprint", () => {
  list.print(true);
  const left = list.cases.length - PRINTED;
  byId("unprinted").hidden = left <= 0;
  byId("unprinted").textContent = `${left.toLocaleString("en")} more cases are not printed; open the page to see them.`;
});
window.addEventListener("afterprint", () => list.print(false));

showTheme();
follow();
document.documentElement.dataset.ready = "yes";
if (view.case || isFiltered()) byId("cases").scrollIntoView({ block: "start" });
