// What was wrong with a field is no longer known once it is changed.
const form = document.getElementById("new-run");
form?.addEventListener("input", ({ target }) => {
  target.removeAttribute("aria-invalid");
  target.closest(".field, fieldset")?.querySelector(":scope > .wrong")?.remove();
});

// The box of the spec follows the fields until somebody writes in it.
const box = document.querySelector("#spec[data-follows]");
let followed = box?.defaultValue;

document.addEventListener("htmx:after:swap", () => {
  const planned = document.getElementById("plan-spec").textContent.trimEnd();
  if (box && [followed, planned].includes(box.value)) box.value = followed = planned;
});

// After Back or a reload the browser fills in what was typed: the plan is asked for again.
addEventListener("pageshow", () => {
  const [{ type }] = performance.getEntriesByType("navigation");
  const ask = () => form?.dispatchEvent(new Event("change"));
  if (type !== "navigate") setTimeout(ask);
});

// A stream that is called after its path follows it: items for /items/{item_id}.
function named(path) {
  const parts = path.split(/[/?#]/).filter((part) => /^[a-z][\w-]*$/i.test(part));
  return parts.at(-1)?.slice(0, 40) ?? "root";
}

form?.addEventListener("change", ({ target }) => {
  const stream = /^(workload\.streams\.\d+)\.requests\.0\.path$/.exec(target.name)?.[1];
  const name = stream && form.elements.namedItem(`${stream}.name`);
  if (!name) return;
  if (name.value === named(target.defaultValue)) name.value = named(target.value);
  target.defaultValue = target.value;
});
