// Loaded before the first paint: the chosen theme, and the class that shows what needs script.
const root = document.documentElement;
root.classList.add("js");
const chosen = localStorage.getItem("theme");
if (chosen) root.dataset.theme = chosen;
