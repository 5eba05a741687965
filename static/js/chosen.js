// The tray of the history: the letters that chosen runs will get, oldest first.
const form = document.getElementById("chosen");
const boxes = form ? [...form.querySelectorAll("input[name=run]")] : [];
const slots = form ? [...form.querySelectorAll("[data-slot]")] : [];
const count = form?.querySelector("[data-count]");
const unticked = count?.textContent;

function show() {
  const chosen = boxes.filter((box) => box.checked).reverse();
  const tooMany = chosen.length > slots.length;
  slots.forEach((slot, at) => {
    slot.hidden = tooMany || at >= chosen.length;
    slot.querySelector("[data-name]").textContent = chosen[at]?.dataset.title ?? "";
  });
  count.textContent = chosen.length ? `${chosen.length} chosen` : unticked;
  if (tooMany) count.textContent += `; ${slots.length} fit beside each other`;
  const able = chosen.filter((box) => !("endedEarly" in box.dataset)).length;
  for (const button of form.querySelectorAll(".tray button")) {
    const least = Number(button.dataset.least ?? 1);
    button.disabled = (least === 2 ? able : chosen.length) < least || (least === 2 && tooMany);
  }
}

if (form) {
  form.addEventListener("change", show);
  show();
}
