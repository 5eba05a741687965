// The tray of the history: the letters that chosen runs will get, oldest first. Searching brings another list.
const filters = document.querySelector(".filters");

function show() {
  const form = document.getElementById("chosen");
  if (!form) return;
  const slots = [...form.querySelectorAll("[data-slot]")];
  const chosen = [...form.querySelectorAll("input[name=run]:checked")].reverse();
  const count = form.querySelector("[data-count]");
  const tooMany = chosen.length > slots.length;
  slots.forEach((slot, at) => {
    slot.hidden = tooMany || at >= chosen.length;
    slot.querySelector("[data-name]").textContent = chosen[at]?.dataset.title ?? "";
  });
  count.textContent = chosen.length ? `${chosen.length} chosen` : count.dataset.count;
  if (tooMany) count.textContent += `; ${slots.length} fit beside each other`;
  const able = chosen.filter((box) => !("endedEarly" in box.dataset)).length;
  for (const button of form.querySelectorAll(".tray button")) {
    const least = Number(button.dataset.least ?? 1);
    button.disabled = (least === 2 ? able : chosen.length) < least || (least === 2 && tooMany);
  }
}

filters?.addEventListener("input", ({ target }) => {
  target.closest(".field").classList.toggle("set", target.value !== "");
});
document.addEventListener("change", ({ target }) => {
  if (target.closest("#chosen")) show();
});
// The address is that of what stands there, to be sent to somebody, and to come back to.
document.addEventListener("htmx:after:swap", ({ target }) => {
  if (filters && target === filters) {
    const set = [...new FormData(filters)].filter(([, value]) => value !== "");
    const query = new URLSearchParams(set).toString();
    history.replaceState(history.state, "", filters.action + (query && `?${query}`));
  }
  show();
});
show();
