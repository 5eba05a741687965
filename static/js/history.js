// The tray of the history: the letters that chosen runs will get, oldest first. Searching brings another list, other
// pages keep what is chosen.
const filters = document.querySelector(".filters");

function ticked() {
  return [...document.querySelectorAll("#chosen input[name=run]:checked")];
}

// The runs that are chosen, each once: an experiment stands for its arms.
function chosenRuns() {
  const runs = new Map();
  for (const { value, dataset } of ticked()) {
    const { arms, titles, title, at } = dataset;
    if (arms === undefined) runs.set(value, { title, at, ended: "endedEarly" in dataset });
    else arms.split(" ").forEach((id, place) => runs.set(id, { title: titles.split("\n")[place], at, ended: false }));
  }
  return [...runs.values()].sort((left, right) => (left.at < right.at ? -1 : Number(left.at > right.at)));
}

function show() {
  const form = document.getElementById("chosen");
  if (!form || form.hidden) return;
  const slots = [...form.querySelectorAll("[data-slot]")];
  const chosen = chosenRuns();
  const count = form.querySelector("[data-count]");
  const tooMany = chosen.length > slots.length;
  slots.forEach((slot, at) => {
    slot.hidden = tooMany || at >= chosen.length;
    slot.querySelector("[data-name]").textContent = chosen[at]?.title ?? "";
  });
  count.textContent = chosen.length ? `${chosen.length} chosen` : count.dataset.count;
  if (tooMany) count.textContent += `; ${slots.length} fit beside each other`;
  const able = chosen.filter((run) => !run.ended).length;
  for (const button of form.querySelectorAll(".tray button")) {
    const least = Number(button.dataset.least ?? 1);
    button.disabled = (least === 2 ? able : chosen.length) < least || (least === 2 && tooMany);
  }
}

// An address with what is ticked now in the place of what was.
function keeping(address) {
  const url = new URL(address, location.href);
  url.searchParams.delete("run");
  for (const { value } of ticked()) url.searchParams.append("run", value);
  return url.pathname + url.search + url.hash;
}

filters?.addEventListener("input", ({ target }) => {
  target.closest(".field").classList.toggle("set", target.value !== "");
});
document.addEventListener("change", ({ target }) => {
  if (!target.closest("#chosen")) return;
  if (target.name === "run") {
    for (const box of document.querySelectorAll(`#chosen input[value="${target.value}"]`)) box.checked = target.checked;
  }
  show();
});
document.addEventListener("click", ({ target }) => {
  const link = target.closest("a[data-keep]");
  if (link) link.href = keeping(link.href);
});
// The address is that of what stands there, to be sent to somebody, and to come back to.
document.addEventListener("htmx:after:swap", ({ target }) => {
  if (filters && target === filters) {
    const set = [...new FormData(filters)].filter(([, value]) => value !== "");
    const query = new URLSearchParams(set).toString();
    history.replaceState(history.state, "", keeping(filters.action + (query && `?${query}`)));
  }
  show();
});
show();
