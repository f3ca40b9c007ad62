/* Theme, contents and figures. The page reads without this file. */
(() => {
  "use strict";
  const root = document.documentElement;

  /* Theme: auto, light, dark. */
  const toggle = document.querySelector("[data-theme-toggle]");
  const name = document.querySelector("[data-theme-name]");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const modes = ["auto", "light", "dark"];
  const memory = {
    get() { try { return localStorage.getItem("truing-theme"); } catch { return null; } },
    set(mode) { try { localStorage.setItem("truing-theme", mode); } catch { /* a page without storage forgets */ } },
  };
  let mode = modes.includes(memory.get()) ? memory.get() : "auto";
  const look = () => (mode === "auto" ? (system.matches ? "dark" : "light") : mode);

  function wear() {
    if (mode === "auto") delete root.dataset.theme; else root.dataset.theme = mode;
    name.textContent = mode[0].toUpperCase() + mode.slice(1);
    document.querySelectorAll("[data-look]").forEach((el) => el.classList.toggle("off", el.dataset.look !== look()));
    drawVisible();
  }
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    mode = modes[(modes.indexOf(mode) + 1) % modes.length];
    memory.set(mode);
    wear();
  });
  system.addEventListener("change", wear);

  /* Figures: each is drawn per look when it comes near the screen; print always has the light one. */
  const data = JSON.parse(document.getElementById("figure-data").textContent);
  const waiting = new Map();
  const near = new Set();
  document.querySelectorAll("[data-figure]").forEach((host) => waiting.set(host, new Set(["light", "dark"])));

  function draw(host, which) {
    const left = waiting.get(host);
    if (!left.has(which) || typeof vegaEmbed === "undefined") return Promise.resolve();
    left.delete(which);
    const box = document.createElement("div");
    box.dataset.look = which;
    box.classList.toggle("off", which !== look());
    host.append(box);
    return vegaEmbed(box, data.specs[host.dataset.figure], {
      ast: true,
      mode: "vega-lite",
      renderer: "svg",
      config: data.themes[which],
      defaultStyle: false,
      forceActionsMenu: true,
      downloadFileName: host.dataset.figure,
      actions: { export: { svg: true, png: true }, source: false, compiled: false, editor: false },
      i18n: { CLICK_TO_VIEW_ACTIONS: "Save the figure", SVG_ACTION: "Save as SVG", PNG_ACTION: "Save as PNG" },
      tooltip: { disableDefaultStyle: true, theme: "page" },
    }).then(() => host.classList.add("drawn"), (error) => {
      box.textContent = "This figure could not be drawn; its numbers are in the table below.";
      console.error(error);
    });
  }
  function drawVisible() { near.forEach((host) => draw(host, look())); }
  if ("IntersectionObserver" in window) {
    const watch = new IntersectionObserver((seen) => {
      for (const entry of seen) if (entry.isIntersecting) { near.add(entry.target); draw(entry.target, look()); }
    }, { rootMargin: "900px" });
    waiting.forEach((_, host) => watch.observe(host));
  } else {
    waiting.forEach((_, host) => near.add(host));
  }
  window.addEventListener("beforeprint", () => {
    waiting.forEach((_, host) => draw(host, "light"));
  });

  /* Contents: mark the section that is being read. */
  const links = new Map([...document.querySelectorAll(".contents a")].map((a) => [a.hash.slice(1), a]));
  const sections = [...document.querySelectorAll("main > section")].filter((s) => links.has(s.id));
  function mark() {
    const line = innerHeight * 0.3;
    let current = sections[0];
    for (const s of sections) if (s.getBoundingClientRect().top <= line) current = s;
    links.forEach((a, id) => (id === current.id ? a.setAttribute("aria-current", "true") : a.removeAttribute("aria-current")));
  }
  let queued = false;
  addEventListener("scroll", () => {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => { queued = false; mark(); });
  }, { passive: true });
  mark();
  wear();
})();
