// In a report: the class that shows what needs script, and the width of paper while it is printed.
const root = document.documentElement;
root.classList.add("js");

function fit(table) {
  table.style.zoom = "";
  const room = document.querySelector("main").clientWidth;
  if (table.scrollWidth > room) table.style.zoom = room / table.scrollWidth;
}

// Figures have a size in pixels, so they are drawn again for the paper, on white.
function lay(printing) {
  root.classList.toggle("printing", printing);
  if (printing) root.dataset.theme = "light";
  else delete root.dataset.theme;
  for (const figure of document.querySelectorAll("lab-figure")) figure.redraw();
  for (const table of document.querySelectorAll("table")) {
    if (printing) fit(table);
    else table.style.zoom = "";
  }
}

addEventListener("beforeprint", () => lay(true));
addEventListener("afterprint", () => lay(false));
