// While a page is printed: the width of paper, on white, with all that is folded.
const printed = document.documentElement;
let closed = [];
printed.classList.add("js");

function fit(table) {
  table.style.zoom = "";
  const room = document.querySelector("main").clientWidth;
  if (table.scrollWidth > room) table.style.zoom = room / table.scrollWidth;
}

// Figures have a size in pixels, so they are drawn again for the paper.
function redraw() {
  for (const figure of document.querySelectorAll("lab-figure")) figure.redraw?.();
}

addEventListener("beforeprint", () => {
  printed.classList.add("printing");
  printed.dataset.before = printed.dataset.theme ?? "";
  printed.dataset.theme = "light";
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const fold of closed) fold.open = true;
  redraw();
  for (const table of document.querySelectorAll("table")) fit(table);
});

addEventListener("afterprint", () => {
  printed.classList.remove("printing");
  if (printed.dataset.before) printed.dataset.theme = printed.dataset.before;
  else delete printed.dataset.theme;
  delete printed.dataset.before;
  for (const fold of closed) fold.open = false;
  redraw();
  for (const table of document.querySelectorAll("table")) table.style.zoom = "";
});
