/* The case browser: filter, page, choose, compare. Texts enter the page as text, never as markup. */
(() => {
  "use strict";
  const home = document.querySelector("[data-browser]");
  const data = JSON.parse(document.getElementById("case-data").textContent);
  const at = Object.fromEntries(data.fields.map((name, i) => [name, i]));
  const { strings, cells, rows, page: size } = data;
  const STATES = ["correct", "wrong", "degenerate", "abstain", "invalid", "unjudged"];
  const form = home.querySelector("form");
  const body = home.querySelector("[data-rows]");
  const detail = home.querySelector("[data-detail]");
  const found = home.querySelector("[data-found]");
  const where = home.querySelector("[data-where]");
  const resting = [...detail.childNodes];

  const text = (row, field) => strings[row[at[field]]];
  const cell = (row) => cells[row[at.cell]];
  const verdicts = (row) => row[at.verdicts].map(([judge, state, score, why, raw]) =>
    ({ judge: strings[judge], state: strings[state], score, why: strings[why], raw: strings[raw] }));
  const state = (row) => (row[at.verdicts].length ? strings[row[at.verdicts][0][1]] : "unjudged");
  const states = rows.map(state);
  const lower = strings.map((s) => s.toLowerCase());

  function make(tag, options = {}, ...children) {
    const el = document.createElement(tag);
    for (const [key, value] of Object.entries(options)) {
      if (key === "class") el.className = value;
      else if (key === "on") for (const [event, run] of Object.entries(value)) el.addEventListener(event, run);
      else if (value !== undefined && value !== null) el.setAttribute(key, value);
    }
    el.append(...children.filter((c) => c !== null && c !== undefined));
    return el;
  }

  /* The same question elsewhere, and what follows from comparing. */
  const asked = (row) => `${row[at.case]}|${row[at.probe]}`;
  const together = new Map();
  rows.forEach((row, i) => {
    const key = asked(row);
    if (!together.has(key)) together.set(key, []);
    together.get(key).push(i);
  });
  const wins = new Set();
  rows.forEach((row, i) => {
    const c = cell(row);
    if (c.family === "synthetic" && states[i] === "correct") wins.add(`${asked(row)}|${c.method}|${c.setting}`);
  });
  const lenses = {
    lost: (row, i) => cell(row).family === "wild" && states[i] !== "correct" && !text(row, "aspect").startsWith("locality")
      && wins.has(`${asked(row)}|${cell(row).method}|${cell(row).setting}`),
    moved: (row, i) => text(row, "aspect").startsWith("locality") && states[i] !== "correct",
    same: (row) => text(row, "answer") !== "" && text(row, "answer").trim() === text(row, "base").trim(),
    split: (row) => new Set(row[at.verdicts].map((v) => v[1])).size > 1,
    errors: (row) => row[at.error] !== 0,
  };

  /* Filters. */
  const choices = { method: (r) => cell(r).method, protocol: (r) => cell(r).protocol, setting: (r) => cell(r).setting, aspect: (r) => text(r, "aspect") };
  for (const [name, read] of Object.entries(choices)) {
    const select = form.elements[name];
    select.append(new Option("All", ""));
    const values = new Set(rows.map(read));
    if (name === "aspect") for (const value of [...values]) values.add(value.split("/")[0]);
    const options = name === "aspect" ? [...values].sort() : values;
    for (const value of options) select.append(new Option(value, value));
    if (select.options.length === 2) select.parentElement.hidden = true;
  }
  const several = form.elements.setting.options.length > 2;
  const chips = new Map();
  for (const name of STATES.filter((s) => states.includes(s))) {
    const count = make("span", { class: "c" });
    const chip = make("button", { type: "button", class: "chip", "aria-pressed": "false" }, name, count);
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      refresh();
    });
    chips.set(name, { chip, count });
    form.querySelector(".states").append(chip);
  }
  const chosenStates = () => [...chips].filter(([, c]) => c.chip.getAttribute("aria-pressed") === "true").map(([n]) => n);

  let shown = [];
  let page = 0;
  let current = -1;

  function matches() {
    const wanted = Object.fromEntries(Object.keys(choices).map((n) => [n, form.elements[n].value]));
    const lens = lenses[form.elements.lens.value];
    const words = form.elements.text.value.trim().toLowerCase();
    const hits = words ? new Set(lower.flatMap((s, i) => (s.includes(words) ? [i] : []))) : null;
    const searched = ["prompt", "answer", "base", "case", "probe", "error"].map((f) => at[f]);
    return rows.flatMap((row, i) => {
      for (const [name, read] of Object.entries(choices)) {
        if (wanted[name] && read(row) !== wanted[name] && !(name === "aspect" && read(row).startsWith(`${wanted[name]}/`))) return [];
      }
      if (lens && !lens(row, i)) return [];
      if (hits && !searched.some((f) => hits.has(row[f])) && !row[at.accepted].some((a) => hits.has(a))
        && !row[at.verdicts].some((v) => hits.has(v[3]))) return [];
      return [i];
    });
  }

  function refresh() {
    const before = matches();
    const only = chosenStates();
    for (const [name, c] of chips) c.count.textContent = before.filter((i) => states[i] === name).length.toLocaleString("en");
    shown = only.length ? before.filter((i) => only.includes(states[i])) : before;
    page = 0;
    render();
  }

  function badge(name) { return make("span", { class: `verdict ${STATES.includes(name) ? name : ""}` }, name); }

  function render() {
    const start = page * size;
    const part = shown.slice(start, start + size);
    body.replaceChildren(...part.map((i) => {
      const row = rows[i];
      const open = make("button", { type: "button", class: "open", "data-row": i, tabindex: "-1" },
        make("span", { class: "q" }, text(row, "question").replace(/\s+/g, " ")),
        make("span", { class: "a" }, text(row, "answer").trim() || text(row, "error") || "no answer"));
      return make("tr", { class: i === current ? "on" : "", "data-row": i },
        make("td", {}, badge(states[i])),
        make("th", { scope: "row" }, make("span", { class: "m" }, cell(row).method), make("span", { class: "p" }, cell(row).protocol), several ? make("span", { class: "p" }, cell(row).setting) : null),
        make("td", {}, open));
    }));
    const focusable = body.querySelector(`button[data-row="${current}"]`) || body.querySelector("button");
    if (focusable) focusable.tabIndex = 0;
    found.textContent = shown.length === rows.length ? `${rows.length.toLocaleString("en")} answers`
      : `${shown.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} answers`;
    where.textContent = shown.length ? `${(start + 1).toLocaleString("en")}–${(start + part.length).toLocaleString("en")}` : "none";
    home.querySelector('[data-page="-1"]').disabled = page === 0;
    home.querySelector('[data-page="1"]').disabled = start + size >= shown.length;
  }

  function choose(i, focus) {
    current = i;
    const place = shown.indexOf(i);
    if (place >= 0 && Math.floor(place / size) !== page) { page = Math.floor(place / size); render(); }
    body.querySelectorAll("tr").forEach((tr) => tr.classList.toggle("on", Number(tr.dataset.row) === i));
    body.querySelectorAll("button").forEach((b) => { b.tabIndex = Number(b.dataset.row) === i ? 0 : -1; b.removeAttribute("aria-current"); });
    const button = body.querySelector(`button[data-row="${i}"]`);
    if (button) {
      button.setAttribute("aria-current", "true");
      if (focus) { button.focus({ preventScroll: true }); button.closest("tr").scrollIntoView({ block: "nearest" }); }
    }
    tell(i);
    try { history.replaceState(null, "", `#case=${encodeURIComponent(rows[i][at.key])}`); } catch { /* some hosts forbid it */ }
  }

  function close() {
    current = -1;
    detail.classList.remove("open");
    detail.replaceChildren(...resting);
    body.querySelectorAll("tr.on").forEach((tr) => tr.classList.remove("on"));
  }

  /* One answer in full. */
  function marked(value, accepted) {
    const low = value.toLowerCase();
    const spans = accepted.map((a) => a.toLowerCase()).filter(Boolean).flatMap((a) => {
      const start = low.indexOf(a);
      return start < 0 ? [] : [[start, start + a.length]];
    }).sort((a, b) => a[0] - b[0] || b[1] - a[1]);
    const parts = [];
    let done = 0;
    for (const [start, end] of spans) {
      if (start < done) continue;
      parts.push(value.slice(done, start), make("mark", {}, value.slice(start, end)));
      done = end;
    }
    parts.push(value.slice(done));
    return parts;
  }

  const stops = { eos: "stopped by itself", stop: "stop rule", length: "cut at the length limit", forced: "answer fed" };

  function tell(i) {
    const row = rows[i];
    const c = cell(row);
    const accepted = row[at.accepted].map((a) => strings[a]);
    const judged = verdicts(row);
    const answer = text(row, "answer").trim();
    const base = text(row, "base").trim();
    const forced = text(row, "stop") === "forced";
    const parts = [
      make("h3", {}, c.method, badge(states[i]), make("button", { type: "button", class: "close", "aria-label": "Close", on: { click: close } }, "✕")),
      make("p", { class: "where" }, [c.protocol, c.setting, text(row, "aspect"), text(row, "case"), text(row, "probe")].join(" · ")),
      make("h4", {}, "Prompt as sent"),
      make("pre", { tabindex: "0" }, text(row, "prompt")),
      make("h4", {}, forced ? "Most likely words while the answer is fed" : "Answer"),
      make("div", { class: "turn" },
        make("div", { class: "answer" }, make("span", { class: "lab" }, "before"), ...marked(base || "not asked", accepted)),
        make("div", { class: `answer after ${states[i]}` },
          make("span", { class: "lab" }, make("span", {}, answer && answer === base ? "after · unchanged" : "after"), make("span", {}, stops[text(row, "stop")] || text(row, "stop"))),
          ...marked(answer || text(row, "error") || "no answer", accepted))),
      make("h4", {}, accepted.length ? "Counts as right" : "Counts as right: the base model's own answer"),
      accepted.length ? make("ul", { class: "accepted" }, ...accepted.map((a) => make("li", {}, a))) : null,
      make("h4", {}, "Verdicts"),
      judged.length ? make("table", {},
        make("thead", {}, make("tr", {}, ...["Judge", "Verdict", "Score", "Why"].map((h) => make("th", { scope: "col" }, h)))),
        make("tbody", {}, ...judged.map((v) => make("tr", {}, make("th", { scope: "row" }, v.judge), make("td", {}, badge(v.state)),
          make("td", {}, v.score === null ? "none" : String(Number(v.score.toFixed(3)))),
          make("td", {}, v.why, v.raw ? make("details", {}, make("summary", {}, "what was judged, or the judge's reply"), make("pre", {}, v.raw)) : null)))))
        : make("p", { class: "where" }, "No verdict."),
    ];
    if (row[at.choices].length) {
      parts.push(make("h4", {}, "Likelihood of the choices"), make("table", {},
        make("thead", {}, make("tr", {}, ...["Choice", "Log-probability", "Tokens"].map((h) => make("th", { scope: "col" }, h)))),
        make("tbody", {}, ...row[at.choices].map(([s, logprob, n]) => make("tr", {}, make("th", { scope: "row" }, strings[s]),
          make("td", {}, logprob.toFixed(2)), make("td", {}, String(n)))))));
    }
    const others = together.get(asked(row));
    if (others.length > 1) {
      const settings = new Set(others.map((j) => cell(rows[j]).setting)).size > 1;
      parts.push(make("h4", {}, "The same question elsewhere"), make("table", { class: "else" },
        make("tbody", {}, ...others.map((j) => {
          const d = cell(rows[j]);
          const label = `${d.method} · ${d.protocol}`;
          return make("tr", { class: j === i ? "here" : "" },
            make("th", { scope: "row" }, j === i ? label : make("button", { type: "button", on: { click: () => { choose(j, false); detail.focus({ preventScroll: true }); } } }, label),
              settings ? make("span", { class: "p where" }, make("br"), d.setting) : null),
            make("td", {}, badge(states[j])), make("td", { class: "ans", title: text(rows[j], "answer").trim() }, text(rows[j], "answer").trim() || "no answer"));
        }))));
    }
    detail.replaceChildren(...parts.filter(Boolean));
    detail.scrollTop = 0;
    detail.classList.add("open");
  }

  /* Hands: mouse, keys, links from the tables. */
  function step(by) {
    if (!shown.length) return;
    const place = shown.indexOf(current);
    const next = place < 0 ? (by > 0 ? page * size : 0) : Math.min(shown.length - 1, Math.max(0, place + by));
    choose(shown[next], true);
  }
  body.addEventListener("click", (event) => {
    const tr = event.target.closest("tr");
    if (!tr) return;
    choose(Number(tr.dataset.row), false);
    if (event.detail === 0) detail.focus({ preventScroll: true });
  });
  home.querySelectorAll("[data-page]").forEach((button) => button.addEventListener("click", () => { page += Number(button.dataset.page); render(); }));
  form.addEventListener("input", refresh);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { chips.forEach(({ chip }) => chip.setAttribute("aria-pressed", "false")); refresh(); }));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (event.key === "Escape") {
      if (typing) document.activeElement.blur();
      else if (current >= 0) { const b = body.querySelector(`button[data-row="${current}"]`); close(); if (b) b.focus({ preventScroll: true }); }
      return;
    }
    if (typing) return;
    const inList = body.contains(document.activeElement);
    if (event.key === "/") { event.preventDefault(); form.elements.text.focus(); form.elements.text.scrollIntoView({ block: "center" }); }
    else if (event.key === "j" || (event.key === "ArrowDown" && inList)) { event.preventDefault(); step(1); }
    else if (event.key === "k" || (event.key === "ArrowUp" && inList)) { event.preventDefault(); step(-1); }
    else if (event.key === "Home" && inList) { event.preventDefault(); choose(shown[0], true); }
    else if (event.key === "End" && inList) { event.preventDefault(); choose(shown[shown.length - 1], true); }
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-show]");
    if (!link) return;
    form.reset();
    chips.forEach(({ chip }) => chip.setAttribute("aria-pressed", "false"));
    for (const [name, value] of Object.entries(JSON.parse(link.dataset.show))) {
      const select = form.elements[name];
      if (select && [...select.options].some((o) => o.value === value)) select.value = value;
    }
    setTimeout(refresh);
  });

  refresh();
  const asks = /^#case=(.+)$/.exec(location.hash);
  if (asks) {
    const key = decodeURIComponent(asks[1]);
    const i = rows.findIndex((row) => row[at.key] === key);
    if (i >= 0) { choose(i, false); home.scrollIntoView(); }
  }
})();
