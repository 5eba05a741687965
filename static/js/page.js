// On every page: theme switch, copy buttons, keys, whether the dashboard answers. Everything else works without script.

function showTheme() {
  const current = document.documentElement.dataset.theme ?? "";
  for (const button of document.querySelectorAll("[data-set-theme]")) {
    button.setAttribute("aria-pressed", String(button.dataset.setTheme === current));
  }
}

function setTheme(theme) {
  if (theme) {
    localStorage.setItem("theme", theme);
    document.documentElement.dataset.theme = theme;
  } else {
    localStorage.removeItem("theme");
    delete document.documentElement.dataset.theme;
  }
  showTheme();
}

// A page from another machine without TLS has no clipboard: there a selection is copied.
async function copyText(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("The browser does not copy.");
}

function say(label, text) {
  label.dataset.before ??= label.textContent;
  label.textContent = text;
  setTimeout(() => (label.textContent = label.dataset.before), 1500);
}

// data-copy names an element whose text is copied; without a name, the address of the page.
async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  await copyText(source ? source.textContent.trim() : location.href);
  say(button.querySelector("[data-label]") ?? button, "Copied");
}

// data-copy-as: the link of the page, the text that lies at data-from, or its main figure.
const COPIES = {
  link: () => copyText(location.href),
  async text({ from }) {
    const answer = await fetch(from);
    if (!answer.ok) throw new Error(`${from} answered ${answer.status}.`);
    await copyText(await answer.text());
  },
  async picture() {
    const figure = document.querySelector("lab-figure#percentiles") ?? document.querySelector("lab-figure");
    await figure.copy();
  },
};

async function copyAs(button) {
  button.closest("[popover]").hidePopover();
  const label = document.querySelector("[data-copied]");
  try {
    await COPIES[button.dataset.copyAs](button.dataset);
    say(label, "Copied");
  } catch {
    say(label, "Not copied");
  }
}

function isTyping(element) {
  return element.matches("input:not([type=checkbox], [type=radio]), select, textarea");
}

// data-key names the key that presses a button, follows a link or enters a field; with data-ask the
// key only moves to the button, and Enter presses it.
function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (event.key === "Escape" && document.querySelector(":popover-open, dialog[open]")) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!target || target.disabled) return;
  event.preventDefault();
  // As a press by hand does: from the button Tab leads into the menu that it opens.
  target.focus();
  if (!isTyping(target) && !("ask" in target.dataset)) target.click();
}

// What htmx asks for again and again tells whether Looplab still answers.
function connected(answers) {
  document.body.classList.toggle("stale", !answers);
  document.getElementById("unanswered").hidden = answers;
}

// data-in-place: what another address changes of the page is changed where it stands. The address goes along. A form
// leads to the address that its fields make.
async function inPlace(address) {
  for (const open of document.querySelectorAll(":popover-open")) open.hidePopover();
  await htmx.ajax("GET", address, { target: "#main", select: "#main", swap: "outerMorph" });
  history.pushState(history.state, "", address);
  shown = location.search;
}

let shown = location.search;
addEventListener("popstate", () => location.search === shown || location.reload());
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-in-place]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  inPlace(link.href);
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!("inPlace" in form.dataset)) return;
  event.preventDefault();
  const set = [...new FormData(form)].filter(([, value]) => value !== "");
  inPlace(`${form.getAttribute("action")}?${new URLSearchParams(set)}`);
});
document.addEventListener("htmx:error", ({ detail }) => {
  if (detail.ctx && !detail.ctx.response) connected(false);
});
document.addEventListener("htmx:after:request", () => connected(true));
document.addEventListener("click", (event) => {
  const themed = event.target.closest("[data-set-theme]");
  if (themed) setTheme(themed.dataset.setTheme);
  const copied = event.target.closest("[data-copy]");
  if (copied) copy(copied);
  const form = event.target.closest("[data-copy-as]");
  if (form) copyAs(form);
});
document.addEventListener("keydown", press);
showTheme();

// What form.js keeps of a form that was sent serves the login page alone.
if (!document.querySelector("#new-run, form.login")) sessionStorage.removeItem("typed");
