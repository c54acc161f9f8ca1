// The case list. Only the visible rows and a few around them are in the DOM, however many cases there are.

const SPARE = 8;
const PRINTED = 200;

const element = (name, kind = "", text = "") => {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text) made.textContent = text;
  return made;
};

const button = (kind, text, act, label = "") => {
  const made = element("button", kind, text);
  made.type = "button";
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
};

const glyph = (word) => {
  const made = element("i", `glyph ${word}`);
  made.setAttribute("aria-hidden", "true");
  return made;
};

const oneLine = (text) => text.slice(0, 300).replace(/\s+/g, " ");

const promptTextOf = (one) => one.prompt.findLast(([role]) => role === "user")?.[1] ?? one.prompt.at(-1)?.[1] ?? "";

const cell = (kind, ...content) => {
  const made = element("span", kind);
  made.setAttribute("role", "gridcell");
  made.append(...content);
  return made;
};

class CaseList {
  constructor(parts, choose) {
    Object.assign(this, parts, { choose });
    this.cases = [];
    this.chosen = null;
    this.rows = new Map();
    this.printing = false;
    this.scroller.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.measure()).observe(this.scroller);
    this.sheet.addEventListener("click", (event) => {
      const row = event.target.closest("[data-at]");
      if (row) this.choose(this.cases[Number(row.dataset.at)], true);
    });
  }

  measure() {
    this.high = parseFloat(getComputedStyle(this.sheet).getPropertyValue("--row")) || 33;
    this.sheet.style.height = `${this.cases.length * this.high}px`;
    this.room = this.scroller.clientHeight - this.head.offsetHeight;
    this.rows.forEach((row) => row.remove());
    this.rows.clear();
    this.draw();
  }

  show(cases) {
    this.cases = cases;
    this.empty.hidden = cases.length > 0;
    this.grid.setAttribute("aria-rowcount", cases.length + 1);
    this.scroller.scrollTop = 0;
    this.measure();
  }

  later() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      this.draw();
    });
  }

  range() {
    if (this.printing) return [0, Math.min(this.cases.length, PRINTED)];
    const first = Math.floor(this.scroller.scrollTop / this.high) - SPARE;
    const last = Math.ceil((this.scroller.scrollTop + this.room) / this.high) + SPARE;
    return [Math.max(0, first), Math.min(this.cases.length, last)];
  }

  draw() {
    const [first, last] = this.range();
    for (const [at, row] of this.rows)
      if (at < first || at >= last) {
        row.remove();
        this.rows.delete(at);
      }
    const fresh = document.createDocumentFragment();
    for (let at = first; at < last; at++)
      if (!this.rows.has(at)) {
        const row = this.row(at);
        this.rows.set(at, row);
        fresh.append(row);
      }
    this.sheet.append(fresh);
    this.mark();
  }

  row(at) {
    const one = this.cases[at];
    const made = element("div", `row ${one.state}`);
    made.id = `row-${at}`;
    made.dataset.at = at;
    made.setAttribute("role", "row");
    made.setAttribute("aria-rowindex", at + 2);
    made.style.transform = `translateY(${at * this.high}px)`;
    const sample = firstFailed(one);
    const state = cell(`state word ${one.state}`, glyph(one.state), one.state);
    if (one.flip) state.append(glyph(one.flip), element("span", "unseen", one.flip));
    made.append(
      state,
      cell("id", one.id),
      cell("asked", oneLine(promptTextOf(one))),
      cell("expected", oneLine(one.expected)),
      cell("answer", oneLine(sample?.error || sample?.answer || "")),
    );
    return made;
  }

  get at() {
    return this.cases.indexOf(this.chosen);
  }

  mark() {
    const at = this.at;
    for (const [place, row] of this.rows) row.setAttribute("aria-selected", place === at);
    if (this.rows.has(at)) this.grid.setAttribute("aria-activedescendant", `row-${at}`);
    else this.grid.removeAttribute("aria-activedescendant");
  }

  // Highlight the selected case and scroll its row into view.
  choosing(one) {
    this.chosen = one;
    const at = this.at;
    if (at >= 0) {
      const top = at * this.high;
      const lowest = top - this.room + this.high;
      this.scroller.scrollTop = Math.min(Math.max(this.scroller.scrollTop, lowest), top);
    }
    this.draw();
  }

  move(step) {
    if (!this.cases.length) return;
    const at = this.at;
    const next = at < 0 ? (step > 0 ? 0 : this.cases.length - 1) : at + step;
    this.choose(this.cases[Math.min(Math.max(next, 0), this.cases.length - 1)], false);
  }

  get page() {
    return Math.max(1, Math.floor(this.room / this.high) - 1);
  }

  print(on) {
    this.printing = on;
    this.draw();
  }
}
