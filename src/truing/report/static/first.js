/* Runs before the page is drawn: scripts are there, and the reader's theme is known. */
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const mode = localStorage.getItem("truing-theme");
    if (mode === "light" || mode === "dark") root.dataset.theme = mode;
  } catch { /* a page without storage follows the system */ }
})();
