/* A review sheet: one question at a time, by keys or by hand. Texts enter the page as text. */
(() => {
  "use strict";
  const sheet = JSON.parse(document.getElementById("sheet").textContent);
  const find = (name) => document.querySelector(`[data-${name}]`);
  const PAIR = [["first", "A"], ["same", "Same"], ["second", "B"], ["cannot tell", "Cannot tell"]];
  const choices = sheet.compares ? PAIR : sheet.labels.map((label) => [label, label]);
  const units = sheet.items.flatMap((item, at) =>
    (sheet.compares ? [item.id] : item.answers.map((answer) => answer.id)).map((id) => ({ id, at })));
  const known = new Set(units.map((unit) => unit.id));
  const labels = new Set(choices.map(([label]) => label));

  /* What was decided before, on this sheet and in this browser. */
  const place = `truing-review-${sheet.sheet}`;
  const state = { name: "", unit: 0, decisions: {} };
  try {
    const kept = JSON.parse(localStorage.getItem(place)) ?? {};
    if (typeof kept.name === "string") state.name = kept.name;
    if (Number.isInteger(kept.unit) && units[kept.unit]) state.unit = kept.unit;
    for (const [id, label] of Object.entries(kept.decisions ?? {})) {
      if (known.has(id) && labels.has(label)) state.decisions[id] = label;
    }
  } catch { /* a page without storage forgets */ }
  function keep() {
    try { localStorage.setItem(place, JSON.stringify(state)); } catch { /* as above */ }
  }

  function make(tag, options = {}, ...children) {
    const el = document.createElement(tag);
    for (const [key, value] of Object.entries(options)) {
      if (key === "click") el.addEventListener("click", value);
      else el.setAttribute(key, value);
    }
    el.append(...children);
    return el;
  }

  const item = () => sheet.items[units[state.unit].at];
  const count = () => Object.keys(state.decisions).length;
  const letter = (i) => (i < 26 ? String.fromCharCode(65 + i) : String(i + 1));

  function buttons(id) {
    return choices.map(([label, said], i) => {
      const key = i < 9 ? [make("kbd", {}, String(i + 1)), " "] : [];
      return make("button", {
        type: "button", "data-label": label, "aria-pressed": String(state.decisions[id] === label),
        click: () => { go(units.findIndex((unit) => unit.id === id)); decide(label); },
      }, ...key, said);
    });
  }

  function draw() {
    const { id, at } = units[state.unit];
    const { question, accepted, answers } = item();
    find("where").textContent = `Question ${at + 1} of ${sheet.items.length}`;
    find("question").textContent = question;
    find("accepted").replaceChildren(...accepted.map((text) => make("li", {}, text)));
    find("accepted").hidden = !accepted.length;
    find("answers").classList.toggle("pair", sheet.compares);
    find("answers").replaceChildren(...answers.map((answer, i) => {
      const text = make("p", { class: "text" }, answer.text || "(no text)");
      text.classList.toggle("nothing", !answer.text);
      const own = sheet.compares ? [] : [make("div", { class: "choices" }, ...buttons(answer.id))];
      const card = make("section", { class: "answer", role: "group", "aria-label": `Answer ${letter(i)}`, "data-answer": answer.id },
        make("span", { class: "letter", "aria-hidden": "true" }, letter(i)), text, ...own);
      card.classList.toggle("here", !sheet.compares && answer.id === id);
      return card;
    }));
    find("together").hidden = !sheet.compares;
    find("together").replaceChildren(...(sheet.compares ? buttons(id) : []));
    find("back").disabled = at === 0;
    find("next").disabled = at === sheet.items.length - 1;
    tell();
  }

  function tell() {
    const whole = units.length;
    find("decided").textContent = `${count()} of ${whole} decided`;
    const bar = find("progress");
    bar.setAttribute("aria-valuemax", whole);
    bar.setAttribute("aria-valuenow", count());
    bar.firstElementChild.style.width = `${(100 * count()) / whole}%`;
    find("done").hidden = count() < whole;
    find("open").disabled = count() === whole;
  }

  function go(unit) {
    if (unit < 0 || unit >= units.length) return;
    const turned = units[unit].at !== units[state.unit].at;
    state.unit = unit;
    keep();
    draw();
    if (turned) scrollTo(0, 0);
    else document.querySelector(".answer.here")?.scrollIntoView({ block: "nearest" });
  }

  function decide(label) {
    const { id } = units[state.unit];
    if (state.decisions[id] === label) {
      delete state.decisions[id];
      keep();
      draw();
    } else {
      const fresh = !(id in state.decisions);
      state.decisions[id] = label;
      keep();
      if (fresh && state.unit + 1 < units.length) go(state.unit + 1);
      else draw();
    }
  }

  const step = (by) => go(units.findIndex((unit) => unit.at === units[state.unit].at + by));
  function open() {
    const later = [...units.keys()].map((i) => (state.unit + i) % units.length);
    const next = later.find((i) => !(units[i].id in state.decisions));
    if (next !== undefined) go(next);
  }

  function save() {
    const field = find("name");
    field.classList.toggle("wanted", !state.name);
    if (!state.name) { field.focus(); return; }
    const text = JSON.stringify({
      format: 1, sheet: sheet.sheet, annotator: state.name, date: new Date().toISOString(), decisions: state.decisions,
    }, null, 1);
    const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const safe = state.name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-");
    make("a", { href: address, download: `review-${sheet.sheet}-${safe}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  }

  find("name").value = state.name;
  find("name").addEventListener("input", (event) => {
    event.target.value = event.target.value.replace(/[/:]/g, "");
    state.name = event.target.value.trim();
    event.target.classList.remove("wanted");
    keep();
  });
  find("save").addEventListener("click", save);
  find("back").addEventListener("click", () => step(-1));
  find("next").addEventListener("click", () => step(1));
  find("open").addEventListener("click", open);
  find("clear").addEventListener("click", () => {
    if (!confirm("Forget every decision on this sheet?")) return;
    state.decisions = {};
    go(0);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    const number = Number(event.key);
    const moves = {
      ArrowLeft: () => step(-1), ArrowRight: () => step(1), n: open, N: open,
      ArrowUp: () => go(state.unit - 1), ArrowDown: () => go(state.unit + 1),
    };
    if (Number.isInteger(number) && number >= 1 && number <= choices.length) decide(choices[number - 1][0]);
    else if (moves[event.key]) moves[event.key]();
    else return;
    event.preventDefault();
  });
  choices.forEach(([, said], i) => {
    find("keys").append(make("kbd", {}, String(i + 1)), ` ${said}   `);
  });
  find("main").hidden = false;
  draw();
})();
